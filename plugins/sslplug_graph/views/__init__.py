"""View sets of the graph plugin: name -> component. All of them are chains of the transforms in this folder."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from sslplug.contracts import Component, Options, tags
from sslplug_graph.spec import GraphSpec
from sslplug_graph.views import composed, gca, grace, graphcl
from sslplug_graph.views.chain import Chains
from sslplug_graph.views.corruption import Corruption
from sslplug_graph.views.diffusion import Diffusion
from sslplug_graph.views.edges import EdgeDrop
from sslplug_graph.views.masking import NodeMask
from sslplug_graph.views.renumbered import Renumbered


class NoOptions(Options):
    """Nothing to choose."""


class MaskOptions(Options):
    """GraphMAE's view."""

    rate: float = Field(0.5, ge=0, le=1, description="share of nodes whose features must be predicted")
    replace: float = Field(0.05, ge=0, le=1, description="share of those that show another node's features, not the token")
    edge_drop: float = Field(0.0, ge=0, le=1, description="share of edges dropped")


class DiffusionOptions(Options):
    """MVGRL's pair of views."""

    kind: Literal["ppr", "heat"] = Field("ppr", description="personalised PageRank or heat kernel")
    strength: float = Field(0.2, gt=0, description="ppr: restart probability, below 1; heat: diffusion time")
    top: int = Field(32, ge=1, description="strongest neighbours kept for each node")


def _identity(options: NoOptions, spec: GraphSpec) -> Chains:
    """The clean graph."""
    return Chains(((),))


def _reordered(options: NoOptions, spec: GraphSpec) -> Chains:
    """Two orders of one graph."""
    return Chains(((), (Renumbered(),)))


def _corrupt(options: NoOptions, spec: GraphSpec) -> Chains:
    """DGI's pair."""
    return Chains(((), (Corruption(),)))


def _mask(options: MaskOptions, spec: GraphSpec) -> Chains:
    """GraphMAE's view."""
    return Chains(((EdgeDrop(rate=options.edge_drop), NodeMask(rate=options.rate, replace=options.replace)),))


def _mask_outputs(options: MaskOptions, spec: GraphSpec) -> Mapping[str, int]:
    return {"features": spec.num_features}


def _diffusion(options: DiffusionOptions, spec: GraphSpec) -> Chains:
    """MVGRL's pair."""
    return Chains(((), (Diffusion(kind=options.kind, strength=options.strength, top=options.top),)))


VIEWS: Mapping[str, Component] = MappingProxyType(
    {
        "grace": Component(
            grace.GraceOptions, grace.build, "Edge drop and column mask, a rate a view (GRACE, BGRL)", grace.provides
        ),
        "gca": Component(
            gca.GcaOptions, gca.build, "Edge drop and column mask that spare central nodes (GCA)", tags("pair")
        ),
        "graphcl": Component(
            graphcl.GraphclOptions, graphcl.build, "The graphs and an augmented view of them (GraphCL)", tags("pair")
        ),
        "corrupt": Component(
            NoOptions, _corrupt, "The graph and its double with shuffled features (DGI)", tags("negatives")
        ),
        "mask": Component(
            MaskOptions,
            _mask,
            "One view with hidden node features to predict (GraphMAE)",
            tags("masks", "target:features"),
            outputs=_mask_outputs,
        ),
        "diffusion": Component(DiffusionOptions, _diffusion, "The graph and its diffusion (MVGRL)", tags("pair")),
        "compose": Component(
            composed.ComposeOptions,
            composed.build,
            "Any transforms in any views",
            composed.provides,
            outputs=composed.outputs,
        ),
        "reordered": Component(
            NoOptions, _reordered, "The graph, and the same with its nodes numbered backwards", tags("pair", "reordered")
        ),
        "identity": Component(NoOptions, _identity, "The graph as it is, one view"),
    }
)
