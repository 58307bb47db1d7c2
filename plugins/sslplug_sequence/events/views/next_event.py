"""The clean events, each asked for the one that follows: category, time gap and numbers (generative pretraining)."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from sslplug.contracts import Options, Tags, View
from sslplug.randomness import Rng
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.spec import EventSpec
from sslplug_sequence.events.views.view import checked_fields, field_targets, view_of, window


class WindowOptions(Options):
    """A contiguous part of every sequence."""

    longest: int = Field(512, ge=2, description="most events of a sequence; longer ones show a random part")


class FieldOptions(WindowOptions):
    """Which fields are asked for."""

    targets: tuple[str, ...] = Field((), description="fields to predict (categories, gap, numbers, given); none: all")


class NextEvent:
    """Every event but the last of its sequence is asked for the fields of the next one."""

    rates: Mapping[str, float] = {}

    def __init__(self, options: FieldOptions, spec: EventSpec) -> None:
        self.longest, self.spec, self.fields = options.longest, spec, checked_fields(options.targets, spec)

    def __call__(self, batch: Events, rng: Rng) -> list[View]:
        """One view."""
        events = window(batch, self.longest, rng.fork("view", 0).uniform(batch.entity)[:, 0])
        rows = events.has_next
        return [view_of(events, targets=field_targets(events, self.spec, self.fields, rows + 1, rows))]


class Clean:
    """The events as they are, or a random part of long sequences; one view."""

    rates: Mapping[str, float] = {}

    def __init__(self, longest: int) -> None:
        self.longest = longest

    def __call__(self, batch: Events, rng: Rng) -> list[View]:
        """One view."""
        return [view_of(window(batch, self.longest, rng.fork("view", 0).uniform(batch.entity)[:, 0]))]


def build(options: FieldOptions, spec: EventSpec) -> NextEvent:
    """The view with targets."""
    return NextEvent(options, spec)


def build_clean(options: WindowOptions, spec: EventSpec) -> Clean:
    """The view without targets."""
    return Clean(options.longest)


def provides(options: FieldOptions) -> Tags:
    """The named targets; with none named all are brought, but which ones only the data tell."""
    return frozenset(f"target:{name}" for name in options.targets)


def outputs(options: FieldOptions, spec: EventSpec) -> Mapping[str, int]:
    """Widths of the targets."""
    widths = spec.target_widths()
    return {name: widths[name] for name in checked_fields(options.targets, spec)}
