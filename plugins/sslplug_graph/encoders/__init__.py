"""Encoders and decoders of the graph plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_graph.encoders import decoders, gat, gcn, gin, mlp, sage, smoothing

_BRINGS = tags("level:node", "level:graph", "two-levels", "hides", "orderless")

ENCODERS: Mapping[str, Component] = MappingProxyType(
    {
        "gcn": Component(gcn.GcnOptions, gcn.build, "Graph convolutional network", _BRINGS),
        "gat": Component(gat.GatOptions, gat.build, "Graph attention network", _BRINGS),
        "gin": Component(gin.GinOptions, gin.build, "Graph isomorphism network", _BRINGS),
        "sage": Component(sage.SageOptions, sage.build, "GraphSAGE with mean aggregation", _BRINGS),
        "sgc": Component(smoothing.SgcOptions, smoothing.build_sgc, "A linear map, smoothed over edges (SGC)", _BRINGS),
        "appnp": Component(smoothing.AppnpOptions, smoothing.build_appnp, "An MLP, smoothed with restart (APPNP)", _BRINGS),
        "mlp": Component(mlp.MlpOptions, mlp.build, "Nodes by themselves, without edges", _BRINGS),
    }
)

DECODERS: Mapping[str, Component] = MappingProxyType(
    {
        "gnn": Component(decoders.GnnDecoderOptions, decoders.build_gnn, "Re-mask, then one GNN layer (GraphMAE)"),
        "mlp": Component(decoders.MlpDecoderOptions, decoders.build_mlp, "Linear - PReLU - Linear on each node"),
    }
)
