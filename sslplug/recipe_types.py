"""What a checked recipe is: names picked from tables, with every option filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sslplug.contracts import Component, Options
from sslplug.recipe_yaml import write_yaml


@dataclass(frozen=True)
class Schema:
    """Everything a recipe may say for one plugin.

    plugin    its name
    tables    {table: {name: Component}}; the tables are data, views, encoder, decoder, method, objective and probe
    sections  {optim, train, evaluate: the model of its options}
    """

    plugin: str
    tables: Mapping[str, Mapping[str, Component]]
    sections: Mapping[str, type[Options]]


@dataclass(frozen=True)
class Picked:
    """One chosen component with its checked options; choices nested in them carry all their defaults."""

    name: str
    component: Component
    options: Options

    def to_dict(self) -> dict[str, Any]:
        """``{name: ..., option: value, ...}`` with every default written out."""
        return {"name": self.name, **self.options.model_dump(mode="json")}


@dataclass(frozen=True)
class Resolved:
    """A recipe that was checked as a whole and can be built.

    picked    {section: Picked} for data, views, encoder, method and, where the recipe names one, objective
    sections  {optim, train, evaluate: its options}
    """

    plugin: str
    seed: int
    name: str
    about: str
    picked: Mapping[str, Picked]
    sections: Mapping[str, Options]

    def to_dict(self) -> dict[str, Any]:
        """The whole recipe as plain data, every default written out; ``resolve`` of it gives an equal recipe."""
        return {
            "plugin": self.plugin,
            "name": self.name,
            "about": self.about,
            "seed": self.seed,
            **{section: picked.to_dict() for section, picked in self.picked.items()},
            **{section: options.model_dump(mode="json") for section, options in self.sections.items()},
        }


def dump(resolved: Resolved) -> str:
    """The resolved recipe as YAML that ``read_recipe`` reads back to the same values."""
    return write_yaml(resolved.to_dict())
