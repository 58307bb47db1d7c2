"""Decoders of node features (GraphMAE, Hou et al. 2022): hide the code of the nodes to predict, then one GNN layer or an MLP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug_graph.batch import GraphBatch
from sslplug_graph.encoders.gat import GatLayer
from sslplug_graph.propagation import symmetric, total
from sslplug_graph.spec import GraphSpec


class GnnDecoderOptions(Options):
    """The layer that decodes."""

    layer: Literal["gat", "gin", "gcn"] = Field("gat", description="type of the one layer; GraphMAE takes the encoder's")
    remask: bool = Field(True, description="zero the code of the nodes to predict before decoding")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout on the re-masked code")
    attention_dropout: float = Field(0.0, ge=0, lt=1, description="dropout on attention weights (gat)")


class GnnDecoder(nn.Module):
    """Z = layer(R), R = H W without bias, rows of the target "features" zeroed. Predicts for every node."""

    def __init__(self, options: GnnDecoderOptions, num_features: int, width: int) -> None:
        super().__init__()
        self.code = nn.Linear(width, width, bias=False)
        self.remask, self.layer = options.remask, options.layer
        self.dropout = nn.Dropout(options.dropout)
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(width, num_features)))
        self.attention = GatLayer(num_features, 1, options.attention_dropout, bias=False) if options.layer == "gat" else None
        if self.attention is not None:
            nn.init.xavier_normal_(self.weight, nn.init.calculate_gain("relu"))  # as the encoder's attention layers
        self.second = nn.Linear(num_features, num_features) if options.layer == "gin" else None
        self.bias = nn.Parameter(torch.zeros(num_features))

    def forward(self, view: View, embedding: Embedding) -> Mapping[str, Tensor]:
        """{"features": (n, F)}."""
        batch: GraphBatch = view.data
        code = self.code(embedding["node"])
        if self.remask:
            rows = view.targets["features"].rows
            kept = torch.ones(len(code), 1, dtype=code.dtype, device=code.device)
            code = code * (kept if rows is None else kept.index_fill(0, rows, 0.0))
        code = self.dropout(code)
        asked = len(code)
        if asked < batch.num_nodes:  # a sampled batch: only seeds have a code
            code = torch.cat([code, code.new_zeros(batch.num_nodes - asked, code.shape[1])])
        return {"features": self._decode(code, batch)[:asked]}

    def _decode(self, code: Tensor, batch: GraphBatch) -> Tensor:
        # Propagation comes before the widening map: it costs width, not num_features, and is the same (A(RW) = (AR)W).
        if self.attention is not None:
            return self.attention(code, batch, self.weight) + self.bias  # type: ignore[no-any-return]
        if self.second is None:
            return symmetric(batch)(code) @ self.weight + self.bias
        out: Tensor = self.second((total(batch, own=1.0)(code) @ self.weight + self.bias).relu())
        return out


class MlpDecoderOptions(Options):
    """One hidden layer."""

    hidden: int = Field(256, ge=1, description="width of the hidden layer")


class MlpDecoder(nn.Module):
    """Linear - PReLU - Linear on each node by itself."""

    def __init__(self, options: MlpDecoderOptions, num_features: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, options.hidden), nn.PReLU(), nn.Linear(options.hidden, num_features))

    def forward(self, view: View, embedding: Embedding) -> Mapping[str, Tensor]:
        """{"features": (n, F)}."""
        return {"features": self.layers(embedding["node"])}


def build_gnn(options: GnnDecoderOptions, spec: GraphSpec, dims: Mapping[str, int]) -> GnnDecoder:
    """A decoder from the encoder's node width to the features."""
    return GnnDecoder(options, spec.num_features, dims["node"])


def build_mlp(options: MlpDecoderOptions, spec: GraphSpec, dims: Mapping[str, int]) -> MlpDecoder:
    """A decoder from the encoder's node width to the features."""
    return MlpDecoder(options, spec.num_features, dims["node"])
