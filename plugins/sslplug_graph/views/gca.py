"""GCA's views (Zhu et al. 2021): GRACE's with drop probabilities that follow centrality."""

from __future__ import annotations

from pydantic import Field

from sslplug.contracts import Options
from sslplug_graph.spec import GraphSpec
from sslplug_graph.views.adaptive import AdaptiveEdgeDrop, AdaptiveFeatureMask
from sslplug_graph.views.centrality import Centrality
from sslplug_graph.views.chain import Chains
from sslplug_graph.views.transform import Share


class GcaOptions(Options):
    """Two views; the lists hold one rate a view."""

    edge_drop: list[Share] = Field([0.3, 0.5], min_length=2, max_length=2, description="mean edge drop, one a view")
    feature_mask: list[Share] = Field([0.1, 0.1], min_length=2, max_length=2, description="mean column drop, one a view")
    centrality: Centrality = Field("degree", description="what makes a node important")
    most: Share = Field(0.7, description="cap of a single drop probability")


def build(options: GcaOptions, spec: GraphSpec) -> Chains:
    """The views."""
    return Chains(
        tuple(
            (
                AdaptiveEdgeDrop(rate=edge, centrality=options.centrality, most=options.most),
                AdaptiveFeatureMask(rate=column, centrality=options.centrality, most=options.most),
            )
            for edge, column in zip(options.edge_drop, options.feature_mask)
        )
    )
