"""Encoders whose propagation has no weights: SGC (Wu et al. 2019) and APPNP (Gasteiger et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug_graph.batch import GraphBatch
from sslplug_graph.encoders.feature_input import FeatureInput
from sslplug_graph.encoders.layer_end import Activation, LayerEnd
from sslplug_graph.encoders.pooling import Pool, embedding
from sslplug_graph.pieces import by_pieces, piece_size
from sslplug_graph.propagation import Operator, symmetric
from sslplug_graph.spec import GraphSpec


class SgcOptions(Options):
    """A linear map, smoothed."""

    width: int = Field(256, ge=1, description="output width")
    steps: int = Field(2, ge=0, description="propagation steps")
    pool: Pool = Field("mean", description="how nodes make a graph embedding")


class AppnpOptions(Options):
    """A two-layer network, smoothed with restart."""

    hidden: int = Field(256, ge=1, description="width of the hidden layer")
    width: int = Field(256, ge=1, description="output width")
    steps: int = Field(10, ge=0, description="propagation steps")
    restart: float = Field(0.1, ge=0, le=1, description="share of a node's own row mixed in at each step")
    activation: Activation = Field("relu", description="after the hidden layer")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout on features and hidden layer")
    pool: Pool = Field("mean", description="how nodes make a graph embedding")


class Smoothing(nn.Module):
    """H_0 = X W (or an MLP of X); H_k = (1 - restart) A H_{k-1} + restart H_0, with GCN's normalised A."""

    def __init__(
        self, first: FeatureInput, then: nn.Module, bias: int, width: int, steps: int, restart: float, pool: Pool
    ) -> None:
        super().__init__()
        self.input, self.then = first, then
        self.bias = nn.Parameter(torch.zeros(bias))
        self.steps, self.restart, self.pool = steps, restart, pool
        self.dims: Mapping[str, int] = {"node": width, "graph": width}

    def forward(self, view: View) -> Embedding:
        """Embeddings of the view's nodes (the seeds of a sampled batch) and graphs."""
        batch: GraphBatch = view.data
        propagate, size, nodes = symmetric(batch), piece_size(self, batch), batch.num_nodes
        mapped: Tensor = self.input(view, None, size)
        first = by_pieces(lambda start, stop: self.then(mapped[start:stop] + self.bias), nodes, size)
        rows = first
        for _ in range(self.steps):
            rows = by_pieces(partial(self._step, propagate, rows, first), nodes, size)
        return embedding(rows, batch, self.pool)

    def _step(self, propagate: Operator, rows: Tensor, first: Tensor, start: int, stop: int) -> Tensor:
        """Rows start:stop after one more propagation of ``rows``."""
        out = propagate.part(rows, start, stop)
        return out if self.restart == 0 else (1 - self.restart) * out + self.restart * first[start:stop]


def build_sgc(options: SgcOptions, spec: GraphSpec) -> Smoothing:
    """A^k (X W + b)."""
    first = FeatureInput(spec.num_features, options.width)
    return Smoothing(first, nn.Identity(), options.width, options.width, options.steps, 0.0, options.pool)


def build_appnp(options: AppnpOptions, spec: GraphSpec) -> Smoothing:
    """Personalised propagation of an MLP's rows."""
    first = FeatureInput(spec.num_features, options.hidden, options.dropout)
    then = nn.Sequential(
        LayerEnd(options.hidden, "none", 0.1, options.activation, options.dropout), nn.Linear(options.hidden, options.width)
    )
    # Behind a ReLU without propagation in between, a token at 0 is a point without gradient: it starts beside it.
    nn.init.normal_(first.token, std=0.02)
    return Smoothing(first, then, options.hidden, options.width, options.steps, options.restart, options.pool)
