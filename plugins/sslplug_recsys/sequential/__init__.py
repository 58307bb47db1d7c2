"""Sequential recommendation: histories of items, SASRec, and self-supervision on sequences. Tables: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_recsys.sequential.contrast import DOT_CONTRAST
from sslplug_recsys.sequential.encoder import SASREC
from sslplug_recsys.sequential.methods.attributes import ATTRIBUTES
from sslplug_recsys.sequential.methods.intents import INTENTS
from sslplug_recsys.sequential.methods.next_item import NEXT_ITEM
from sslplug_recsys.sequential.methods.stages import STAGES
from sslplug_recsys.sequential.sources import FILES, MOVIELENS, S3REC, TASTES
from sslplug_recsys.sequential.views.augmented import AUGMENTED
from sslplug_recsys.sequential.views.hidden_parts import HIDDEN_PARTS
from sslplug_recsys.sequential.views.next_items import NEXT_ITEMS
from sslplug_recsys.sequential.views.same_target import SAME_TARGET

SEQUENTIAL_DATA: Mapping[str, Component] = MappingProxyType(
    {
        "sequences-files": FILES,
        "sequences-ml-100k": MOVIELENS,
        "sequences-s3rec": S3REC,
        "sequences-tastes": TASTES,
    }
)
SEQUENTIAL_VIEWS: Mapping[str, Component] = MappingProxyType(
    {"augmented": AUGMENTED, "hidden-parts": HIDDEN_PARTS, "next": NEXT_ITEMS, "same-target": SAME_TARGET}
)
SEQUENTIAL_ENCODERS: Mapping[str, Component] = MappingProxyType({"sasrec": SASREC})
SEQUENTIAL_OBJECTIVES: Mapping[str, Component] = MappingProxyType({"dot_contrast": DOT_CONTRAST})
SEQUENTIAL_METHODS: Mapping[str, Component] = MappingProxyType(
    {"attributes": ATTRIBUTES, "intents": INTENTS, "next-item": NEXT_ITEM, "stages": STAGES}
)
