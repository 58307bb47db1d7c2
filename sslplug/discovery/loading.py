"""Imports one plugin and checks it: what comes out keeps the contract of :class:`sslplug.contracts.Plugin`, or is refused."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

from sslplug.discovery.announced import GROUP, Found
from sslplug.errors import PluginError

if TYPE_CHECKING:
    from sslplug.contracts import Plugin


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


def import_and_check(found: Found) -> Plugin:
    """The plugin. Its import may fail in any way; only the keyboard interrupts. PluginError says what is wrong with it.

    Whatever the import draws from the process's random generators, or seeds them with, is undone.
    """
    if found.fault:
        raise refusal(found, *found.fault)
    try:
        with _generators_kept():
            loaded = EntryPoint(found.name, found.value, GROUP).load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = f"its import failed with {type(error).__name__}: {error}"
        raise refusal(found, reason, f"mend or uninstall {found.distribution}") from error
    return _checked(found, loaded)


def _checked(found: Found, loaded: Any) -> Plugin:
    """The loaded object, if it keeps the contract of :class:`sslplug.contracts.Plugin`."""
    from sslplug.contracts import API, Component, Plugin

    if not isinstance(loaded, Plugin):
        raise refusal(found, f"it is a {type(loaded).__name__}", "expected a constant made by sslplug.contracts.Plugin(...)")
    if loaded.api != API:
        advice = f"install a version of {found.distribution} for api {API}, or the sslplug it was written for"
        raise refusal(found, f"it was written for api {loaded.api!r}, this sslplug has api {API}", advice)
    if loaded.name != found.name:
        raise refusal(
            found, f"it calls itself {loaded.name!r}", f"expected Plugin(name={found.name!r}), as its entry point says"
        )
    for table in ("data", "views", "encoders", "decoders", "objectives", "methods"):
        components = getattr(loaded, table)
        if not isinstance(components, Mapping):
            raise refusal(found, f"its {table} are a {type(components).__name__}", "expected a mapping name -> Component")
        for name, component in components.items():
            if not isinstance(component, Component):
                kind = type(component).__name__
                raise refusal(found, f"its {table}[{name!r}] is a {kind}", "expected a sslplug.contracts.Component")
            if "name" in component.options.model_fields:
                raise refusal(
                    found, f"its {table}[{name!r}] has an option called 'name'", "rename it: 'name' picks the component"
                )
        if not components and table in ("data", "views", "encoders"):
            raise refusal(found, f"it brings no {table}", "expected at least one")
    try:
        recipes = recipes_of(loaded)
    except PluginError as error:
        raise refusal(found, str(error), "ship the folder as package data") from error
    if loaded.default_recipe not in recipes:
        known = ", ".join(recipes) or "none"
        raise refusal(
            found, f"its default recipe {loaded.default_recipe!r} is not among its recipes ({known})", "add the file"
        )
    return loaded


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Python's, NumPy's and torch's generators are afterwards as they were: libraries draw from them when imported."""
    import random

    import numpy
    import torch

    python, arrays, tensors = random.getstate(), numpy.random.get_state(), torch.random.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        numpy.random.set_state(arrays)
        torch.random.set_rng_state(tensors)


def refusal(found: Found, reason: str, advice: str) -> PluginError:
    """Why a plugin cannot be used, and what to do."""
    return PluginError(f"Plugin {found.name!r} ({found.label}) cannot be used: {reason}; {advice}.")
