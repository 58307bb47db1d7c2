"""Encoders with rows for groups of points: what views name as matches, cells, segments or patches becomes a level of its own.

So the engine's methods contrast points (PointContrast), cells (BEVContrast) and segments (SegContrast) by naming a level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from sslplug.contracts import Component, Embedding, Tags, View
from sslplug_lidar.geometry import Patches, segment_max, segment_mean

POOLS: Mapping[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "match": segment_mean,
    "cell": segment_mean,
    "segment": segment_max,
}
"""How the points of a group become one row: the mean, or for segments the maximum (SegContrast)."""

LEVELS = (*POOLS, "patch")


class GroupLevels(nn.Module):
    """An encoder with level point, and levels match, cell, segment and patch wherever a view has groups of them.

    Patches overlap; one is the maximum over its points. An encoder that makes rows of patches itself keeps its own.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        dims: Mapping[str, int] = encoder.dims  # type: ignore[assignment]
        self.dims: Mapping[str, int] = {**dict.fromkeys(LEVELS, dims["point"]), **dims}

    def forward(self, view: View) -> Embedding:
        """The encoder's embedding and the groups' rows."""
        embedding: Embedding = self.encoder(view)
        levels = dict(embedding.levels)
        for level, pool in POOLS.items():
            if level in view.params:
                levels[level] = pooled(embedding["point"], view.params[level], len(view.ids[level]), pool)
        found, owner = Patches.of(view.params), dict(embedding.owner)
        if found is not None and "patch" not in levels:
            levels["patch"], owner["patch"] = embedding["point"][found.member].amax(1), found.owner
        return Embedding(levels, owner)


def pooled(points: Tensor, place: Tensor, groups: int, pool: Callable[[Tensor, Tensor, int], Tensor]) -> Tensor:
    """(groups, d) rows of the points (m, d) with each ``place`` (m,) int64; points with place -1 belong to none."""
    rows = (place >= 0).nonzero()[:, 0]
    return pool(points[rows], place[rows], groups)


def with_groups(component: Component) -> Component:
    """The encoder component with the levels of groups, where its options give it the level point."""

    def build(options: Any, spec: Any) -> nn.Module:
        encoder: nn.Module = component.build(options, spec)
        return GroupLevels(encoder) if _has_points(component, options) else encoder

    def provides(options: Any) -> Tags:
        groups = {f"level:{level}" for level in LEVELS} if _has_points(component, options) else set()
        return component.provides(options) | groups

    return replace(component, build=build, provides=provides)


def _has_points(component: Component, options: Any) -> bool:
    return "level:point" in component.provides(options)
