"""Items as rows: a vector of its own for each item, its features' vectors, or both, mapped to one width."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from sslplug.contracts import Component, Embedding, Options, View, tags
from sslplug.errors import UsageError
from sslplug_recsys.batch import Entities
from sslplug_recsys.relatedness.basket_data import need_baskets
from sslplug_recsys.spec import RecSpec
from sslplug_recsys.towers.feature_input import FeatureInput


class ItemRowsOptions(Options):
    """Options of the encoder."""

    ids: bool = Field(True, description="each item has a vector of its own (only items of training are known by it)")
    features: bool = Field(False, description="items are known by their features")
    width: int = Field(32, ge=1, description="width of one feature's or number's vector, where features are used")
    dim: int = Field(64, ge=1, description="width of the rows")


class ItemRows(nn.Module):
    """Level ``item``. With ids alone a table of vectors, else a linear map of :class:`FeatureInput`."""

    def __init__(self, options: ItemRowsOptions, spec: RecSpec) -> None:
        super().__init__()
        alone = not options.features
        table = None if alone else spec.item_features
        ids = spec.items if options.ids else 0
        seen = torch.zeros(ids).index_fill(0, spec.item, 1.0) if ids else torch.zeros(0)
        self.input = FeatureInput(table, options.dim if alone else options.width, ids, seen, hides=False)
        self.map = nn.Identity() if alone else nn.Linear(self.input.width, options.dim)
        self.dims = {"item": options.dim}

    def forward(self, view: View) -> Embedding:
        """The rows of the view's items."""
        if not isinstance(view.data, Entities):
            raise UsageError(f"Encoder 'item-rows' reads items, not {type(view.data).__name__}.")
        return Embedding({"item": self.map(self.input(view.data))})


def build(options: ItemRowsOptions, spec: RecSpec) -> ItemRows:
    """The encoder. UsageError where items would have nothing to be known by."""
    need_baskets(spec, "Encoder 'item-rows'")
    if not options.ids and not (options.features and spec.item_features is not None):
        raise UsageError("encoder item-rows: items have neither ids nor features; set ids: true.")
    if options.features and spec.item_features is None:
        raise UsageError("encoder item-rows: features: true, but this data's items have none.")
    return ItemRows(options, spec)


ITEM_ROWS = Component(
    ItemRowsOptions, build, "Items by a vector each, by their features, or both", provides=tags("level:item")
)
