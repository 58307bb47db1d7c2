"""Nodes by themselves, no edges: CCA-SSG's encoder for Coauthor CS, and the control for what edges bring."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Positive, View
from sslplug_graph.batch import GraphBatch
from sslplug_graph.encoders.feature_input import FeatureInput
from sslplug_graph.encoders.layer_end import Norm, StackOptions, layer_ends
from sslplug_graph.encoders.pooling import embedding
from sslplug_graph.pieces import by_pieces, piece_size
from sslplug_graph.spec import GraphSpec


class MlpOptions(StackOptions):
    """Layers and what follows each."""

    widths: list[Positive] = Field([512, 512], min_length=1, description="output width of each layer")
    activate_last: bool = Field(False, description="norm and activation after the last layer too")
    norm: Norm = Field("batch", description="norm between linear map and activation")
    input_dropout: float = Field(0.0, ge=0, lt=1, description="dropout on the input features")


class Mlp(nn.Module):
    """``mlp(view) -> Embedding`` of levels node and graph."""

    def __init__(self, options: MlpOptions, num_features: int) -> None:
        super().__init__()
        widths, last = options.widths, len(options.widths) - 1
        self.input = FeatureInput(num_features, widths[0], options.input_dropout)
        # A norm takes the bias away again, so a layer has one only where no norm follows.
        normed = [options.norm != "none" and (number < last or options.activate_last) for number in range(len(widths))]
        self.bias = None if normed[0] else nn.Parameter(self.input.weight.new_zeros(widths[0]))
        self.layers = nn.ModuleList(
            nn.Linear(widths[number], widths[number + 1], bias=not normed[number + 1]) for number in range(last)
        )
        self.ends = layer_ends(options, options.dropout)
        self.pool = options.pool
        self.dims: Mapping[str, int] = {"node": widths[-1], "graph": widths[-1]}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's nodes (the seeds of a sampled batch) and graphs."""
        batch: GraphBatch = view.data
        size = piece_size(self, batch)
        rows: Tensor = self.input(view, None, size)
        return embedding(by_pieces(lambda start, stop: self._rest(rows[start:stop]), len(rows), size), batch, self.pool)

    def _rest(self, mapped: Tensor) -> Tensor:
        """(n, d) of rows that the first map has behind them."""
        rows: Tensor = self.ends[0](mapped if self.bias is None else mapped + self.bias)
        for number, layer in enumerate(self.layers):
            rows = self.ends[number + 1](layer(rows))
        return rows


def build(options: MlpOptions, spec: GraphSpec) -> Mlp:
    """The encoder for the data's features."""
    return Mlp(options, spec.num_features)
