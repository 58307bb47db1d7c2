"""What encoders of graph nodes share: one table of free embeddings, the clean graph, and which rows a view asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Options, View
from sslplug.errors import UsageError
from sslplug_recsys.batch import Entities
from sslplug_recsys.graph import Graph
from sslplug_recsys.interaction_graph import graph_of
from sslplug_recsys.spec import RecSpec

SIDES: Mapping[str, str] = {"user": "user", "item": "item", "negative": "item"}
"""The level that a view's rows are of, by role."""


class TableOptions(Options):
    """The table and the graph."""

    dim: int = Field(64, ge=1, description="width of the embeddings")
    init: Literal["normal", "xavier_uniform", "xavier_normal"] = Field(
        "normal", description="initial embeddings; xavier for users and items apart"
    )
    std: float = Field(0.1, gt=0, description="standard deviation of init: normal")
    relations: tuple[str, ...] = Field(
        (), description="further edges: the data's relations (user-user) or fields of features (item-category)"
    )


class GraphTable(nn.Module):
    """``table`` (N, d): users, items, further nodes."""

    def __init__(self, options: TableOptions, spec: RecSpec) -> None:
        super().__init__()
        self.dims = dict.fromkeys(("user", "item", "pair"), options.dim)
        clean = graph_of(spec, options.relations)
        self.users, self.items, self.edges = clean.users, clean.items, clean.edges
        for name in ("offsets", "neighbours", "edge", "values"):
            # Made again from the data: no part of a checkpoint, but moved with the module.
            self.register_buffer(f"graph_{name}", getattr(clean, name), persistent=False)
        sizes = (clean.users, clean.items, clean.nodes - clean.users - clean.items)
        self.table = nn.Parameter(torch.cat([_initial(options, size) for size in sizes if size]))

    @property
    def graph(self) -> Graph:
        """The clean graph, on the module's device."""
        offsets, neighbours, edge, values = (
            self.get_buffer(f"graph_{name}") for name in ("offsets", "neighbours", "edge", "values")
        )
        return Graph(self.users, self.items, offsets, neighbours, edge, values, self.edges)

    def nodes(self, view: View) -> Tensor:
        """(n,) int64 node numbers of a view's rows. Raises UsageError for views that are not of one side."""
        if view.role not in SIDES or not isinstance(view.data, Entities):
            raise UsageError(
                f"An encoder of graph nodes got a view of role {view.role!r} holding {type(view.data).__name__}; expected rows of "
                "role user, item or negative. Choose views: triples."
            )
        return view.data.rows if SIDES[view.role] == "user" else view.data.rows + self.users


def _initial(options: TableOptions, size: int) -> Tensor:
    part = torch.empty(size, options.dim)
    if options.init == "normal":
        return nn.init.normal_(part, std=options.std)
    return nn.init.xavier_uniform_(part) if options.init == "xavier_uniform" else nn.init.xavier_normal_(part)
