"""Scene flow: its tasks, flow from any encoder's point embeddings, and two methods that learn it without labels."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_lidar.flow import flow_net, just_go, scoop, set_conv, sweep_pairs

VIEWS: Mapping[str, Component] = MappingProxyType(
    {
        "sweep_pairs": Component(
            sweep_pairs.SweepPairsOptions,
            sweep_pairs.build,
            "Each sweep with the one before it, thinned: what flow is learned from",
        )
    }
)

ENCODERS: Mapping[str, Component] = MappingProxyType(
    {
        "set_conv": Component(
            set_conv.SetConvOptions,
            set_conv.build,
            "Convolutions over nearest points, for correspondences (FLOT, SCOOP)",
            tags("level:point", "level:cloud", "two-levels", "orderless"),
        ),
        "flow_net": Component(
            flow_net.FlowNetOptions,
            flow_net.build,
            "Predicts the flow of the sweep before, as a level of its own (after FlowNet3D)",
            tags("level:point", "level:cloud", "level:flow", "two-levels"),
        ),
    }
)

METHODS: Mapping[str, Component] = MappingProxyType(
    {
        "just_go": Component(
            just_go.JustGoOptions,
            just_go.build,
            "Flow from nearest points and an anchored cycle (Just Go with the Flow)",
            needs=tags("level:flow"),
        ),
        "scoop": Component(
            scoop.ScoopOptions,
            scoop.build,
            "Features whose correspondence is a smooth flow (SCOOP)",
            needs=tags("level:point"),
        ),
    }
)
