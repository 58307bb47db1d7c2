"""Local-global contrast: does this row belong to this summary? Jensen-Shannon estimator, as DGI and InfoGraph use it.

With scores s_ig = <row_i, summary_g>, P the pairs (i, g) where g owns i, and Q all other pairs:

    bce   L = ( sum_P softplus(-s) + sum_Q softplus(s) ) / (|P| + |Q|)       DGI (arXiv:1809.10341, eq. 1)
    jsd   L = mean_P softplus(-s) + mean_Q softplus(s) - 2 log 2             InfoGraph (arXiv:1908.01000, eq. 4)

``bce`` is binary cross-entropy with logits over all pairs: log 2 when all scores are 0, never below 0. ``jsd`` weights both
kinds equally however many there are: 0 when all scores are 0, never below -2 log 2. Rows with id -1 (corrupted) belong to no
summary. Bilinear or other discriminators are maps of the rows or the summaries in front of this. Smaller is better.
Distribution: "gathered": rows meet the summaries of all ranks; a summary's rows must lie on its own rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.distributed import gather_rows, row_offset, total_rows, world
from sslplug.errors import DataError, UsageError
from sslplug.objectives.embeddings import checked, exactly


class LocalGlobalOptions(Options):
    """Options of the local-global objective."""

    form: Literal["bce", "jsd"] = Field(
        "jsd", description="bce: mean over all pairs (DGI); jsd: both kinds weigh the same (InfoGraph)"
    )


def belongs(owner: Tensor, number: Tensor) -> Tensor:
    """(n, m) bool: whether summary g owns row i; an owner of -1 is nobody."""
    return (owner[:, None] == number[None, :]) & (owner[:, None] >= 0)


class LocalGlobal(nn.Module):
    """Local-global contrast. Term: ``local_global``."""

    distribution: Distribution = "gathered"
    most_views: int | None = 2

    def __init__(self, options: LocalGlobalOptions) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: rows (n, d), summaries (m, d); ``ids``: owner (n,), summary numbers (m,)."""
        if ids is None:
            raise UsageError(
                "Objective 'jsd_local_global' needs ids: which summary owns each row. Use it with the local-global method."
            )
        with exactly(views[0]):
            rows, summaries = checked("jsd_local_global", views, most=2, matched=False)
            if ids[0].shape != (len(rows),) or ids[1].shape != (len(summaries),):
                raise DataError(
                    f"Objective 'jsd_local_global': {len(rows)} rows with owners {tuple(ids[0].shape)} and {len(summaries)} "
                    f"summaries with numbers {tuple(ids[1].shape)}; expected one a row."
                )
            scores = rows @ gather_rows(summaries).t()
            mine = torch.zeros_like(scores, dtype=torch.bool)
            start = row_offset(len(summaries)) if world() > 1 else 0
            mine[:, start : start + len(summaries)] = belongs(*ids)
            pull = F.softplus(-scores[mine]).sum()
            push = F.softplus(scores[~mine]).sum()
            owned = total_rows(int(mine.sum()))
            other = total_rows(mine.numel()) - owned
            if not owned or not other:
                raise DataError(
                    f"Objective 'jsd_local_global' got {owned} pairs of a row with its own summary and {other} others; it "
                    "needs both. Use a corrupted view (role 'negative'), or several summaries a batch."
                )
            if self.options.form == "bce":
                loss = (pull + push) / (owned + other) * world()
            else:
                loss = (pull / owned + push / other) * world() - 2 * math.log(2)
        return {"local_global": loss}


def build(options: LocalGlobalOptions, dim: int) -> LocalGlobal:
    """The local-global objective; it takes embeddings of any width."""
    return LocalGlobal(options)


JSD_LOCAL_GLOBAL = Component(
    LocalGlobalOptions,
    build,
    "Local-global contrast by the Jensen-Shannon estimator: rows against the summaries that own them (DGI, InfoGraph)",
    provides=tags("score:levels"),
)
