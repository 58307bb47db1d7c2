"""Graph convolutional network (Kipf and Welling 2017): H' = act(norm(D^-1/2 (A + I) D^-1/2 H W + b))."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug_graph.batch import GraphBatch
from sslplug_graph.encoders.feature_input import FeatureInput
from sslplug_graph.encoders.layer_end import Activation, LayerEnd, Norm
from sslplug_graph.encoders.pooling import Pool, embedding
from sslplug_graph.propagation import symmetric
from sslplug_graph.spec import GraphSpec


class GcnOptions(Options):
    """Layers and what follows each."""

    widths: list[int] = Field([256, 128], min_length=1, description="output width of each layer")
    activation: Activation = Field("relu", description="after every layer (see activate_last)")
    activate_last: bool = Field(True, description="norm and activation after the last layer too (GRACE, BGRL)")
    norm: Norm = Field("none", description="norm between convolution and activation")
    batch_norm_momentum: float = Field(0.1, gt=0, le=1, description="weight of the newest batch in running statistics")
    bias: bool = Field(True, description="a bias in each convolution")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout after each layer but the last")
    input_dropout: float = Field(0.0, ge=0, lt=1, description="dropout on the input features")
    pool: Pool = Field("mean", description="how nodes make a graph embedding")


class Gcn(nn.Module):
    """``gcn(view) -> Embedding`` of levels node and graph. Glorot weights, zero biases."""

    def __init__(self, options: GcnOptions, num_features: int) -> None:
        super().__init__()
        widths, last = options.widths, len(options.widths) - 1
        self.input = FeatureInput(num_features, widths[0], options.input_dropout)
        self.weights = nn.ParameterList(
            nn.Parameter(nn.init.xavier_uniform_(torch.empty(a, b))) for a, b in pairwise(widths)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in widths if options.bias)
        self.ends = nn.ModuleList()
        for number, width in enumerate(widths):
            if number < last or options.activate_last:
                dropout = options.dropout if number < last else 0.0
                self.ends.append(LayerEnd(width, options.norm, options.batch_norm_momentum, options.activation, dropout))
            else:
                self.ends.append(nn.Identity())
        self.pool = options.pool
        self.dims: Mapping[str, int] = {"node": widths[-1], "graph": widths[-1]}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's nodes (the seeds of a sampled batch) and graphs."""
        batch: GraphBatch = view.data
        propagate = symmetric(batch)
        rows: Tensor = self.input(view, propagate)
        for number, end in enumerate(self.ends):
            if number:
                weight = self.weights[number - 1]
                # A(HW) = (AH)W: propagate on the narrower side.
                rows = propagate(rows @ weight) if weight.shape[1] <= weight.shape[0] else propagate(rows) @ weight
            rows = end(rows + self.biases[number] if len(self.biases) else rows)
        return embedding(rows, batch, self.pool)


def build(options: GcnOptions, spec: GraphSpec) -> Gcn:
    """The encoder for the data's features."""
    return Gcn(options, spec.num_features)
