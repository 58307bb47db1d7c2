"""View sets of the graph plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, Options
from sslplug_graph.spec import GraphSpec
from sslplug_graph.views import grace
from sslplug_graph.views.chain import Chains, chain_tags
from sslplug_graph.views.corruption import Corruption


class NoOptions(Options):
    """Nothing to choose."""


def _identity(options: NoOptions, spec: GraphSpec) -> Chains:
    return Chains(((),))


_CORRUPT: tuple[tuple[Corruption, ...], ...] = ((), (Corruption(),))


def _corrupt(options: NoOptions, spec: GraphSpec) -> Chains:
    return Chains(_CORRUPT)


VIEWS: Mapping[str, Component] = MappingProxyType(
    {
        "grace": Component(grace.GraceOptions, grace.build, "Edge drop and column mask, two views (GRACE)", grace.provides),
        "corrupt": Component(
            NoOptions, _corrupt, "The graph and its shuffled double (DGI)", lambda options: chain_tags(_CORRUPT)
        ),
        "identity": Component(NoOptions, _identity, "The graph as it is, one view"),
    }
)
