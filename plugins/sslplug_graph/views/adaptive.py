"""Adaptive drops (GCA, Zhu et al. 2021): edges into central nodes and features of central nodes are dropped less."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from sslplug.contracts import View
from sslplug_graph.batch import GraphBatch
from sslplug_graph.views.centrality import Centrality, centrality
from sslplug_graph.views.edges import drop_edges
from sslplug_graph.views.feature_mask import mask_columns
from sslplug_graph.views.transform import Rated

_EDGE_STEPS, _FEATURE_STEPS = 200, 10
"""PageRank steps for edges and for features, as GCA's authors take them."""


def drop_probabilities(importance: Tensor, rate: float, most: float) -> Tensor:
    """min(rate (s_max - s) / (s_max - s_mean), most) for s = log importance; ``rate`` for all where all are alike.

    Zero importance gives ``most``, and is left out of the mean.
    """
    log = importance.log()
    real = log[log.isfinite()]
    if not len(real):
        return torch.full_like(log, min(rate, most))
    spread = real.max() - real.mean()
    if float(spread) <= 1e-6:
        even = torch.full_like(log, min(rate, most))
        return torch.where(log.isfinite(), even, most if rate else 0.0)
    return (rate * (real.max() - log) / spread).clamp(max=most) if rate else torch.zeros_like(log)


def edge_probabilities(batch: GraphBatch, rate: float, kind: Centrality, most: float) -> Tensor:
    """(E,) drop probability of each stored edge, by the centrality of its target."""
    return drop_probabilities(centrality(batch.structure, kind, _EDGE_STEPS)[batch.edge_index[1]], rate, most)


def column_probabilities(batch: GraphBatch, rate: float, kind: Centrality, most: float) -> Tensor:
    """(F,) drop probability of each column f, by sum over nodes u of |x_uf| centrality(u). The sign of x plays no part."""
    return drop_probabilities(batch.x.column_mass(centrality(batch.structure, kind, _FEATURE_STEPS)), rate, most)


class AdaptiveEdgeDrop(Rated):
    """Drop edges, those into central nodes less often. The share really dropped is at most the rate."""

    name: Literal["adaptive_edge_drop"] = "adaptive_edge_drop"
    rate: float = Field(0.3, ge=0, le=1, description="mean drop probability before the cap")
    centrality: Centrality = Field("degree", description="what makes a node important")
    most: float = Field(0.7, ge=0, le=1, description="cap of a single edge's drop probability")

    def change(self, view: View, generator: torch.Generator) -> View:
        """The view with fewer edges."""
        batch: GraphBatch = view.data
        rates = edge_probabilities(batch, self.rate, self.centrality, self.most)
        return replace(view, data=drop_edges(batch, rates, generator))


class AdaptiveFeatureMask(Rated):
    """Blank columns, those that central nodes have less often. The share really blanked is at most the rate."""

    name: Literal["adaptive_feature_mask"] = "adaptive_feature_mask"
    rate: float = Field(0.2, ge=0, le=1, description="mean probability before the cap")
    centrality: Centrality = Field("degree", description="what makes a node important")
    most: float = Field(0.7, ge=0, le=1, description="cap of a single column's probability")

    def change(self, view: View, generator: torch.Generator) -> View:
        """The view with columns blanked."""
        batch: GraphBatch = view.data
        rates = column_probabilities(batch, self.rate, self.centrality, self.most)
        return replace(view, data=mask_columns(batch, rates, generator))
