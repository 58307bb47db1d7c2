"""DCCF's objective (Ren et al. 2023, arXiv:2305.02759): the graph signal of every layer agrees with the other three.

    L = BPR + w_emb |ego rows|^2 + w_cen |intents|^2 + w_ssl sum_l [ I(Z, R) + I(Z, H_Z) + I(Z, H_R) ],  I = users + items

I is the recipe's objective on the distinct nodes of the batch (infonce, cosine, temperature 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Options, Progress, Views
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.collaborative.contrast import Sides, sides_of
from sslplug_recsys.collaborative.dccf import Dccf
from sslplug_recsys.collaborative.ranking import PenaltyOptions, bpr, penalty


class DccfMethodOptions(Options):
    """Options of the method."""

    penalty: PenaltyOptions = Field(
        default_factory=lambda: PenaltyOptions(weight=2.5e-5, form="sum"), description="penalty of the embeddings' size"
    )
    intent_penalty: float = Field(5e-3, ge=0, description="w_cen: weight of the intents' squared norm")
    weight: float = Field(0.1, ge=0, description="w_ssl: weight of the contrastive terms")


class DccfMethod(nn.Module):
    """Terms ``bpr``, ``penalty``, ``intents`` and ``contrast``."""

    def __init__(self, options: DccfMethodOptions, views: Views, encoder: Dccf, objective: nn.Module) -> None:
        super().__init__()
        self.options, self.views, self.encoder, self.objective = options, views, encoder, objective

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The terms of one batch, in the precision of the table."""
        with torch.autocast(self.encoder.table.device.type, enabled=False):
            return self.terms(batch, rng)

    def terms(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """One propagation, then every term."""
        o, encoder = self.options, self.encoder
        sides = sides_of(self.views(batch, rng), encoder)
        if sides.negative is None:
            raise UsageError("Method 'dccf' got no view of role negative; set views: {name: triples, negatives: true}.")
        parts = [sides.user, sides.item, sides.negative]
        final, signals = encoder.layers()
        contrast = final.new_zeros(())
        for one in signals:
            for other in (one.intents, one.graph_masked, one.intents_masked):
                contrast = contrast + self._agreement(one.graph, other, sides)
        intents = encoder.user_intents.square().sum() + encoder.item_intents.square().sum()
        return {
            "bpr": bpr(*(final[rows] for rows in parts)),
            "penalty": penalty(o.penalty, [encoder.table[rows] for rows in parts], encoder.table),
            "intents": o.intent_penalty * intents,
            "contrast": o.weight * contrast,
        }

    def _agreement(self, anchor: Tensor, other: Tensor, sides: Sides) -> Tensor:
        values = [
            value
            for rows in (sides.users, sides.items)
            for value in self.objective([anchor[rows], other[rows]], [rows, rows]).values()
        ]
        return torch.stack(values).sum()

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Final rows of users and items."""
        with torch.no_grad():
            sides = sides_of(self.views(batch, rng), self.encoder)
            final = self.encoder.layers()[0]
        return {"view0": final[sides.user], "view1": final[sides.item]}


def build(options: DccfMethodOptions, assembly: Assembly) -> DccfMethod:
    """The method from finished parts."""
    encoder = assembly.encoder
    assert isinstance(encoder, Dccf)  # the tag says so
    return DccfMethod(options, assembly.views, encoder, assembly.objective(assembly.dims["pair"]))
