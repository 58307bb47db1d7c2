"""Graph convolutional network (Kipf and Welling 2017): H' = act(norm(D^-1/2 (A + I) D^-1/2 H W + b))."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug_graph.batch import GraphBatch
from sslplug_graph.encoders.feature_input import FeatureInput
from sslplug_graph.encoders.layer_end import StackOptions, layer_ends
from sslplug_graph.encoders.pooling import embedding
from sslplug_graph.pieces import by_pieces, piece_size
from sslplug_graph.propagation import Operator, symmetric
from sslplug_graph.spec import GraphSpec


class GcnOptions(StackOptions):
    """Convolutions and what follows each (activate_last: GRACE, BGRL)."""

    bias: bool = Field(True, description="a bias in each convolution")
    input_dropout: float = Field(0.0, ge=0, lt=1, description="dropout on the input features")


class Gcn(nn.Module):
    """``gcn(view) -> Embedding`` of levels node and graph. Glorot weights, zero biases."""

    def __init__(self, options: GcnOptions, num_features: int) -> None:
        super().__init__()
        widths = options.widths
        self.input = FeatureInput(num_features, widths[0], options.input_dropout)
        self.weights = nn.ParameterList(
            nn.Parameter(nn.init.xavier_uniform_(torch.empty(a, b))) for a, b in pairwise(widths)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in widths if options.bias)
        self.ends = layer_ends(options, options.dropout)
        self.pool = options.pool
        self.dims: Mapping[str, int] = {"node": widths[-1], "graph": widths[-1]}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's nodes (the seeds of a sampled batch) and graphs."""
        batch: GraphBatch = view.data
        propagate, size, nodes = symmetric(batch), piece_size(self, batch), batch.num_nodes
        rows: Tensor = self.input(view, propagate, size)
        for number in range(len(self.ends)):
            weight = self.weights[number - 1] if number else None
            # A(HW) = (AH)W: propagate on the narrower side.
            if weight is not None and weight.shape[1] <= weight.shape[0]:
                rows, weight = by_pieces(partial(_mapped, rows, weight), nodes, size), None
            rows = by_pieces(partial(self._layer, number, rows, propagate, weight), nodes, size)
        return embedding(rows, batch, self.pool)

    def _layer(self, number: int, rows: Tensor, propagate: Operator, weight: Tensor | None, start: int, stop: int) -> Tensor:
        """Rows start:stop of layer ``number``, from (N, d) rows: times ``weight``, where they are not yet. The first one's rows
        are propagated already."""
        out = propagate.part(rows, start, stop) if number else rows[start:stop]
        out = out if weight is None else out @ weight
        end: Tensor = self.ends[number](out + self.biases[number] if len(self.biases) else out)
        return end


def _mapped(rows: Tensor, weight: Tensor, start: int, stop: int) -> Tensor:
    """Rows start:stop of H W."""
    return rows[start:stop] @ weight


def build(options: GcnOptions, spec: GraphSpec) -> Gcn:
    """The encoder for the data's features."""
    return Gcn(options, spec.num_features)
