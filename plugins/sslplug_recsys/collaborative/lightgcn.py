"""LightGCN's encoder (He et al. 2020, arXiv:2002.02126): free embeddings, propagated without weights or non-linearity.

    E^{l+1} = A^ E^l,   final = mean (or sum) of the layers 0..L, or 1..L without the ego layer

L = 0 is matrix factorisation. ``sum`` is LightGCL's combination, ``ego: false`` SimGCL's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor

from sslplug.contracts import Embedding, View
from sslplug.errors import UsageError
from sslplug_recsys.collaborative.graph_table import SIDES, GraphTable, TableOptions
from sslplug_recsys.graph import Graph
from sslplug_recsys.propagation import Branch, Reading, propagate
from sslplug_recsys.spec import RecSpec


class LightGcnOptions(TableOptions):
    """Options of LightGCN."""

    layers: int = Field(3, ge=0, description="L: propagations; 0 is matrix factorisation")
    ego: bool = Field(True, description="layer 0 takes part in the final embedding")
    combine: Literal["mean", "sum"] = Field("mean", description="of the layers that take part")

    @model_validator(mode="after")
    def _consistent(self) -> LightGcnOptions:
        if not self.layers and not self.ego:
            raise ValueError("layers: 0 leaves nothing but the ego layer; set ego: true")
        return self


class LightGcn(GraphTable):
    """Rows of the final table at the level that a view's role names, and again at the level pair."""

    def __init__(self, options: LightGcnOptions, spec: RecSpec) -> None:
        super().__init__(options, spec)
        self.options = options

    @property
    def final(self) -> tuple[float, ...]:
        """(L + 1,) coefficients of the layers in the final embedding."""
        o = self.options
        weight = 1.0 / (o.layers + o.ego) if o.combine == "mean" else 1.0
        return (weight if o.ego else 0.0, *[weight] * o.layers)

    def layer(self, number: int) -> tuple[float, ...]:
        """(L + 1,) coefficients that read one layer by itself. Raises UsageError where there is no such layer."""
        if not 0 <= number <= self.options.layers:
            raise UsageError(f"There is no layer {number}: the encoder has layers 0 to {self.options.layers}.")
        return tuple(float(layer == number) for layer in range(self.options.layers + 1))

    def propagate(self, branches: Sequence[Branch], graphs: Sequence[Graph] | None = None) -> list[Tensor]:
        """Readings of the table propagated over the clean graph, or over ``graphs``, one a layer."""
        return propagate(self.table, [self.graph] * self.options.layers if graphs is None else graphs, branches)

    def forward(self, view: View) -> Embedding:
        """The final rows of a view."""
        rows, graph = self.nodes(view), view.data.graph
        graphs = None if graph is None else [graph] * self.options.layers
        found = self.propagate([Branch((Reading(self.final, rows),))], graphs)[0]
        return Embedding({SIDES[view.role]: found, "pair": found})


def build(options: LightGcnOptions, spec: RecSpec) -> LightGcn:
    """The encoder."""
    return LightGcn(options, spec)
