"""View sets of the graph plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import Field

from sslplug.contracts import Component, Options, tags
from sslplug_graph.spec import GraphSpec
from sslplug_graph.views import grace
from sslplug_graph.views.chain import Chains, chain_tags
from sslplug_graph.views.corruption import Corruption
from sslplug_graph.views.edges import EdgeDrop
from sslplug_graph.views.masking import NodeMask


class NoOptions(Options):
    """Nothing to choose."""


def _identity(options: NoOptions, spec: GraphSpec) -> Chains:
    return Chains(((),))


_CORRUPT: tuple[tuple[Corruption, ...], ...] = ((), (Corruption(),))


def _corrupt(options: NoOptions, spec: GraphSpec) -> Chains:
    return Chains(_CORRUPT)


class MaskOptions(Options):
    """GraphMAE's view."""

    rate: float = Field(0.5, ge=0, le=1, description="share of nodes whose features must be predicted")
    replace: float = Field(0.05, ge=0, le=1, description="share of those that show another node's features, not the token")
    edge_drop: float = Field(0.0, ge=0, le=1, description="share of edges dropped")


def _mask(options: MaskOptions, spec: GraphSpec) -> Chains:
    return Chains(((EdgeDrop(rate=options.edge_drop), NodeMask(rate=options.rate, replace=options.replace)),))


def _feature_width(options: Options, spec: GraphSpec) -> Mapping[str, int]:
    return {"features": spec.num_features}


VIEWS: Mapping[str, Component] = MappingProxyType(
    {
        "grace": Component(grace.GraceOptions, grace.build, "Edge drop and column mask, two views (GRACE)", grace.provides),
        "corrupt": Component(
            NoOptions, _corrupt, "The graph and its shuffled double (DGI)", lambda options: chain_tags(_CORRUPT)
        ),
        "mask": Component(
            MaskOptions,
            _mask,
            "One view with hidden node features to predict (GraphMAE)",
            tags("masks", "target:features"),
            outputs=_feature_width,
        ),
        "identity": Component(NoOptions, _identity, "The graph as it is, one view"),
    }
)
