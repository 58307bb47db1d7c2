"""Graph attention network (Velickovic et al. 2018): a node is the attention-weighted mean of its in-neighbours and itself."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from weakref import WeakKeyDictionary

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from sslplug.contracts import Embedding, View
from sslplug_graph.batch import GraphBatch, Structure
from sslplug_graph.encoders.feature_input import FeatureInput
from sslplug_graph.encoders.layer_end import Activation, StackOptions, layer_ends
from sslplug_graph.encoders.pooling import embedding
from sslplug_graph.propagation import edge_values, product
from sslplug_graph.spec import GraphSpec

_SLOPE = 0.2
_GAIN = nn.init.calculate_gain("relu")
"""How the DGL library starts attention layers: Xavier's normal draw with this gain. torch_geometric takes Glorot's uniform draw."""


_PER_HEAD: WeakKeyDictionary[Structure, dict[int, Structure]] = WeakKeyDictionary()


def per_head(structure: Structure, heads: int) -> Structure:
    """The edges over N h rows, row i h + k for head k of node i: one product serves all heads. Cached by structure.

    Its edge e h + k is head k of entry e of ``structure.by_target``.
    """
    known = _PER_HEAD.setdefault(structure, {})
    if heads not in known:
        by_target = structure.by_target
        ends = torch.stack([by_target.indices, structure.edge_index[1][by_target.edge]])
        every = ends[:, :, None] * heads + torch.arange(heads, device=ends.device)
        known[heads] = Structure(every.flatten(1), structure.num_nodes * heads)
    return known[heads]


def attention(batch: GraphBatch, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Attention of each node over its in-edges and itself: (E, h) in ``by_target`` order, and (N, h) for the self-loops.

    Softmax over the in-neighbourhood of LeakyReLU(source[j] + target[i]), for scores (N, h); edge weights multiply the
    exponentials, so that a dropped edge (weight 0) gets nothing.
    """
    by_target = batch.structure.by_target
    owner = batch.structure.edge_index[1][by_target.edge]
    logits = functional.leaky_relu(source[by_target.indices] + target[owner], _SLOPE)
    own = functional.leaky_relu(source + target, _SLOPE)
    with torch.no_grad():
        index = owner[:, None].expand_as(logits)
        largest = own.scatter_reduce(0, index, logits, "amax")
    weights = (logits - largest[owner]).exp() * edge_values(batch)[:, None].to(logits.dtype)
    own = (own - largest).exp()
    norm = own.index_add(0, owner, weights)
    return weights / norm[owner], own / norm


class GatLayer(nn.Module):
    """(N, h c) of the transformed rows X W, or one head's A X of narrower X, for the caller to multiply by W: A (X W) = (A X) W.

    Scores are a . (X W) per head.
    """

    def __init__(self, width: int, heads: int, dropout: float, bias: bool = True) -> None:
        super().__init__()
        self.source = nn.Parameter(nn.init.xavier_normal_(torch.empty(heads, width // heads), _GAIN))
        self.target = nn.Parameter(nn.init.xavier_normal_(torch.empty(heads, width // heads), _GAIN))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.dropout = nn.Dropout(dropout)
        self.heads = heads

    def forward(self, rows: Tensor, batch: GraphBatch, weight: Tensor | None = None) -> Tensor:
        """Attend over ``rows`` = X W; with ``weight`` = W, over ``rows`` = X itself (needs ``bias=False``)."""
        if weight is None:
            split = rows.view(len(rows), self.heads, -1)
            source, target = (split * self.source).sum(-1), (split * self.target).sum(-1)
        else:
            source, target = rows @ (weight @ self.source.T), rows @ (weight @ self.target.T)
            split = rows[:, None, :]
        edge, own = (self.dropout(part) for part in attention(batch, source, target))
        structure = per_head(batch.structure, self.heads)
        mixed = product(structure, edge.flatten()[structure.by_target.edge], split.flatten(0, 1)).view_as(split)
        out: Tensor = (mixed + own[:, :, None] * split).view_as(rows)
        return out if self.bias is None else out + self.bias


class GatOptions(StackOptions):
    """Layers and what follows each."""

    widths: list[int] = Field([512, 512], min_length=1, description="output width of each layer, all heads together")
    heads: int = Field(4, ge=1, description="attention heads of each layer, concatenated")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout on the input of each layer, features included")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="dropout on attention weights")
    activation: Activation = Field("prelu", description="after every layer (see activate_last)")
    residual: bool = Field(False, description="add a linear map of a layer's input to its output (from layer 2 on)")

    @model_validator(mode="after")
    def _divisible(self) -> GatOptions:
        odd = [width for width in self.widths if width % self.heads]
        if odd:
            raise ValueError(f"width {odd[0]} is no multiple of the {self.heads} heads; choose one that is")
        return self


class Gat(nn.Module):
    """``gat(view) -> Embedding`` of levels node and graph."""

    def __init__(self, options: GatOptions, num_features: int) -> None:
        super().__init__()
        widths = options.widths
        self.input = FeatureInput(num_features, widths[0], options.dropout)
        nn.init.xavier_normal_(self.input.weight, _GAIN)
        self.weights = nn.ParameterList(
            nn.Parameter(nn.init.xavier_normal_(torch.empty(before, width), _GAIN)) for before, width in pairwise(widths)
        )
        self.skips = nn.ModuleList(
            nn.Linear(before, width, bias=False) for before, width in pairwise(widths) if options.residual
        )
        self.layers = nn.ModuleList(GatLayer(width, options.heads, options.attention_dropout) for width in widths)
        self.ends = layer_ends(options, 0.0)
        self.dropout = nn.Dropout(options.dropout)
        self.pool = options.pool
        self.dims: Mapping[str, int] = {"node": widths[-1], "graph": widths[-1]}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's nodes (the seeds of a sampled batch) and graphs."""
        batch: GraphBatch = view.data
        rows: Tensor = self.ends[0](self.layers[0](self.input(view), batch))
        for number, weight in enumerate(self.weights):
            given = self.dropout(rows)
            out = self.layers[number + 1](given @ weight, batch)
            rows = self.ends[number + 1](out + self.skips[number](given) if len(self.skips) else out)
        return embedding(rows, batch, self.pool)


def build(options: GatOptions, spec: GraphSpec) -> Gat:
    """The encoder for the data's features."""
    return Gat(options, spec.num_features)
