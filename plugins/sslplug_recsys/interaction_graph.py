"""The graph of the training pairs and of further relations: friends, attributes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslplug.errors import UsageError
from sslplug_recsys.feature_table import MISSING, FeatureTable
from sslplug_recsys.graph import Graph, from_edges
from sslplug_recsys.spec import RecSpec


def graph_of(spec: RecSpec, relations: Sequence[str] = ()) -> Graph:
    """The clean graph of the training pairs and the named relations.

    A relation "a-b" is one of ``spec.relations``, or names a field of the features of users or items ("item-brand"): each of its
    values but the missing one becomes a node. Edges are undirected; repeated ones and self-loops are dropped.
    Raises UsageError for an unknown relation.
    """
    users, items = spec.users, spec.items
    starts, total = {"user": 0, "item": users}, users + items
    ends = [torch.stack([spec.user, spec.item + users])]
    for name in relations:
        left, _, right = name.partition("-")
        pairs = _relation(spec, name, left, right)
        for side, number in ((left, pairs[0]), (right, pairs[1])):
            if side not in starts:
                starts[side] = total
                total += int(number.max()) + 1 if len(number) else 0
        ends.append(torch.stack([pairs[0] + starts[left], pairs[1] + starts[right]]))
    joined = torch.cat(ends, 1)
    low, high = joined.amin(0), joined.amax(0)
    keys = torch.unique(low[low != high] * total + high[low != high])
    return from_edges(users, items, total, keys // total, keys % total)


def _relation(spec: RecSpec, name: str, left: str, right: str) -> Tensor:
    """(2, k) int64 pairs of a relation, the rows of the left side first."""
    if name in spec.relations:
        return spec.relations[name]
    features = {"user": spec.user_features, "item": spec.item_features}.get(left)
    if features is not None and right in features.fields:
        return _values_of(features, right)
    fields = [
        f"{side}-{field}"
        for side, table in (("user", spec.user_features), ("item", spec.item_features))
        for field in (() if table is None else table.fields)
    ]
    known = ", ".join([*spec.relations, *fields]) or "none"
    raise UsageError(f"encoder.relations: this data has no relation {name!r}; it has: {known}.")


def _values_of(features: FeatureTable, field: str) -> Tensor:
    """(2, k): an entity and one of its values, without missing ones."""
    number = features.fields.index(field)
    offsets, codes = features.offsets[number], features.codes[number]
    owner = torch.arange(len(offsets) - 1).repeat_interleave(offsets.diff(), output_size=len(codes))
    known = codes != MISSING
    return torch.stack([owner[known], codes[known] - 1])
