"""The check of a user's data: every fault that its component finds, and whether training would start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from sslplug import discovery
from sslplug.build import schema_of
from sslplug.contracts import DataContext, Fault
from sslplug.errors import DataError
from sslplug.recipe import Resolved, Schema
from sslplug.reporting.fault_report import FaultReport
from sslplug.stages.recipes import chosen
from sslplug.stages.session import data_context, open_session, say_notes

UNUSABLE = "unusable"
"""The kind of a fault that only building the data finds."""


def check_data(
    plugin: str, recipe: str | None, overrides: Sequence[str], *, named: str, limit: int, data_root: Path | None
) -> FaultReport:
    """Every fault of a recipe's data, at most ``limit`` of a kind in words; ``named``: as the user calls it.

    Where no fault stands in the way, all that ``sslplug train`` does before its first step is done: what then refuses the data
    is a fault too. Raises UsageError where not the data but the command or the recipe is wrong.
    """
    loaded = discovery.load(plugin)
    schema = schema_of(loaded)
    resolved = chosen(loaded, recipe, overrides, schema)
    context = data_context(data_root, resolved.seed, False)
    report = FaultReport(named, limit)
    picked = resolved.picked["data"]
    try:
        if picked.component.faults is not None:
            report.add(_as_named(fault, named) for fault in picked.component.faults(picked.options, context))
        if not report.refused:
            _begin(resolved, schema, context)
    except DataError as error:
        report.add([_unusable(named, error)])
    return report


def _begin(resolved: Resolved, schema: Schema, context: DataContext) -> None:
    """What training does before its first step."""
    session = open_session(resolved, schema, context, torch.device("cpu"))
    say_notes(session.composed.data)
    batches = session.composed.batches_of(0)
    if len(batches):
        batches[0]


def _as_named(fault: Fault, named: str) -> Fault:
    """The fault with its file as the user called it; recipes hold whole paths."""
    whole = str(Path(named).resolve())
    below = fault.file.removeprefix(whole)
    return (
        fault
        if below == fault.file or below[:1] not in ("", "/", ",")
        else replace(fault, file=f"{named.rstrip('/')}{below}")
    )


def _unusable(named: str, error: DataError) -> Fault:
    """An error of building as a fault; its sentence says what was expected."""
    found = str(error).removeprefix(f"{named}: ")
    return Fault(
        UNUSABLE, named, None, None, f"data that training refuses: {found}", "data that can be trained on", "Mend it."
    )
