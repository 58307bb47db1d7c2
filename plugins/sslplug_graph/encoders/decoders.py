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
    """Z = layer(R), R = H W without bias, rows of the target "features" zeroed. Predicts those rows.

    A layer propagates before its widening map, which costs width, not num_features, and is the same (A(RW) = (AR)W); and only
    the rows to predict are widened.
    """

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
        """{"features": (m, F)} for the m rows of the target."""
        batch: GraphBatch = view.data
        code = embedding["node"]
        asked = len(code)
        rows = view.targets["features"].rows
        rows = torch.arange(asked, device=code.device) if rows is None else rows
        if self.remask:
            kept = torch.ones(asked, dtype=torch.bool, device=code.device).index_fill(0, rows, False).nonzero()[:, 0]
            seen = self.code(code[kept])
            code = seen.new_zeros(asked, seen.shape[1]).index_copy(0, kept, seen)
        else:
            code = self.code(code)
        code = self.dropout(code)
        if asked < batch.num_nodes:  # a sampled batch: only seeds have a code
            code = torch.cat([code, code.new_zeros(batch.num_nodes - asked, code.shape[1])])
        wide = torch.addmm(self.bias, self._propagated(code, batch)[rows], self.weight)
        return {"features": wide if self.second is None else self.second(wide.relu())}

    def _propagated(self, code: Tensor, batch: GraphBatch) -> Tensor:
        if self.attention is not None:
            out: Tensor = self.attention(code, batch, self.weight)
            return out
        return symmetric(batch)(code) if self.second is None else total(batch, own=1.0)(code)


class MlpDecoderOptions(Options):
    """One hidden layer."""

    hidden: int = Field(256, ge=1, description="width of the hidden layer")


class MlpDecoder(nn.Module):
    """Linear - PReLU - Linear on each node by itself."""

    def __init__(self, options: MlpDecoderOptions, num_features: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, options.hidden), nn.PReLU(), nn.Linear(options.hidden, num_features))

    def forward(self, view: View, embedding: Embedding) -> Mapping[str, Tensor]:
        """{"features": (m, F)} for the m rows of the target."""
        rows, code = view.targets["features"].rows, embedding["node"]
        return {"features": self.layers(code if rows is None else code[rows])}


def build_gnn(options: GnnDecoderOptions, spec: GraphSpec, dims: Mapping[str, int]) -> GnnDecoder:
    """A decoder from the encoder's node width to the features."""
    return GnnDecoder(options, spec.num_features, dims["node"])


def build_mlp(options: MlpDecoderOptions, spec: GraphSpec, dims: Mapping[str, int]) -> MlpDecoder:
    """A decoder from the encoder's node width to the features."""
    return MlpDecoder(options, spec.num_features, dims["node"])
