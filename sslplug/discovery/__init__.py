"""Finds plugins through the entry-point group ``sslplug.plugins``; our own come through the same door as strangers'.

Listing reads metadata and imports nothing. Loading imports one plugin and checks it; whatever is wrong with it is a
:class:`~sslplug.errors.PluginError` that names distribution, version, entry point and reason, and hurts no other plugin. What a
stranger's import does besides, to this process or for ever, is found out in another process first.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sslplug.discovery.announced import GROUP, OWN, SWITCH, Found, list_plugins
from sslplug.discovery.loading import import_and_check, recipes_of, refusal
from sslplug.discovery.trial import SLOW, Verdict, tried
from sslplug.errors import PluginError, meant

if TYPE_CHECKING:
    from sslplug.contracts import Plugin

__all__ = ["GROUP", "Found", "Status", "list_plugins", "load", "recipes_of", "status"]

_passed: dict[Found, Verdict] = {}
"""Strangers that have been tried, and may be imported into this process."""


@dataclass(frozen=True)
class Status:
    """One line of ``sslplug plugins``: ``state`` is ok, broken, conflict or disabled; ``text`` is its summary or fault."""

    found: Found
    state: str
    text: str


def load(name: str) -> Plugin:
    """The plugin of this name, imported and checked; a stranger's is tried in another process before.

    Raises PluginError for an unknown, disabled, doubly named or broken plugin.
    """
    announced = list_plugins()
    named = [found for found in announced if found.name == name]
    active = [found for found in named if not found.disabled]
    if not named:
        names = sorted({found.name for found in announced if not found.disabled})
        known = f"Installed: {', '.join(names)}." if names else "None is installed."
        raise PluginError(
            f"There is no plugin named {name!r}.{meant(name, names)} {known} A plugin is a package with an entry point in "
            f"{GROUP!r}."
        )
    if not active:
        raise PluginError(
            f"Plugin {name!r} ({named[0].label}) is switched off by {SWITCH}={os.environ.get(SWITCH)!r}; "
            "unset the variable to use it."
        )
    chosen = next((found for found in active if not found.conflict), None)
    if chosen is None:
        raise PluginError(
            f"The plugin name {name!r} is announced by {' and by '.join(found.label for found in active)}; "
            f"uninstall one, or switch it off by its distribution: {SWITCH}={active[-1].distribution}."
        )
    if chosen.distribution != OWN:
        verdict = _tried_once(chosen)
        if verdict.fault:
            raise PluginError(verdict.fault)
    return import_and_check(chosen)


def status() -> list[Status]:
    """Every announced plugin with its state; a stranger's is imported in a process of its own and not into this one."""
    return [_status(found) for found in list_plugins()]


def _status(found: Found) -> Status:
    if found.disabled:
        return Status(found, "disabled", f"switched off by {SWITCH}")
    if found.conflict:
        return Status(found, "conflict", found.conflict)
    if found.fault:
        return Status(found, "broken", str(refusal(found, *found.fault)))
    if found.distribution == OWN:
        try:
            return Status(found, "ok", import_and_check(found).summary)
        except PluginError as error:
            return Status(found, "broken", str(error))
    verdict = _tried_once(found)
    if verdict.fault:
        return Status(found, "broken", verdict.fault)
    slow = f" (its import takes {verdict.seconds:.1f} s)" if verdict.seconds > SLOW else ""
    return Status(found, "ok", verdict.summary + slow)


def _tried_once(found: Found) -> Verdict:
    """The verdict on a stranger; one that passed is not tried again."""
    if found in _passed:
        return _passed[found]
    verdict = tried(found)
    if not verdict.fault:
        _passed[found] = verdict
    return verdict
