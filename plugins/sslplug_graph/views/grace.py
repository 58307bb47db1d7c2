"""GRACE's views (Zhu et al. 2020): edge drop and one column mask a view, with its own rates for each view."""

from __future__ import annotations

from pydantic import Field, model_validator

from sslplug.contracts import Options, Tags
from sslplug_graph.spec import GraphSpec
from sslplug_graph.views.chain import Chains, chain_tags
from sslplug_graph.views.edges import EdgeDrop
from sslplug_graph.views.feature_mask import FeatureMask
from sslplug_graph.views.transform import Share


class GraceOptions(Options):
    """Two or more views; the lists hold one rate a view."""

    edge_drop: list[Share] = Field([0.2, 0.4], min_length=2, description="share of edges dropped, one rate a view")
    feature_mask: list[Share] = Field([0.3, 0.4], min_length=2, description="share of columns blanked, one rate a view")
    undirected: bool = Field(False, description="drop both directions of an edge together")

    @model_validator(mode="after")
    def _as_many(self) -> GraceOptions:
        if len(self.edge_drop) != len(self.feature_mask):
            raise ValueError(
                f"{len(self.edge_drop)} edge_drop and {len(self.feature_mask)} feature_mask rates; give one of each a view"
            )
        return self


def chains(options: GraceOptions) -> tuple[tuple[EdgeDrop | FeatureMask, ...], ...]:
    """One chain a view: edges, then columns."""
    return tuple(
        (EdgeDrop(rate=edge, undirected=options.undirected), FeatureMask(rate=column))
        for edge, column in zip(options.edge_drop, options.feature_mask)
    )


def build(options: GraceOptions, spec: GraphSpec) -> Chains:
    """The views."""
    return Chains(chains(options))


def provides(options: GraceOptions) -> Tags:
    """A pair, or more."""
    return chain_tags(chains(options))
