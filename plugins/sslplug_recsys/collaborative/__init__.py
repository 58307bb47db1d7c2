"""Graph collaborative filtering: name -> component, by role.

One encoder propagates, one method trains; LightGCN and its descendants are recipes of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_recsys.collaborative import dccf, dccf_method, lightgcn, method, triples

COLLABORATIVE_VIEWS: Mapping[str, Component] = MappingProxyType(
    {
        "triples": Component(
            triples.TripleOptions,
            triples.build,
            "Users, an item of each and an item that each has not seen",
            triples.provides,
        ),
    }
)

COLLABORATIVE_ENCODERS: Mapping[str, Component] = MappingProxyType(
    {
        "dccf": Component(
            dccf.DccfOptions,
            dccf.build,
            "Graph, global intents and adaptive masks in every layer (DCCF)",
            tags("level:user", "level:item", "level:pair", "intents"),
        ),
        "lightgcn": Component(
            lightgcn.LightGcnOptions,
            lightgcn.build,
            "Free embeddings propagated over the interaction graph (LightGCN); 0 layers are matrix factorisation",
            tags("level:user", "level:item", "level:pair", "propagates"),
        ),
    }
)

COLLABORATIVE_METHODS: Mapping[str, Component] = MappingProxyType(
    {
        "collaborative": Component(
            method.CollaborativeOptions,
            method.build,
            "A ranking loss and any contrastive terms on one propagation a step (SGL, SimGCL, XSimGCL, LightGCL, NCL, DirectAU)",
            needs=method.needs,
        ),
        "dccf": Component(
            dccf_method.DccfMethodOptions,
            dccf_method.build,
            "BPR, and the graph's signal against intents and masks in every layer (DCCF)",
            needs=tags("pair", "negatives", "intents", "score:views"),
        ),
    }
)
