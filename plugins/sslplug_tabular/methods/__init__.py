"""Methods that the engine does not have."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_tabular.methods import supremix
from sslplug_tabular.methods.reconstruction import RECONSTRUCTION

METHODS: Mapping[str, Component] = MappingProxyType(
    {
        "reconstruction": RECONSTRUCTION,
        "supremix": Component(
            supremix.SupReMixOptions,
            supremix.build,
            "Supervised contrast for numbers: hard negatives and positives by mixing embeddings (SupReMix)",
            needs=tags("pair", "labels"),
        ),
    }
)
