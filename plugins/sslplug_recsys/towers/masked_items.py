"""Two masked looks at items drawn uniformly from the catalogue: the item-side contrast of Yao et al. 2021 (arXiv:2007.12865).

First fields are masked, then single values of fields with several are dropped.

- ``random`` (RFM): a random half of the fields in one view, the other half in the other, drawn anew for each batch.
- ``correlated`` (CFM): a seed field drawn for each batch, with the half of the fields that tell most of it (mutual information over
  the catalogue) in one view, the rest in the other.
- ``alone``: as ``correlated``, without the complement: each view masks the fields of a seed of its own.
- ``none``: no field; with ``drop_rate`` this is feature dropout, with 0 the spread-out baseline (Zhang et al. 2017), which
  pushes items apart and pulls nothing together.

A masked field is replaced by a default vector that the encoder learns. Items are drawn uniformly, not from the log: contrast on
popular items alone would leave the tail where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import Options, View
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities, Pairs
from sslplug_recsys.feature_table import FeatureTable
from sslplug_recsys.spec import RecSpec
from sslplug_recsys.towers.mutual_information import correlated, mutual_information
from sslplug_recsys.towers.pairs import require_pairs


class MaskedItemOptions(Options):
    """Which items, and what of them is masked."""

    mask: Literal["correlated", "random", "alone", "none"] = Field("correlated", description="how fields are masked")
    drop_rate: float = Field(
        0.0, ge=0, lt=1, description="share of single values dropped of fields with several, a view apart"
    )
    items: int = Field(0, ge=0, description="items drawn for a batch; 0: as many as the batch has pairs")


class MaskedItems:
    """Two views of role "item" with the same items, none twice."""

    def __init__(self, options: MaskedItemOptions, table: FeatureTable) -> None:
        self.options, self.table = options, table
        self.partners = torch.from_numpy(correlated(mutual_information(table)))

    @property
    def rates(self) -> Mapping[str, float]:
        """Share of the values of fields with several that are dropped."""
        return {"dropped values": self.options.drop_rate}

    def __call__(self, batch: Pairs, rng: Rng) -> list[View]:
        """The views. Ranks, which hold different pairs, draw different items; the seed field is common to all."""
        device, n = batch.items.device, len(self.table)
        wanted = min(self.options.items or len(batch), n)
        # All ranks have one rng a step: the first pair's number tells their shares of the batch apart.
        stream = rng.fork("items", int(batch.index[0])) if len(batch) else rng.fork("items")
        rows = torch.randperm(n, generator=stream.torch(device), device=device)[:wanted]
        return [
            self._view(rows, masked.to(device), rng.fork("view", number)) for number, masked in enumerate(self.fields(rng))
        ]

    def fields(self, rng: Rng) -> tuple[Tensor, Tensor]:
        """(fields,) bool each: what the two views mask."""
        k = len(self.table.fields)
        draw = rng.fork("fields").torch()
        if self.options.mask == "none":
            none = torch.zeros(k, dtype=torch.bool, device="cpu")
            return none, none
        if self.options.mask == "random":
            first = torch.zeros(k, dtype=torch.bool, device="cpu")
            first[torch.randperm(k, generator=draw, device="cpu")[: k // 2]] = True
            return first, ~first
        seeds = torch.randint(k, (2,), generator=draw, device="cpu")
        first = self.partners[seeds[0]]
        return first, (self.partners[seeds[1]] if self.options.mask == "alone" else ~first)

    def _view(self, rows: Tensor, masked: Tensor, rng: Rng) -> View:
        hidden = masked.expand(len(rows), -1) if bool(masked.any()) else None
        dropped = None
        if self.options.drop_rate:
            drawn = self.table.take(rows.to(self.table.offsets[0].device)).to(rows.device)
            dropped = drop_values(drawn, self.options.drop_rate, rng)
        return View(Entities(rows, dropped, hidden), ids={"item": rows}, role="item")


def drop_values(table: FeatureTable, rate: float, rng: Rng) -> FeatureTable:
    """``table`` without a share ``rate`` of the values of entities that have several of a field; one value stays at least."""
    kept = []
    for field, (offsets, codes) in enumerate(zip(table.offsets, table.codes, strict=True)):
        device, count = codes.device, offsets.diff()
        luck = torch.rand(len(codes), generator=rng.fork("values", field).torch(device), device=device)
        owner = torch.arange(len(count), device=device).repeat_interleave(count, output_size=len(codes))
        # The luckiest value of each entity stays: the last one when values are ordered by entity, then by luck.
        order = luck.argsort()
        order = order[owner[order].argsort(stable=True)]
        kept.append((luck >= rate).index_fill(0, order[(offsets[1:] - 1)[count > 0]], True))
    return table.keep(kept)


def build(options: MaskedItemOptions, spec: RecSpec) -> MaskedItems:
    """The views. UsageError where items have no features, or too few fields to mask a part of them."""
    require_pairs(spec, "masked_items")
    if spec.item_features is None:
        raise UsageError("views masked_items: the items have no features to mask; give an item table (data.items).")
    if options.mask != "none" and len(spec.item_features.fields) < 2:
        raise UsageError(
            f"views masked_items with mask: {options.mask} needs two fields of the items; they have "
            f"{', '.join(spec.item_features.fields)} alone. Choose mask: none with drop_rate, or give more fields."
        )
    return MaskedItems(options, spec.item_features)
