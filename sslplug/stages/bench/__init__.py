"""The comparison of domains: ``sslplug bench`` trains a matrix of plugin x recipe x objective x seed, one process a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sslplug import discovery
from sslplug.build import schema_of
from sslplug.contracts import Plugin
from sslplug.errors import Interrupted, SslplugError, UsageError
from sslplug.recipe_check import nearest
from sslplug.reporting.progress import say
from sslplug.reporting.runs_progress import RunsProgress
from sslplug.stages.bench.budget import Budget
from sslplug.stages.bench.found import FoundRuns
from sslplug.stages.bench.job import Place, command
from sslplug.stages.bench.matrix import OWN, Cell, Refused, expand, in_turn
from sslplug.stages.bench.runner import Runner
from sslplug.stages.compare import compare
from sslplug.stages.interrupt import listening
from sslplug.stages.publish import Outputs

__all__ = ["Matrix", "bench", "matrix"]


@dataclass(frozen=True)
class Matrix:
    """The runs to be made, seed by seed over all plugins, and the combinations that are never attempted."""

    plugins: dict[str, Plugin]
    cells: tuple[Cell, ...]
    refused: tuple[Refused, ...]


def matrix(plugin: str | None, *, recipes: Sequence[str], objectives: Sequence[str], seeds: int, budget: Budget) -> Matrix:
    """The matrix of a plugin, or of every plugin that works (None); see :func:`sslplug.stages.bench.matrix.expand`.

    Of several plugins one that is broken, or whose default recipe is, is refused with the reason; alone it raises what
    ``sslplug train`` would. Raises UsageError for an objective that no plugin knows, or recipes named for all plugins.
    """
    refused: list[Refused] = []
    if plugin is not None:
        plugins = {plugin: discovery.load(plugin)}
    else:
        if recipes:
            raise UsageError("--recipes names recipes of one plugin; give that PLUGIN in place of --all.")
        states = [status for status in discovery.status() if status.state != "disabled"]
        plugins = {state.found.name: discovery.load(state.found.name) for state in states if state.state == "ok"}
        refused += [Refused(state.found.name, "", "", state.text) for state in states if state.state != "ok"]
    known = {OWN}.union(*(schema_of(one).tables["objective"] for one in plugins.values()))
    for objective in objectives:
        if objective not in known:
            raise UsageError(f"--objectives {objective}: no plugin here has such an objective. {nearest(objective, known)}")
    cells: list[Cell] = []
    for name, one in plugins.items():
        try:
            made, no = expand(one, recipes, objectives, seeds, budget)
        except UsageError as error:
            if plugin is not None:
                raise
            made, no = [], [Refused(name, one.default_recipe, "", str(error))]
        cells, refused = cells + made, refused + no
    return Matrix(plugins, tuple(in_turn(cells)), tuple(refused))


def bench(
    planned: Matrix, *, jobs: int | None, runs: Path, device: str, data_root: Path | None, logdir: Path | None
) -> None:
    """Make the runs that are not there yet, then compare all that lie in ``runs``.

    jobs  processes at a time; None: a core each, at most eight

    Raises SslplugError where a run failed twice, Interrupted where a signal stopped the work (runs are checkpointed),
    UsageError where nothing can be run.
    """
    for refusal in planned.refused:
        say(f"not attempted: {refusal.label}: {refusal.reason}")
    if not planned.cells:
        raise UsageError("No combination of this matrix can be run; the reasons stand above.")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jobs = jobs or min(cores, 8)
    place = Place(runs, ("--device", device, *(("--data-root", str(data_root)) if data_root else ())), max(cores // jobs, 1))
    with listening() as stop:
        ended = Runner(planned.cells, FoundRuns(runs, planned.plugins), place, jobs, stop, RunsProgress()).run()
    if stop():
        raise Interrupted(
            f"Stopped by signal {stop.signal_number}: {ended.before + ended.done} of {len(planned.cells)} runs are done, "
            f"{ended.left} are left; those at work are checkpointed. The same command goes on.",
            stop.signal_number,
        )
    for failure in ended.failed:
        say(f"failed: {failure.cell.label}\n{failure.words}\n  again: {failure.command}")
    if ended.before + ended.done:
        compare([runs], Outputs(logdir))
    say(
        f"{len(planned.cells)} runs: {ended.before} were done before, {ended.done} now, {len(ended.failed)} failed; "
        f"{len(planned.refused)} combinations were not attempted."
    )
    if ended.failed:
        raise SslplugError(
            f"{len(ended.failed)} of {len(planned.cells)} runs failed; each is told above with its last words and its command."
        )


def listed(planned: Matrix, runs: Path) -> list[str]:
    """A line a run (where it stands, what makes it) and a line a refused combination (why)."""
    found = FoundRuns(runs, planned.plugins)
    place = Place(runs, (), 1)
    lines = [f"{found.state(cell).word:<8} {cell.label}  {command(place.train(cell))}" for cell in planned.cells]
    return lines + [f"refused  {refusal.label}  {refusal.reason}" for refusal in planned.refused]
