"""S3-Rec's pretraining: items, their attributes, and segments of a history foretell each other.

Zhou et al. 2020, arXiv:2008.07873. On states H of a history with hidden items, seen both ways (x . y is a dot product, W a
linear map each):

    AAP   shown steps    sum_a BCE( sigma(W H_t . a), item t has attribute a )
    MAP   hidden steps   the same
    MIP   hidden steps   -log sigma( W H_t . e_t - W H_t . e_negative )
    SP    histories      -log sigma( W s . g - W s . g_negative )

s is a history without a segment, g that segment, g_negative a strange one.

Each is a sum over its steps, divided by the number of histories; weights .2, 1, 1 and .5 as published. (The published code
puts a sigmoid into MIP and SP twice; the loss of the paper is used here.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Assembly, Component, Options, Progress, Views, tags
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.feature_table import FeatureTable
from sslplug_recsys.sequential.encoder import SPREAD
from sslplug_recsys.sequential.methods.next_item import history_rows, item_vectors, strangers
from sslplug_recsys.sequential.ranks import weight_of_rank


class AttributesOptions(Options):
    """Weights of the four tasks."""

    shown_attributes: float = Field(0.2, ge=0, description="AAP: attributes of items that are shown")
    hidden_items: float = Field(1.0, ge=0, description="MIP: the hidden items")
    hidden_attributes: float = Field(1.0, ge=0, description="MAP: attributes of hidden items")
    segments: float = Field(0.5, ge=0, description="SP: the hidden segment")


class Attributes(nn.Module):
    """Terms: ``shown_attributes``, ``hidden_items``, ``hidden_attributes``, ``segments``."""

    def __init__(
        self, options: AttributesOptions, views: Views, encoder: nn.Module, table: FeatureTable, items: int, dim: int
    ) -> None:
        super().__init__()
        self.options, self.views, self.encoder, self.items = options, views, encoder, items
        first, start = [], 0
        for size in table.sizes:
            first.append(start)
            start += size - 1  # code 0 says that a value is missing: nothing to foretell
        self.first, self.count, self.table = tuple(first), start, table
        self.attribute = nn.Parameter(SPREAD * torch.randn(start, dim))
        self.maps = nn.ModuleDict({name: nn.Linear(dim, dim) for name in type(options).model_fields})

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The four terms of one batch."""
        masked, rest, own, strange = self.views(batch, rng)
        steps = self.encoder(masked)["step"]
        hidden, owner = masked.mask["step"], masked.data.owner
        rows = masked.targets["item"].rows
        assert rows is not None  # the view names the hidden steps
        wanted = masked.targets["item"].values
        negative = strangers(masked.data, owner[rows], wanted, self.items, rng.fork("negatives").torch(steps.device))
        table = item_vectors(self.encoder, self.items, steps.device)
        context = self.maps["hidden_items"](steps[rows])
        better = (context * (table[wanted] - table[negative])).sum(1)
        segment = self.maps["segments"](self.encoder(rest)["history"])
        nearer = (segment * (self.encoder(own)["history"] - self.encoder(strange)["history"])).sum(1)
        # A history of one item has no segment to be cut out.
        nearer = nearer[masked.data.lengths > 1]
        o = self.options
        terms = {
            "shown_attributes": o.shown_attributes
            * self._foretell("shown_attributes", steps[~hidden], masked.data.items[~hidden]),
            "hidden_items": o.hidden_items * F.softplus(-better).sum(),
            "hidden_attributes": o.hidden_attributes * self._foretell("hidden_attributes", steps[rows], wanted),
            "segments": o.segments * F.softplus(-nearer).sum(),
        }
        scale = weight_of_rank(len(batch), steps.device) / len(batch)
        return {name: value * scale for name, value in terms.items()}

    def _foretell(self, name: str, steps: Tensor, items: Tensor) -> Tensor:
        """The summed cross-entropy of all attributes of ``items`` (k,), told from their ``steps`` (k, d)."""
        logits = self.maps[name](steps) @ self.attribute.t()
        row, column = self._has(items)
        # BCE with logits x and a target y is softplus(x) - x y; only what an item has contributes to the second part.
        summed: Tensor = F.softplus(logits).sum() - logits[row, column].sum()
        return summed

    def _has(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """(v,) positions in ``items`` and (v,) numbers of the attributes that these items have, each once."""
        chosen = self.table.take(items.cpu())
        rows, columns = [], []
        for first, offsets, codes in zip(self.first, chosen.offsets, chosen.codes, strict=True):
            owner = torch.arange(len(items)).repeat_interleave(offsets.diff(), output_size=len(codes))
            key = torch.unique(owner[codes > 0] * self.count + first + codes[codes > 0] - 1)
            rows.append(key // self.count)
            columns.append(key % self.count)
        return torch.cat(rows).to(items.device), torch.cat(columns).to(items.device)

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Rows of the histories with hidden items."""
        return {"view0": history_rows(self, batch, rng)}


def build(options: AttributesOptions, assembly: Assembly) -> Attributes:
    """The method from finished parts. UsageError where items have no features."""
    table = assembly.spec.item_features
    if table is None or not table.fields:
        raise UsageError(
            "Method 'attributes' learns from item features, and this data has none; choose data with attributes."
        )
    return Attributes(options, assembly.views, assembly.encoder, table, assembly.spec.items, assembly.dims["step"])


ATTRIBUTES = Component(
    AttributesOptions,
    build,
    "Items, attributes and segments of a history foretell each other (S3-Rec's pretraining)",
    needs=tags("masks", "hides", "target:item", "level:step", "level:item"),
)
