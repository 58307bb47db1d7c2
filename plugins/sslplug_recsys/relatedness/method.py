"""Contrastive relatedness: items of one basket are near, other pairs' items are negatives (SkillMatch, on items for skills).

With unit rows f(a_i), f(b_i) of the batch's pairs and s_ij = <f(a_i), f(b_j)> / tau - [logQ] log q(b_j),

    L = -1/2 mean_i ( log exp(s_ii) / sum_{j in N(i)} exp(s_ij)  +  the same with a and b changed over )

q is an item's share of the training pairs' places: a popular item is a negative more often, and logQ takes that back (Yi et
al. 2019). N(i) leaves out pairs that share an item with pair i: they may be related to it, so they are no negatives.
Negatives are those of the rank's own batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Assembly, Component, Options, Progress, Views, observing, tags
from sslplug.randomness import Rng


class TogetherOptions(Options):
    """Options of the loss."""

    temperature: float = Field(0.1, gt=0, description="tau")
    log_q: bool = Field(True, description="subtract the log of an item's share of the training pairs from its scores")


class Together(nn.Module):
    """See the module's equation. Term: ``together``. Views: two, whose data name items in ``rows``."""

    log_share: Tensor

    def __init__(self, options: TogetherOptions, views: Views, encoder: nn.Module, share: Tensor) -> None:
        super().__init__()
        self.options, self.views, self.encoder = options, views, encoder
        self.register_buffer("log_share", (share.double() / share.sum()).log().float(), persistent=False)

    def _rows(self, batch: Any, rng: Rng) -> tuple[list[Tensor], list[Tensor]]:
        views = self.views(batch, rng)[:2]
        return [self.encoder(view)["item"] for view in views], [view.data.rows for view in views]

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The loss of one batch."""
        rows, items = self._rows(batch, rng)
        with torch.autocast(rows[0].device.type, enabled=False):
            a, b = (F.normalize(one.float(), dim=1) for one in rows)
            scores = a @ b.t() / self.options.temperature
            share = self._shared(*items)
            losses = []
            for matrix, compared in ((scores, items[1]), (scores.t(), items[0])):
                if self.options.log_q:
                    matrix = matrix - self.log_share[compared]
                losses.append((matrix.masked_fill(share, -torch.inf).logsumexp(1) - matrix.diagonal()).mean())
        return {"together": (losses[0] + losses[1]) / 2}

    @staticmethod
    def _shared(first: Tensor, second: Tensor) -> Tensor:
        """(n, n) bool: the pairs i and j, i not j, share an item."""
        ends = [(x[:, None] == y[None, :]) for x in (first, second) for y in (first, second)]
        shared = ends[0] | ends[1] | ends[2] | ends[3]
        return shared.fill_diagonal_(False)

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Rows of both sides."""
        with observing(self):
            rows, _ = self._rows(batch, rng)
        return {"view0": rows[0], "view1": rows[1]}


def build(options: TogetherOptions, assembly: Assembly) -> Together:
    """The method from finished parts. An item without a training pair has the share of one place."""
    share = assembly.spec.popularity.clamp(min=1)
    return Together(options, assembly.views, assembly.encoder, share)


TOGETHER = Component(
    TogetherOptions,
    build,
    "Items of one basket near, others apart; popular items corrected, pairs that share an item masked",
    needs=tags("pair", "level:item"),
)
