"""How the plugin's view sets make a view of event sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sslplug.contracts import Target, View
from sslplug.errors import UsageError
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.spec import GAP, GIVEN, NUMBERS, EventSpec


def view_of(
    events: Events,
    mask: Tensor | None = None,
    targets: Mapping[str, Target] | None = None,
    role: str = "",
) -> View:
    """A view whose rows are its sequences, with the labels its entities may have as target ``label``."""
    asked = dict(targets or {})
    if events.labels is not None and role != "negative":
        asked["label"] = events.labels
    return View(events, {"entity": events.entity}, {} if mask is None else {"event": mask}, asked, role=role)


def checked_fields(names: Sequence[str], spec: EventSpec) -> tuple[str, ...]:
    """The fields that views ask for: those named, or all. Raises UsageError for a name that is none."""
    known = spec.target_widths()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"views.targets: events have no field {unknown[0]!r}; they have {', '.join(known)}.")
    return tuple(names) or tuple(known)


def field_targets(events: Events, spec: EventSpec, fields: Sequence[str], event: Tensor, rows: Tensor) -> dict[str, Target]:
    """Ask the embeddings of ``rows`` for the ``fields`` of the events ``event``, both (k,) int64.

    Categories are codes; ``gap`` is the scaled time since the event before; ``numbers`` are NaN where not recorded; ``given``
    says which were.
    """
    values = {name: events.codes[event, column] for column, name in enumerate(spec.categories)}
    gap = torch.log1p(events.gaps[event].clamp(min=0) / spec.gap.unit)
    values[GAP] = ((gap - spec.gap.mean) / spec.gap.std).float()[:, None]
    if spec.numbers:
        values[NUMBERS] = events.numbers[event].masked_fill(~events.given[event], torch.nan)
    if spec.missing:
        values[GIVEN] = events.given[event].float()
    return {name: Target("event", values[name], rows) for name in fields}


def window(events: Events, longest: int, uniform: Tensor) -> Events:
    """A contiguous part of at most ``longest`` events of every sequence; ``uniform`` (n,) in [0, 1) says where it starts."""
    length = events.lengths.clamp(max=longest)
    start = (uniform.double() * (events.lengths - length + 1)).long()
    return events.slices(torch.arange(len(events.entity), device=events.device), start, length)
