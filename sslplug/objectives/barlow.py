"""Barlow Twins: the cross-correlation of two views should be the identity (Zbontar et al. 2021, arXiv:2103.03230, eq. 1-2).

    C = A^T B / N with columns standardised over the batch,   L = sum_i (1 - C_ii)^2 + w sum_{i != j} C_ij^2

Columns are standardised as batch normalisation does: biased variance, eps under the root, so a dead column gives 0, not NaN.
Smaller is better; 0 is perfect. Distribution: "statistic".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.objectives.batch_statistics import joined_rows, off_diagonal_square_sum, product, standardised
from sslplug.objectives.embeddings import checked, exactly, matched_by_row


class BarlowOptions(Options):
    """Options of Barlow Twins."""

    redundancy: float = Field(0.0051, ge=0, description="weight of the off-diagonal correlations (about 1/d for small d)")
    eps: float = Field(1e-5, gt=0, description="added to the variance under the square root")


class Barlow(nn.Module):
    """Barlow Twins. Terms: ``invariance`` (diagonal), ``redundancy`` (off-diagonal, weighted)."""

    distribution: Distribution = "statistic"
    most_views: int | None = 2

    def __init__(self, options: BarlowOptions) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: two (n_v, d). See the contract ``Objective``."""
        with exactly(views[0]):
            a, b = matched_by_row("barlow", checked("barlow", views, most=2, matched=ids is None), ids)
            total = joined_rows("barlow", len(a))
            a, b = (standardised(view, total, self.options.eps, unbiased=False) for view in (a, b))
            correlation = product(a, b) / total
            on = (1 - torch.diagonal(correlation)).square().sum()
            off = off_diagonal_square_sum(correlation)
        return {"invariance": on, "redundancy": self.options.redundancy * off}


def build(options: BarlowOptions, dim: int) -> Barlow:
    """Barlow Twins; it takes embeddings of any width."""
    return Barlow(options)


BARLOW = Component(
    BarlowOptions,
    build,
    "Barlow Twins: the two views' cross-correlation should be the identity; no negatives",
    provides=tags("score:views"),
    needs=tags("pair"),
    refuses=tags("uneven"),
)
