"""The contrastive loss of CoLES with hard negatives (Babaev et al. 2022; Hadsell et al. 2006).

    L = sum_{(i,j) in P} |e_i - e_j|^2 + sum_{(i,j) in N} max(0, m - |e_i - e_j|)^2

with unit rows e, P all pairs of one entity's slices (each once), and N, for every row, its ``negatives`` nearest rows of other
entities. The loss is a sum as in the paper, so that its size grows with the batch; ``mean`` divides by the number of pairs.
Smaller is better, 0 when slices of an entity coincide and all others are m apart. Distribution: "gathered".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.errors import DataError
from sslplug_sequence.events.objectives.ranks import own_rank, rows_of_ranks

_EPSILON = 1e-6
"""Under the root of a squared distance: the root has no derivative at 0."""


class ColesOptions(Options):
    """Options of the loss."""

    margin: float = Field(0.5, gt=0, description="m: negatives farther away cost nothing; unit rows are at most 2 apart")
    negatives: int = Field(5, ge=1, description="nearest rows of other entities that each row is pushed from")
    reduction: Literal["sum", "mean"] = Field("sum", description="sum over pairs as published, or their mean")


class Coles(nn.Module):
    """See the module's equation. Terms: ``positive`` and ``negative``."""

    distribution: Distribution = "gathered"
    most_views: int | None = None

    def __init__(self, options: ColesOptions) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: two or more (n_v, d) tensors, ``ids``: the entity of each row. See the contract ``Objective``."""
        with torch.autocast(views[0].device.type, enabled=False):
            rows = rows_of_ranks(F.normalize(torch.cat([view.float() for view in views]), dim=1))
            if ids is None:
                # Row i of every view is one instance of this rank.
                ids = [torch.arange(len(view), device=rows.device) + (own_rank() << 40) for view in views]
            group = rows_of_ranks(torch.cat(list(ids)))
            return self._pairs(rows, group)

    def _pairs(self, rows: Tensor, group: Tensor) -> dict[str, Tensor]:
        n, o = len(rows), self.options
        same = (group[:, None] == group[None, :]) & (group[:, None] >= 0)
        first, second = same.triu(1).nonzero(as_tuple=True)
        if not len(first):
            raise DataError("Objective 'coles': no two rows share an id, so nothing is to be pulled together.")
        attraction = (rows[first] - rows[second]).square().sum(1)
        with torch.no_grad():
            apart = (2 - 2 * rows @ rows.t()).masked_fill(
                same | torch.eye(n, dtype=torch.bool, device=rows.device), torch.inf
            )
            nearest, chosen = apart.topk(min(o.negatives, n - 1), largest=False)
            anchor, place = nearest.isfinite().nonzero(as_tuple=True)
        other = chosen[anchor, place]
        distance = ((rows[anchor] - rows[other]).square().sum(1) + _EPSILON).sqrt()
        repulsion = (o.margin - distance).clamp(min=0).square()
        count = len(first) + len(anchor) if o.reduction == "mean" else 1
        return {"positive": attraction.sum() / count, "negative": repulsion.sum() / count}


def build(options: ColesOptions, dim: int) -> Coles:
    """The loss; it takes embeddings of any width."""
    return Coles(options)


COLES = Component(
    ColesOptions,
    build,
    "Margin contrastive loss with hard negatives (CoLES)",
    provides=tags("score:views"),
    needs=tags("pair"),
)
