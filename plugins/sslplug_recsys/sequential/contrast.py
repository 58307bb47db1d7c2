"""InfoNCE on dot products: lengths of rows matter, as in CL4SRec, DuoRec and ICLRec.

With 2N rows z of two views, row i of one positive to row i of the other,

    L = 1/2N sum_i -log exp(z_i . z_i+ / tau) / sum_{j in C(i)} exp(z_i . z_j / tau)

C(i) holds every other row of both views; rows that share i's id, its positive excepted, are left out (ICLRec: rows of one
intent are no negatives). The engine's ``infonce`` compares directions instead, and takes equal ids for positives. Smaller
is better; log(2N - 1) where all rows are equal. Distribution: "gathered".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.errors import DataError
from sslplug_recsys.sequential.ranks import own_rank, rows_of_ranks


class DotContrastOptions(Options):
    """Options of the loss."""

    temperature: float = Field(1.0, gt=0, description="tau")


class DotContrast(nn.Module):
    """See the module's equation. Term: ``contrast``."""

    distribution: Distribution = "gathered"
    most_views: int | None = 2

    def __init__(self, options: DotContrastOptions) -> None:
        super().__init__()
        self.temperature = options.temperature

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: two (n, d) tensors, row by row positives; ``ids``: two equal (n,) tensors of groups, or None."""
        first, second = views
        if first.shape != second.shape or first.ndim != 2 or not len(first):
            raise DataError(
                f"Objective 'dot_contrast': views {tuple(first.shape)} and {tuple(second.shape)}; expected two (n, d) alike."
            )
        with torch.autocast(first.device.type, enabled=False):
            groups = torch.arange(len(first), device=first.device) + (own_rank() << 40) if ids is None else ids[0]
            rows = torch.stack([rows_of_ranks(first.float()), rows_of_ranks(second.float())])
            group = rows_of_ranks(groups)
            n = rows.shape[1]
            logits = rows.flatten(0, 1) @ rows.flatten(0, 1).t() / self.temperature
            alike = (group[:, None] == group[None, :]).repeat(2, 2)
            place = torch.arange(2 * n, device=rows.device)
            positive = place.roll(n)
            alike[place, positive] = False
            alike.fill_diagonal_(True)
            return {"contrast": F.cross_entropy(logits.masked_fill(alike, -torch.inf), positive)}


def build(options: DotContrastOptions, dim: int) -> DotContrast:
    """The loss; it takes any width."""
    return DotContrast(options)


DOT_CONTRAST = Component(
    DotContrastOptions,
    build,
    "InfoNCE on dot products of two views, row by row; rows of one id are no negatives (CL4SRec, DuoRec, ICLRec)",
    provides=tags("score:views"),
    needs=tags("pair"),
)
