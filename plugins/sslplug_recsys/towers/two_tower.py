"""Two towers: users and items meet in one space, each through features, numbers and a perceptron of its own.

The item tower is shared by the main loss and the item-side contrast (Yao et al. 2021). Embeddings are unit rows, so that the dot
products of the ranking are the cosines that were trained.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Embedding, Options, Positive, View
from sslplug.errors import UsageError
from sslplug_recsys.batch import Entities
from sslplug_recsys.feature_table import FeatureTable
from sslplug_recsys.spec import RecSpec
from sslplug_recsys.towers.feature_input import FeatureInput


class TwoTowerOptions(Options):
    """Options of both towers."""

    width: int = Field(32, ge=1, description="width of one field's or number's vector")
    hidden: tuple[Positive, ...] = Field((128, 64), description="widths of the hidden layers")
    dim: int = Field(32, ge=1, description="width of the common space")
    item_ids: bool = Field(False, description="items have a vector of their own beside their features")
    user_ids: bool = Field(True, description="users have one")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout of the input rows, in training")
    normalise: bool = Field(True, description="unit rows; false: dot products of any length")


class Tower(nn.Module):
    """Input, dropout, then a perceptron."""

    def __init__(self, entities: FeatureInput, hidden: tuple[int, ...], dim: int, dropout: float) -> None:
        super().__init__()
        self.input = entities
        self.dropout = dropout
        widths = (entities.width, *hidden, dim)
        layers: list[nn.Module] = []
        for a, b in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, entities: Entities) -> Tensor:
        """(m, dim)."""
        rows: Tensor = self.layers(F.dropout(self.input(entities), self.dropout, self.training))
        return rows


class TwoTower(nn.Module):
    """Role "user" goes through the user tower, "item" and "negative" through the item tower.

    Levels: ``user`` or ``item``, and the common ``pair``. No part of an embedding belongs to an item's number unless
    ``item_ids``, so that items that training has never seen are embedded as well as their features tell.
    """

    def __init__(self, options: TwoTowerOptions, spec: RecSpec) -> None:
        super().__init__()
        self.normalise = options.normalise
        self.dims = {"user": options.dim, "item": options.dim, "pair": options.dim}

        def tower(table: FeatureTable | None, ids: int, acting: Tensor, hides: bool) -> Tower:
            seen = torch.zeros(ids).index_fill(0, acting, 1.0) if ids else torch.zeros(0)
            return Tower(FeatureInput(table, options.width, ids, seen, hides), options.hidden, options.dim, options.dropout)

        self.user = tower(spec.user_features, spec.users if options.user_ids else 0, spec.user, False)
        self.item = tower(spec.item_features, spec.items if options.item_ids else 0, spec.item, True)

    def forward(self, view: View) -> Embedding:
        """The embeddings of one side."""
        level = "user" if view.role == "user" else "item"
        rows = (self.user if level == "user" else self.item)(view.data)
        if self.normalise:
            rows = F.normalize(rows, dim=1)
        return Embedding({level: rows, "pair": rows})


def build(options: TwoTowerOptions, spec: RecSpec) -> TwoTower:
    """The towers. UsageError where a side would have neither features nor numbers to be known by."""
    for side, table, ids in (("user", spec.user_features, options.user_ids), ("item", spec.item_features, options.item_ids)):
        if table is None and not ids:
            raise UsageError(f"encoder two_tower: the {side}s have no features, so {side}_ids must be true.")
    return TwoTower(options, spec)
