"""The clean view alone, for supervised parts and teachers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sslplug.contracts import Options, View
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views.look import look


class IdentityOptions(Options):
    """Nothing to choose."""


@dataclass(frozen=True)
class Identity:
    """The rows as they are."""

    rates: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, batch: Rows, rng: Rng) -> list[View]:
        """The one view; nothing is random."""
        return [look(batch)]


def build(options: IdentityOptions, spec: TableSpec) -> Identity:
    """The component's build function."""
    return Identity()
