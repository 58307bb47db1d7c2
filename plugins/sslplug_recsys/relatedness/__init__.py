"""Which items belong together, learned from baskets (after SkillMatch). Tables: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_recsys.relatedness.encoder import ITEM_ROWS
from sslplug_recsys.relatedness.method import TOGETHER
from sslplug_recsys.relatedness.sources import FILES, MOVIELENS, TASTES
from sslplug_recsys.relatedness.views import NEIGHBOURS

RELATEDNESS_DATA: Mapping[str, Component] = MappingProxyType(
    {"baskets-files": FILES, "baskets-ml-100k": MOVIELENS, "baskets-tastes": TASTES}
)
RELATEDNESS_VIEWS: Mapping[str, Component] = MappingProxyType({"neighbours": NEIGHBOURS})
RELATEDNESS_ENCODERS: Mapping[str, Component] = MappingProxyType({"item-rows": ITEM_ROWS})
RELATEDNESS_METHODS: Mapping[str, Component] = MappingProxyType({"together": TOGETHER})
