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
from sslplug_graph.pieces import all_by_pieces, by_pieces, piece_size
from sslplug_graph.propagation import bag_sum, product
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


def attention(batch: GraphBatch, source: Tensor, target: Tensor, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """Attention of nodes start:stop over their in-edges and themselves: (e, h) of these edges in ``by_target`` order, and
    (n, h) for the self-loops.

    Softmax over the in-neighbourhood of LeakyReLU(source[j] + target[i]), for scores (N, h); edge weights multiply the
    exponentials, so that a dropped edge (weight 0) gets nothing.
    """
    edges, owner = _edges_into(batch.structure, start, stop)
    mine = slice(start, stop)
    logits = functional.leaky_relu(source[batch.structure.by_target.indices[edges]] + target[mine][owner], _SLOPE)
    own = functional.leaky_relu(source[mine] + target[mine], _SLOPE)
    with torch.no_grad():
        index = owner[:, None].expand_as(logits)
        largest = own.scatter_reduce(0, index, logits, "amax")
    weights = (logits - largest[owner]).exp()
    if batch.edge_weight is not None:
        weights = weights * batch.edge_weight[batch.structure.by_target.edge[edges], None].to(logits.dtype)
    own = (own - largest).exp()
    norm = own.index_add(0, owner, weights)
    return weights / norm[owner], own / norm


def _edges_into(structure: Structure, start: int, stop: int) -> tuple[slice, Tensor]:
    """Which entries of ``by_target`` lead into nodes start:stop, and for each the place of its node among these."""
    by_target = structure.by_target
    edges = slice(int(by_target.indptr[start]), int(by_target.indptr[stop]))
    return edges, structure.edge_index[1][by_target.edge[edges]] - start


def mixed_part(structure: Structure, weights: Tensor, split: Tensor, start: int, stop: int) -> Tensor:
    """(n, h, c): what nodes start:stop gather from ``split`` (N, h or 1, c) by the attention (e, h) of their in-edges.

    Without gradient; the same sums in the same order as the product over :func:`per_head`'s structure.
    """
    edges, owner = _edges_into(structure, start, stop)
    heads = weights.shape[1]
    head = torch.arange(heads, device=weights.device)
    row = (owner[:, None] * heads + head).flatten()
    order = torch.argsort(row, stable=True)
    indptr = torch.cat([row.new_zeros(1), torch.bincount(row, minlength=(stop - start) * heads).cumsum(0)])
    source = (structure.by_target.indices[edges, None] * heads + head).flatten()[order]
    return bag_sum(indptr, source, weights.flatten()[order], split.flatten(0, 1)).view(stop - start, heads, -1)


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
            source, target = self.scores(rows)
        else:
            source, target = rows @ (weight @ self.source.T), rows @ (weight @ self.target.T)
            split = rows[:, None, :]
        out = self._attend(split, (source, target), batch).view_as(rows)
        return out if self.bias is None else out + self.bias

    def _attend(self, split: Tensor, scores: tuple[Tensor, Tensor], batch: GraphBatch) -> Tensor:
        """(N, h or 1, c) of all rows at once."""
        edge, own = (self.dropout(part) for part in attention(batch, *scores, 0, len(split)))
        structure = per_head(batch.structure, self.heads)
        mixed = product(structure, edge.flatten()[structure.by_target.edge], split.flatten(0, 1)).view_as(split)
        out: Tensor = mixed + own[:, :, None] * split
        return out

    def scores(self, mapped: Tensor) -> tuple[Tensor, Tensor]:
        """(n, h) scores as a source and as a target of edges, for rows of X W."""
        split = mapped.view(len(mapped), self.heads, -1)
        return (split * self.source).sum(-1), (split * self.target).sum(-1)

    def part(self, rows: Tensor, scores: tuple[Tensor, Tensor], batch: GraphBatch, start: int, stop: int) -> Tensor:
        """Rows start:stop of the layer over ``rows`` = X W with all rows' ``scores``; a piece in eval mode, without gradient."""
        split = rows.view(len(rows), self.heads, -1)
        if start == 0 and stop == len(rows):
            out = self._attend(split, scores, batch)
        else:
            edge, own = attention(batch, *scores, start, stop)
            out = mixed_part(batch.structure, edge, split, start, stop) + own[:, :, None] * split[start:stop]
        flat = out.flatten(1)
        return flat if self.bias is None else flat + self.bias


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
        size = piece_size(self, batch)
        rows = self._layer(0, self.input(view, None, size), batch, size)
        for number in range(1, len(self.layers)):
            rows = self._layer(number, rows, batch, size)
        return embedding(rows, batch, self.pool)

    def _layer(self, number: int, rows: Tensor, batch: GraphBatch, size: int | None) -> Tensor:
        """Layer ``number`` of (N, d) rows; the first one's rows are mapped already."""
        layer, nodes = self.layers[number], len(rows)
        assert isinstance(layer, GatLayer)
        given = self.dropout(rows) if number else rows
        mapped = by_pieces(lambda start, stop: given[start:stop] @ self.weights[number - 1], nodes, size) if number else rows
        source, target = all_by_pieces(lambda start, stop: layer.scores(mapped[start:stop]), nodes, size)

        def part(start: int, stop: int) -> Tensor:
            out = layer.part(mapped, (source, target), batch, start, stop)
            if number and len(self.skips):
                out = out + self.skips[number - 1](given[start:stop])
            end: Tensor = self.ends[number](out)
            return end

        return by_pieces(part, nodes, size)


def build(options: GatOptions, spec: GraphSpec) -> Gat:
    """The encoder for the data's features."""
    return Gat(options, spec.num_features)
