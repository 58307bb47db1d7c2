"""View sets of the lidar plugin: name -> component. Their transforms are listed in ``step``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_lidar.views import composed, occluded, patches, sweeps, turned

VIEWS: Mapping[str, Component] = MappingProxyType(
    {
        "pairs": Component(
            composed.PairOptions, composed.build_pairs, "Two views of each cloud, a list of transforms each", tags("pair")
        ),
        "grouped": Component(
            composed.GroupedOptions,
            composed.build_grouped,
            "Two views and the points, cells or segments that both hold (PointContrast, SegContrast)",
            tags("pair"),
        ),
        "compose": Component(
            composed.ComposeOptions, composed.build_compose, "Any transforms in any number of views", composed.compose_tags
        ),
        "sweeps": Component(
            sweeps.SweepOptions, sweeps.build, "A sweep and the one before it, aligned by ego-motion or flow", tags("pair")
        ),
        "turned": Component(
            turned.TurnedOptions,
            turned.build,
            "Clouds turned by an angle whose class is to be told",
            turned.provides,
            outputs=turned.outputs,
        ),
        "patches": Component(
            patches.PatchOptions,
            patches.build,
            "One view with hidden patches to draw again (Point-MAE, PoLAr-MAE)",
            tags("masks", "target:patch"),
            outputs=patches.outputs,
        ),
        "occluded": Component(
            occluded.OccludedOptions,
            occluded.build,
            "One view as a camera sees it, to be completed (OcCo)",
            tags("target:complete"),
            outputs=occluded.outputs,
        ),
        "reordered": Component(
            composed.NoOptions,
            composed.build_reordered,
            "The clouds as they are, and with their points from last to first",
            tags("pair", "reordered"),
        ),
        "identity": Component(composed.NoOptions, composed.build_identity, "The clouds as they are, one view"),
    }
)

__all__ = ["VIEWS"]
