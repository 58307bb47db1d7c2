"""Finds plugins through the entry-point group ``sslplug.plugins``; our own come through the same door as strangers'.

Listing reads metadata and imports nothing. Loading imports one plugin and checks it; whatever is wrong with it is a
:class:`~sslplug.errors.PluginError` that names distribution, version, entry point and reason, and hurts no other plugin.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.resources
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

from sslplug.errors import PluginError

if TYPE_CHECKING:
    from sslplug.contracts import Plugin

GROUP = "sslplug.plugins"
SWITCH = "SSLPLUG_DISABLE"
THIRD_PARTY = "all third-party"


@dataclass(frozen=True)
class Found:
    """A plugin as its distribution announces it, not yet imported.

    value     the entry point, ``module:constant``
    conflict  empty, or which other distributions use the same name
    disabled  whether SSLPLUG_DISABLE switches it off
    """

    name: str
    distribution: str
    version: str
    value: str
    conflict: str = ""
    disabled: bool = False

    @property
    def label(self) -> str:
        """Distribution, version and entry point, for sentences."""
        return f"{self.distribution} {self.version}, entry point {self.name} = {self.value}"


@dataclass(frozen=True)
class Status:
    """One line of ``sslplug plugins``: ``state`` is ok, broken, conflict or disabled; ``text`` is its summary or fault."""

    found: Found
    state: str
    text: str


def list_plugins() -> list[Found]:
    """Every announced plugin, by name; imports none of them."""
    switched = {word.strip() for word in os.environ.get(SWITCH, "").split(",")} - {""}
    announced = [_found(point, switched) for point in entry_points(group=GROUP)]
    return sorted((_with_conflict(found, announced) for found in announced), key=lambda f: (f.name, f.distribution))


def load(name: str) -> Plugin:
    """The plugin of this name, imported and checked.

    Raises PluginError for an unknown, disabled, doubly named or broken plugin.
    """
    announced = list_plugins()
    named = [found for found in announced if found.name == name]
    active = [found for found in named if not found.disabled]
    if not named:
        names = sorted({found.name for found in announced if not found.disabled})
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        guess = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        known = f"Installed: {', '.join(names)}." if names else "None is installed."
        raise PluginError(
            f"There is no plugin named {name!r}.{guess} {known} A plugin is a package with an entry point in {GROUP!r}."
        )
    if not active:
        raise PluginError(
            f"Plugin {name!r} ({named[0].label}) is switched off by {SWITCH}={os.environ.get(SWITCH)!r}; "
            "unset the variable to use it."
        )
    if len(active) > 1:
        raise PluginError(
            f"The plugin name {name!r} is announced by {' and by '.join(found.label for found in active)}; "
            f"uninstall one, or switch it off with {SWITCH}."
        )
    return _load(active[0])


def status() -> list[Status]:
    """Every announced plugin with its state; each is loaded behind its own guard."""
    return [_status(found) for found in list_plugins()]


def recipes_of(plugin: Plugin) -> Mapping[str, Traversable]:
    """{recipe name: file} of the recipes that ship with a plugin, by name.

    Raises PluginError where the plugin's recipe folder does not exist.
    """
    try:
        folder = importlib.resources.files(plugin.recipes)
        files = [item for item in folder.iterdir() if item.name.endswith(".yaml")]
    except (ImportError, OSError, ValueError, TypeError) as error:
        raise PluginError(
            f"Plugin {plugin.name!r}: its recipe folder {plugin.recipes!r} cannot be read ({error}); "
            "expected a package folder that holds <recipe>.yaml files."
        ) from error
    return {item.name.removesuffix(".yaml"): item for item in sorted(files, key=lambda item: item.name)}


def _found(point: EntryPoint, switched: set[str]) -> Found:
    distribution = point.dist.name if point.dist else "unknown distribution"
    version = point.dist.version if point.dist else "?"
    off = point.name in switched or (THIRD_PARTY in switched and distribution != "sslplug")
    return Found(point.name, distribution, version, point.value, disabled=off)


def _with_conflict(found: Found, announced: list[Found]) -> Found:
    """The same plugin with a note on others of its name that are not switched off."""
    others = [other for other in announced if other is not found and other.name == found.name and not other.disabled]
    if found.disabled or not others:
        return found
    note = f"the name is also used by {' and '.join(other.label for other in others)}"
    return Found(found.name, found.distribution, found.version, found.value, note)


def _status(found: Found) -> Status:
    if found.disabled:
        return Status(found, "disabled", f"switched off by {SWITCH}")
    if found.conflict:
        return Status(found, "conflict", found.conflict)
    try:
        return Status(found, "ok", _load(found).summary)
    except PluginError as error:
        return Status(found, "broken", str(error))


def _load(found: Found) -> Plugin:
    """Imports and checks one plugin. Its import may fail in any way; only the keyboard interrupts."""
    try:
        loaded = EntryPoint(found.name, found.value, GROUP).load()
    except (Exception, SystemExit) as error:
        reason = f"its import failed with {type(error).__name__}: {error}"
        raise _broken(found, reason, f"mend or uninstall {found.distribution}") from error
    return _checked(found, loaded)


def _checked(found: Found, loaded: Any) -> Plugin:
    """The loaded object, if it keeps the contract of :class:`sslplug.contracts.Plugin`."""
    from sslplug.contracts import API, Component, Plugin

    if not isinstance(loaded, Plugin):
        raise _broken(found, f"it is a {type(loaded).__name__}", "expected a constant made by sslplug.contracts.Plugin(...)")
    if loaded.api != API:
        advice = f"install a version of {found.distribution} for api {API}, or the sslplug it was written for"
        raise _broken(found, f"it was written for api {loaded.api!r}, this sslplug has api {API}", advice)
    if loaded.name != found.name:
        raise _broken(
            found, f"it calls itself {loaded.name!r}", f"expected Plugin(name={found.name!r}), as its entry point says"
        )
    for table in ("data", "views", "encoders", "decoders", "objectives", "methods"):
        components = getattr(loaded, table)
        if not isinstance(components, Mapping):
            raise _broken(found, f"its {table} are a {type(components).__name__}", "expected a mapping name -> Component")
        for name, component in components.items():
            if not isinstance(component, Component):
                kind = type(component).__name__
                raise _broken(found, f"its {table}[{name!r}] is a {kind}", "expected a sslplug.contracts.Component")
            if "name" in component.options.model_fields:
                raise _broken(
                    found, f"its {table}[{name!r}] has an option called 'name'", "rename it: 'name' picks the component"
                )
        if not components and table in ("data", "views", "encoders"):
            raise _broken(found, f"it brings no {table}", "expected at least one")
    try:
        recipes = recipes_of(loaded)
    except PluginError as error:
        raise _broken(found, str(error), "ship the folder as package data") from error
    if loaded.default_recipe not in recipes:
        known = ", ".join(recipes) or "none"
        raise _broken(
            found, f"its default recipe {loaded.default_recipe!r} is not among its recipes ({known})", "add the file"
        )
    return loaded


def _broken(found: Found, reason: str, advice: str) -> PluginError:
    return PluginError(f"Plugin {found.name!r} ({found.label}) cannot be used: {reason}; {advice}.")
