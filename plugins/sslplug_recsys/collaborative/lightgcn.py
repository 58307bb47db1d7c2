"""LightGCN's encoder (He et al. 2020, arXiv:2002.02126): free embeddings, propagated without weights or non-linearity.

    E^{l+1} = A^ E^l,   final = mean (or sum) of the layers 0..L, or 1..L without the ego layer

L = 0 is matrix factorisation. ``sum`` is LightGCL's combination, ``ego: false`` SimGCL's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug.errors import UsageError
from sslplug_recsys.batch import Entities
from sslplug_recsys.graph import Graph, graph_of
from sslplug_recsys.propagation import Branch, Reading, propagate
from sslplug_recsys.spec import RecSpec

SIDES: Mapping[str, str] = {"user": "user", "item": "item", "negative": "item"}
"""The level that a view's rows are of, by role."""


class LightGcnOptions(Options):
    """Options of LightGCN."""

    dim: int = Field(64, ge=1, description="width of the embeddings")
    layers: int = Field(3, ge=0, description="L: propagations; 0 is matrix factorisation")
    ego: bool = Field(True, description="layer 0 takes part in the final embedding")
    combine: Literal["mean", "sum"] = Field("mean", description="of the layers that take part")
    init: Literal["normal", "xavier_uniform", "xavier_normal"] = Field(
        "normal", description="initial embeddings; xavier for users and items apart"
    )
    std: float = Field(0.1, gt=0, description="standard deviation of init: normal")
    relations: tuple[str, ...] = Field(
        (), description="further edges: the data's relations (user-user) or fields of features (item-category)"
    )

    @model_validator(mode="after")
    def _consistent(self) -> LightGcnOptions:
        if not self.layers and not self.ego:
            raise ValueError("layers: 0 leaves nothing but the ego layer; set ego: true")
        return self


class LightGcn(nn.Module):
    """Rows of the final table at the level that a view's role names, and again at the level pair."""

    def __init__(self, options: LightGcnOptions, spec: RecSpec) -> None:
        super().__init__()
        self.options = options
        self.dims = dict.fromkeys(("user", "item", "pair"), options.dim)
        clean = graph_of(spec, options.relations)
        self.users, self.items, self.edges = clean.users, clean.items, clean.edges
        for name in ("offsets", "neighbours", "edge", "values"):
            # Made again from the data: no part of a checkpoint, but moved with the module.
            self.register_buffer(f"graph_{name}", getattr(clean, name), persistent=False)
        self.table = nn.Parameter(initial(options, [clean.users, clean.items, clean.nodes - clean.users - clean.items]))

    @property
    def graph(self) -> Graph:
        """The clean graph, on the module's device."""
        offsets, neighbours, edge, values = (
            self.get_buffer(f"graph_{name}") for name in ("offsets", "neighbours", "edge", "values")
        )
        return Graph(self.users, self.items, offsets, neighbours, edge, values, self.edges)

    @property
    def final(self) -> tuple[float, ...]:
        """(L + 1,) coefficients of the layers in the final embedding."""
        o = self.options
        count = o.layers + o.ego
        weight = 1.0 / count if o.combine == "mean" else 1.0
        return (weight if o.ego else 0.0, *[weight] * o.layers)

    def layer(self, number: int) -> tuple[float, ...]:
        """(L + 1,) coefficients that read one layer by itself. Raises UsageError where there is no such layer."""
        if not 0 <= number <= self.options.layers:
            raise UsageError(f"There is no layer {number}: the encoder has layers 0 to {self.options.layers}.")
        return tuple(float(layer == number) for layer in range(self.options.layers + 1))

    def propagate(self, branches: Sequence[Branch], graphs: Sequence[Graph] | None = None) -> list[Tensor]:
        """Readings of the table propagated over the clean graph, or over ``graphs``, one a layer."""
        return propagate(self.table, [self.graph] * self.options.layers if graphs is None else graphs, branches)

    def nodes(self, view: View) -> Tensor:
        """(n,) int64 node numbers of a view's rows. Raises UsageError for views that are not of one side."""
        if view.role not in SIDES or not isinstance(view.data, Entities):
            raise UsageError(
                f"Encoder 'lightgcn' got a view of role {view.role!r} holding {type(view.data).__name__}; expected rows of role "
                "user, item or negative. Choose views: triples."
            )
        return view.data.rows if SIDES[view.role] == "user" else view.data.rows + self.users

    def forward(self, view: View) -> Embedding:
        """The final rows of a view."""
        rows, graph = self.nodes(view), view.data.graph
        graphs = None if graph is None else [graph] * self.options.layers
        found = self.propagate([Branch((Reading(self.final, rows),))], graphs)[0]
        return Embedding({SIDES[view.role]: found, "pair": found})


def initial(options: LightGcnOptions, sizes: Sequence[int]) -> Tensor:
    """(sum of sizes, d) initial embeddings."""
    parts = [torch.empty(size, options.dim) for size in sizes if size]
    for part in parts:
        if options.init == "normal":
            nn.init.normal_(part, std=options.std)
        elif options.init == "xavier_uniform":
            nn.init.xavier_uniform_(part)
        else:
            nn.init.xavier_normal_(part)
    return torch.cat(parts)


def build(options: LightGcnOptions, spec: RecSpec) -> LightGcn:
    """The encoder."""
    return LightGcn(options, spec)
