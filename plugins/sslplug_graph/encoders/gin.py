"""Graph isomorphism network (Xu et al. 2019): H' = MLP((1 + eps) H + sum of the in-neighbours)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug_graph.batch import GraphBatch
from sslplug_graph.encoders.feature_input import FeatureInput
from sslplug_graph.encoders.layer_end import Activation, LayerEnd, Norm, norm_layer
from sslplug_graph.encoders.pooling import Pool, embedding
from sslplug_graph.pieces import by_pieces, piece_size
from sslplug_graph.propagation import Operator, total
from sslplug_graph.spec import GraphSpec


class GinOptions(Options):
    """Layers and what follows each."""

    widths: list[int] = Field([32, 32, 32], min_length=1, description="output width of each layer's MLP")
    activation: Activation = Field("relu", description="after each layer's MLP")
    norm: Norm = Field("batch", description="norm after each layer's MLP")
    norm_last: bool = Field(True, description="activation, then norm (GraphCL, InfoGraph); false: norm, then activation")
    mlp_norm: Norm = Field("none", description="norm inside the MLP, between its two linear maps (GraphMAE: batch)")
    batch_norm_momentum: float = Field(0.1, gt=0, le=1, description="weight of the newest batch in running statistics")
    learn_eps: bool = Field(False, description="learn the weight of a node itself; otherwise 1")
    concat: bool = Field(True, description="concatenate all layers' rows (GraphCL); otherwise take the last")
    pool: Pool = Field("sum", description="how nodes make a graph embedding")


class GinLayer(nn.Module):
    """The part of a layer after its first linear map, which commutes with the sum over neighbours: S (H W) = (S H) W."""

    def __init__(self, options: GinOptions, width: int) -> None:
        super().__init__()
        momentum = options.batch_norm_momentum
        self.eps = nn.Parameter(torch.zeros(())) if options.learn_eps else None
        self.bias = nn.Parameter(torch.zeros(width))
        self.inner = norm_layer(options.mlp_norm, width, momentum)
        self.second = nn.Linear(width, width)
        norm: Norm = "none" if options.norm_last else options.norm
        self.end = LayerEnd(width, norm, momentum, options.activation)
        self.after = norm_layer(options.norm, width, momentum) if options.norm_last else nn.Identity()

    def forward(self, mapped: Tensor, gather: Operator, size: int | None = None) -> Tensor:
        """(N, d) from H W (N, d), ``size`` rows at a time or all at once."""

        def layer(start: int, stop: int) -> Tensor:
            summed = gather.part(mapped, start, stop)
            summed = summed if self.eps is None else summed + self.eps * mapped[start:stop]
            out: Tensor = self.after(self.end(self.second(self.inner(summed + self.bias).relu())))
            return out

        return by_pieces(layer, len(mapped), size)


class Gin(nn.Module):
    """``gin(view) -> Embedding`` of levels node and graph."""

    def __init__(self, options: GinOptions, num_features: int) -> None:
        super().__init__()
        widths = options.widths
        self.input = FeatureInput(num_features, widths[0])
        self.weights = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(widths))
        self.layers = nn.ModuleList(GinLayer(options, width) for width in widths)
        self.concat, self.pool = options.concat, options.pool
        dim = sum(widths) if options.concat else widths[-1]
        self.dims: Mapping[str, int] = {"node": dim, "graph": dim}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's nodes (the seeds of a sampled batch) and graphs."""
        batch: GraphBatch = view.data
        gather, size = total(batch, own=1.0), piece_size(self, batch)
        rows: Tensor = self.layers[0](self.input(view, None, size), gather, size)
        kept = [rows] if self.concat else []
        for weight, layer in zip(self.weights, list(self.layers)[1:]):
            rows = by_pieces(partial(_mapped, weight, rows), batch.num_nodes, size)
            rows = layer(rows, gather, size)
            kept += [rows] if self.concat else []
        return embedding(torch.cat(kept, 1) if self.concat else rows, batch, self.pool)


def _mapped(weight: nn.Module, rows: Tensor, start: int, stop: int) -> Tensor:
    """Rows start:stop of H W."""
    mapped: Tensor = weight(rows[start:stop])
    return mapped


def build(options: GinOptions, spec: GraphSpec) -> Gin:
    """The encoder for the data's features."""
    return Gin(options, spec.num_features)
