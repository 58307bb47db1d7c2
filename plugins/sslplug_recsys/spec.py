"""What the data tells views and encoders about itself. Everything here comes from training pairs, and features, alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from torch import Tensor

from sslplug_recsys.batch import Histories
from sslplug_recsys.feature_table import FeatureTable

_NOTHING: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class RecSpec:
    """Users, items and their training interactions.

    users, items    how many there are, those without a training pair counted
    user, item      (e,) int64: the training pairs, no pair twice
    popularity      (items,) int64: training pairs of each item
    user_features, item_features  of all users and items, or None
    relations       further edges, {"user-user": (2, k) friends, "item-attribute": (2, k), ...}, int64
    histories       training sequences (sequence data), or None
    batches         what training batches are, so that views of another kind are refused before training: (user, item) pairs,
                    sequences of items, or pairs of items from one basket
    """

    users: int
    items: int
    user: Tensor
    item: Tensor
    popularity: Tensor
    user_features: FeatureTable | None = None
    item_features: FeatureTable | None = None
    relations: Mapping[str, Tensor] = field(default_factory=lambda: _NOTHING)
    histories: Histories | None = None
    batches: Literal["pairs", "sequences", "baskets"] = "pairs"
