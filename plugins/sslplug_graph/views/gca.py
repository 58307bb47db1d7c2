"""GCA's views (Zhu et al. 2021): GRACE's with drop probabilities that follow centrality."""

from __future__ import annotations

from pydantic import Field, model_validator

from sslplug.contracts import Options
from sslplug_graph.spec import GraphSpec
from sslplug_graph.views.adaptive import AdaptiveEdgeDrop, AdaptiveFeatureMask
from sslplug_graph.views.centrality import Centrality
from sslplug_graph.views.chain import Chains


class GcaOptions(Options):
    """Two views; the lists hold one rate a view."""

    edge_drop: list[float] = Field([0.3, 0.5], min_length=2, max_length=2, description="mean edge drop, one a view")
    feature_mask: list[float] = Field([0.1, 0.1], min_length=2, max_length=2, description="mean column drop, one a view")
    centrality: Centrality = Field("degree", description="what makes a node important")
    most: float = Field(0.7, ge=0, le=1, description="cap of a single drop probability")

    @model_validator(mode="after")
    def _shares(self) -> GcaOptions:
        bad = [rate for rate in (*self.edge_drop, *self.feature_mask) if not 0 <= rate <= 1]
        if bad:
            raise ValueError(f"rate {bad[0]}; expected shares from 0 to 1")
        return self


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
