"""A plugin: a frozen table of contents, found through the entry-point group ``sslplug.plugins``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sslplug.contracts.component import Component

API = 1
"""The version of these contracts. A plugin written for another version is refused by name, not half loaded."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Plugin:
    """What one domain brings: name -> component, by role. The entry point's value is a constant of this type.

    name        the name users type, equal to the entry point's name
    api         the version of the contracts it was written for, ``sslplug.contracts.API``
    summary     one line: what the domain is
    data        build(options, context: DataContext) -> DomainData
    views       build(options, spec) -> Views
    encoders    build(options, spec) -> nn.Module satisfying Encoder
    decoders    build(options, spec, dims) -> nn.Module satisfying Decoder
    objectives  build(options, dim: int) -> nn.Module satisfying Objective   (further ones; the engine's are always there)
    methods     build(options, assembly: Assembly) -> nn.Module satisfying Method   (further ones, likewise)
    default_recipe  the recipe used when the user names none
    recipes     the package folder with the plugin's recipes, as ``importlib.resources`` names it ("sslplug_configs.graph")
    traits      what the plugin claims about itself, read by the conformance kit; see ``sslplug.testing``
    """

    name: str
    api: int
    summary: str
    data: Mapping[str, Component]
    views: Mapping[str, Component]
    encoders: Mapping[str, Component]
    default_recipe: str
    recipes: str
    decoders: Mapping[str, Component] = field(default_factory=lambda: _NOTHING)
    objectives: Mapping[str, Component] = field(default_factory=lambda: _NOTHING)
    methods: Mapping[str, Component] = field(default_factory=lambda: _NOTHING)
    traits: frozenset[str] = frozenset()
