"""GraphSAGE (Hamilton et al. 2017), mean aggregator: H' = act(norm(mean of in-neighbours W_1 + H W_2 + b))."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug_graph.batch import GraphBatch
from sslplug_graph.encoders.feature_input import FeatureInput
from sslplug_graph.encoders.layer_end import StackOptions, layer_ends
from sslplug_graph.encoders.pooling import embedding
from sslplug_graph.pieces import all_by_pieces, by_pieces, piece_size
from sslplug_graph.propagation import Operator, mean
from sslplug_graph.spec import GraphSpec


class SageOptions(StackOptions):
    """Layers and what follows each."""

    input_dropout: float = Field(0.0, ge=0, lt=1, description="dropout on the input features")


class Sage(nn.Module):
    """``sage(view) -> Embedding`` of levels node and graph. One map makes both halves: the neighbours' and the node's own."""

    def __init__(self, options: SageOptions, num_features: int) -> None:
        super().__init__()
        widths, last = options.widths, len(options.widths) - 1
        self.input = FeatureInput(num_features, 2 * widths[0], options.input_dropout)
        self.layers = nn.ModuleList(nn.Linear(widths[n], 2 * widths[n + 1], bias=False) for n in range(last))
        self.biases = nn.ParameterList(nn.Parameter(self.input.weight.new_zeros(width)) for width in widths)
        self.ends = layer_ends(options, options.dropout)
        self.pool = options.pool
        self.dims: Mapping[str, int] = {"node": widths[-1], "graph": widths[-1]}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's nodes (the seeds of a sampled batch) and graphs."""
        batch: GraphBatch = view.data
        average, size, nodes = mean(batch), piece_size(self, batch), batch.num_nodes
        rows: Tensor = self.input(view, None, size)
        for number in range(len(self.ends)):
            neighbours, rows = all_by_pieces(partial(self._halves, number, rows), nodes, size)
            layer = partial(self._layer, number, neighbours.contiguous(), rows, average)
            rows = by_pieces(layer, nodes, size)
            del neighbours, layer
        return embedding(rows, batch, self.pool)

    def _halves(self, number: int, rows: Tensor, start: int, stop: int) -> tuple[Tensor, ...]:
        """What nodes start:stop bring to their neighbours and to themselves; the first layer's rows are mapped already."""
        both = self.layers[number - 1](rows[start:stop]) if number else rows[start:stop]
        return both.chunk(2, 1)

    def _layer(self, number: int, neighbours: Tensor, own: Tensor, average: Operator, start: int, stop: int) -> Tensor:
        """Rows start:stop of layer ``number``."""
        out: Tensor = self.ends[number](average.part(neighbours, start, stop) + own[start:stop] + self.biases[number])
        return out


def build(options: SageOptions, spec: GraphSpec) -> Sage:
    """The encoder for the data's features."""
    return Sage(options, spec.num_features)
