"""What installed distributions announce, read from their metadata alone: nothing is imported, nothing one writes hurts another."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint, distributions

GROUP = "sslplug.plugins"
SWITCH = "SSLPLUG_DISABLE"
THIRD_PARTY = "all third-party"
OWN = "sslplug"
"""Our own distribution: the names of its plugins are taken."""


@dataclass(frozen=True)
class Found:
    """A plugin as its distribution announces it, not yet imported.

    value     the entry point, ``module:constant``
    conflict  empty, or which other distributions use the same name
    disabled  whether SSLPLUG_DISABLE switches it off, by its name or its distribution's
    fault     empty, or what is wrong with the announcement itself: what was found, and what to do
    """

    name: str
    distribution: str
    version: str
    value: str
    conflict: str = ""
    disabled: bool = False
    fault: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Distribution, version and entry point, for sentences."""
        return f"{self.distribution} {self.version}, entry point {self.name} = {self.value}"


def list_plugins() -> list[Found]:
    """Every announced plugin, by name; imports none of them."""
    switched = {word.strip() for word in os.environ.get(SWITCH, "").split(",")} - {""}
    announced = [found for held in _installed() for found in _of(held, switched)]
    return sorted((_with_conflict(found, announced) for found in announced), key=lambda f: (f.name, f.distribution))


def _installed() -> Iterator[Distribution]:
    """Every distribution once: of two with one name, the first on the path, as Python imports."""
    seen: set[str] = set()
    for held in distributions():
        name = _word(held, "Name")
        key = re.sub(r"[-_.]+", "-", name or str(id(held))).lower()
        if key not in seen:
            seen.add(key)
            yield held


def _word(held: Distribution, key: str) -> str:
    """A field of a distribution's metadata; empty where that is missing or cannot be read."""
    try:
        found = held.metadata
        return str(found[key]) if key in found else ""
    except Exception:  # whatever a damaged file makes its reader say
        return ""


def _of(held: Distribution, switched: set[str]) -> Iterator[Found]:
    """The plugins that one distribution announces."""
    try:
        text = held.read_text("entry_points.txt") or ""
    except (OSError, UnicodeDecodeError):
        text = ""
    if GROUP not in text:  # so nearly every distribution
        return
    distribution, version = _word(held, "Name") or "unnamed distribution", _word(held, "Version")
    fault: tuple[str, ...] = ()
    if not version:
        fault = ("its distribution gives no version", f"reinstall {distribution}, whose METADATA must name one")
    try:
        points = [point for point in held.entry_points if point.group == GROUP]
    except Exception as error:  # whatever a damaged file makes its reader say
        points = [EntryPoint(distribution, "?", GROUP)]
        fault = (f"its entry_points.txt cannot be read ({error})", f"reinstall {distribution}")
    for point in points:
        wrong = fault
        if not wrong and (EntryPoint.pattern.match(point.value) is None or ":" not in point.value):
            wrong = (f"its entry point is {point.value!r}", "expected module:constant, such as sslplug_name.plugin:PLUGIN")
        off = bool(switched & {point.name, distribution}) or (THIRD_PARTY in switched and distribution != OWN)
        yield Found(point.name, distribution, version or "without a version", point.value, disabled=off, fault=wrong)


def _with_conflict(found: Found, announced: list[Found]) -> Found:
    """The same plugin with a note on others of its name that are not switched off. Our own keep their names."""
    others = [other for other in announced if other is not found and other.name == found.name and not other.disabled]
    own = [other for other in others if other.distribution == OWN]
    if found.disabled or not others or (found.distribution == OWN and not own):
        return found
    if own:
        return replace(found, conflict=f"the name belongs to {own[0].label}; the author must choose another")
    return replace(found, conflict=f"the name is also used by {' and '.join(other.label for other in others)}")
