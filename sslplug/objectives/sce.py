"""Scaled cosine error: directions of reconstructed features, easy rows weighted down.

    L = mean_i (1 - cos(p_i, x_i))^alpha        GraphMAE (Hou et al. 2022, arXiv:2205.10803, eq. 2)

Scale-invariant in the prediction. A row of zeros has no direction: its cosine counts as 0. Smaller is better; 0 is perfect,
2^alpha is opposite. Distribution: "mean".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.distributed import rank_weight
from sslplug.objectives.embeddings import checked, exactly, matched_by_row


class SceOptions(Options):
    """Options of the scaled cosine error."""

    alpha: float = Field(3.0, ge=1, description="exponent: larger weights rows down that are already right")
    eps: float = Field(1e-12, gt=0, description="smallest norm a row is divided by")


def scaled_cosine_error(prediction: Tensor, target: Tensor, alpha: float, eps: float) -> Tensor:
    """(n,) errors (1 - cos)^alpha of (n, d) rows. Rounding may put a cosine above 1; the base is kept at 0 or more."""
    # Norms divide the rows' products, not the rows: two passes over wide rows less, and four less backward.
    norms = [torch.linalg.vector_norm(rows, dim=1).clamp(min=eps) for rows in (prediction, target)]
    cosines: Tensor = torch.linalg.vecdot(prediction, target) / norms[0] / norms[1]
    return (1 - cosines).clamp(min=0).pow(alpha)


class ScaledCosineError(nn.Module):
    """(1 - cos)^alpha of prediction and target. Term: ``sce``."""

    distribution: Distribution = "mean"
    most_views: int | None = 2

    def __init__(self, options: SceOptions) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: prediction (n, d) and target (n, d). See the contract ``Objective``."""
        with exactly(views[0]):
            rows = checked("sce", views, most=2, matched=ids is None)
            prediction, target = matched_by_row("sce", rows, ids)
            errors = scaled_cosine_error(prediction, target, self.options.alpha, self.options.eps)
            return {"sce": errors.mean() * rank_weight(len(errors))}


def build(options: SceOptions, dim: int) -> ScaledCosineError:
    """The scaled cosine error; it takes features of any width."""
    return ScaledCosineError(options)


SCE = Component(
    SceOptions,
    build,
    "Scaled cosine error: (1 - cos)^alpha of reconstruction and features (GraphMAE)",
    provides=tags("score:prediction"),
)
