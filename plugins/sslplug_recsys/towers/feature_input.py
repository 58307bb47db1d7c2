"""Entities as vectors: an embedding for each field, several values averaged, and perhaps one for the entity itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug_recsys.batch import Entities
from sslplug_recsys.feature_table import FeatureTable


class FeatureInput(nn.Module):
    """(m, width) rows of one side: the fields' vectors side by side, then the entity's own.

    table    the features of all of the side's entities, looked up where a view brings none; None: no features
    ids      how many entities have a vector of their own; 0: none. An entity without a training pair keeps a zero vector
             instead, so that it is known by its features alone.
    hides    whether fields may be hidden: then each has a learned default vector, which is no value's
    """

    known: Tensor

    def __init__(self, table: FeatureTable | None, width: int, ids: int, seen: Tensor, hides: bool) -> None:
        super().__init__()
        self.fields = () if table is None else table.fields
        self.values = nn.ModuleList()
        if table is not None:
            self.values.extend(nn.EmbeddingBag(size, width, mode="mean") for size in table.sizes)
            for field, (offsets, codes) in enumerate(zip(table.offsets, table.codes, strict=True)):
                self.register_buffer(f"offsets{field}", offsets, persistent=False)
                self.register_buffer(f"codes{field}", codes, persistent=False)
            self.sizes = table.sizes
        self.default = nn.Parameter(torch.empty(len(self.fields), width)) if hides and self.fields else None
        self.own = nn.Embedding(ids, width) if ids else None
        self.register_buffer("known", seen, persistent=False)
        self.width = width * (len(self.fields) + (self.own is not None))
        for values in (*self.values, *([self.own] if self.own is not None else [])):
            nn.init.normal_(values.weight, std=width**-0.5)
        if self.default is not None:
            nn.init.normal_(self.default, std=width**-0.5)

    def forward(self, entities: Entities) -> Tensor:
        """The input rows of the tower."""
        rows = entities.rows
        parts: list[Tensor] = []
        if self.fields:
            features = entities.features if entities.features is not None else self._table().take(rows)
            for field, values in enumerate(self.values):
                found = values(features.codes[field], features.offsets[field][:-1])
                if entities.hidden is not None and self.default is not None:
                    found = torch.where(entities.hidden[:, field, None], self.default[field].to(found.dtype), found)
                parts.append(found)
        if self.own is not None:
            parts.append(F.embedding(rows, self.own.weight) * self.known[rows, None])
        return torch.cat(parts, 1)

    def _table(self) -> FeatureTable:
        """The side's features, wherever the module lies."""
        count = range(len(self.fields))
        offsets = tuple(self.get_buffer(f"offsets{field}") for field in count)
        return FeatureTable(self.fields, self.sizes, offsets, tuple(self.get_buffer(f"codes{field}") for field in count))
