"""Cosine: the direction of a prediction should be the target's (BYOL, Grill et al. 2020, arXiv:2006.07733, eq. 2).

    L = mean_i (2 - 2 cos(p_i, t_i))        = mean squared distance of the unit rows

SimSiam's -cos (Chen and He 2021, arXiv:2011.10566, eq. 1) has half this gradient. Nothing here stops the gradient of the
target: the method that has a teacher does. On its own it collapses without a teacher or predictor.
Smaller is better; 0 is perfect, 4 is opposite. Distribution: "mean".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.distributed import rank_weight
from sslplug.objectives.embeddings import checked, exactly, matched_by_row


class CosineOptions(Options):
    """The cosine objective has no options."""


class Cosine(nn.Module):
    """2 - 2 cos of paired rows. Term: ``cosine``."""

    distribution: Distribution = "mean"
    most_views: int | None = 2

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: prediction (n, d) and target (n, d). See the contract ``Objective``."""
        with exactly(views[0]):
            rows = checked("cosine", views, most=2, matched=ids is None, least_rows=1)
            prediction, target = matched_by_row("cosine", rows, ids)
            cosines = (F.normalize(prediction, dim=1) * F.normalize(target, dim=1)).sum(1)
            return {"cosine": (2 - 2 * cosines).mean() * rank_weight(len(cosines))}


def build(options: CosineOptions, dim: int) -> Cosine:
    """The cosine objective; it takes embeddings of any width."""
    return Cosine()


COSINE = Component(
    CosineOptions,
    build,
    "Cosine: 2 - 2 cos of prediction and target (BYOL, BGRL, SimSiam)",
    provides=tags("score:views", "score:prediction"),
    refuses=tags("uneven"),
)
