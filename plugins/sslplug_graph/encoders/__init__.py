"""Encoders and decoders of the graph plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_graph.encoders import gcn

_LEVELS = tags("level:node", "level:graph", "two-levels", "hides")

ENCODERS: Mapping[str, Component] = MappingProxyType(
    {
        "gcn": Component(gcn.GcnOptions, gcn.build, "Graph convolutional network", _LEVELS),
    }
)

DECODERS: Mapping[str, Component] = MappingProxyType({})
