"""Two towers: views, encoder and methods of item retrieval from features (Yao et al. 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_recsys.towers import masked_items, pairs, two_tower
from sslplug_recsys.towers.sampled_softmax import SAMPLED_SOFTMAX

TOWER_VIEWS: Mapping[str, Component] = MappingProxyType(
    {
        "masked_items": Component(
            masked_items.MaskedItemOptions,
            masked_items.build,
            "Items drawn uniformly, their features masked in two ways (CFM, RFM, dropout)",
            tags("pair"),
        ),
        "towers": Component(pairs.TowerOptions, pairs.build, "The users and the items of logged pairs", tags("pair")),
    }
)
TOWER_ENCODERS: Mapping[str, Component] = MappingProxyType(
    {
        "two_tower": Component(
            two_tower.TwoTowerOptions,
            two_tower.build,
            "Users and items through their features, a perceptron each",
            tags("level:user", "level:item", "level:pair"),
        )
    }
)
TOWER_METHODS: Mapping[str, Component] = MappingProxyType({"sampled_softmax": SAMPLED_SOFTMAX})
