"""The training stage: from a recipe to a run folder with checkpoints, and on from there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from sslplug import diagnostics, discovery, distributed
from sslplug.build import schema_of
from sslplug.errors import Interrupted
from sslplug.evaluation import embed
from sslplug.recipe import Resolved, dump
from sslplug.reporting.monitor import Monitor
from sslplug.reporting.progress import Progress, say
from sslplug.reporting.runfolder import create_run, update_json, write_environment, write_text
from sslplug.stages.evaluate import judge_run
from sslplug.stages.interrupt import listening
from sslplug.stages.recipes import chosen
from sslplug.stages.report import show
from sslplug.stages.session import Session, data_context, open_session, recipe_of_run
from sslplug.training import checkpoint
from sslplug.training.device import choose_device, process_group
from sslplug.training.loop import Outcome, Reporter, Run, TrainOptions
from sslplug.training.loop import train as train_loop
from sslplug.training.optim import OptimOptions, make_optimizer


def train(
    plugin: str,
    recipe: str | None,
    overrides: Sequence[str],
    *,
    seeds: int,
    device: str,
    data_root: Path | None,
    runs: Path,
    evaluate: bool,
    download: bool,
) -> list[Path]:
    """Train (and judge) a recipe with seeds seed, seed + 1, ...; the run folders.

    Raises RecipeError, DataError, NonFiniteError, and Interrupted when a signal stopped a run (its state is checkpointed).
    """
    loaded = discovery.load(plugin)
    schema = schema_of(loaded)
    first = chosen(loaded, recipe, overrides, schema)
    where = choose_device(device)
    folders: list[Path] = []
    with process_group(where):
        for seed in range(first.seed, first.seed + seeds):
            resolved = chosen(loaded, recipe, [*overrides, f"seed={seed}"], schema)
            folder = _new_folder(resolved, runs)
            session = open_session(resolved, schema, data_context(data_root, seed, download), where)
            _train_session(session, folder, None)
            folders.append(folder)
            if evaluate and distributed.rank() == 0:
                judge_run(session, folder)
        if evaluate and distributed.rank() == 0:
            show(folders)
    return folders


def resume(run: Path, *, device: str, evaluate: bool, data_root: Path | None) -> Path:
    """Go on from a run's newest intact checkpoint to the end, then judge it. RunFolderError when there is none."""
    resolved, schema = recipe_of_run(run, [])
    where = choose_device(device)
    with process_group(where):
        found, complaints = checkpoint.newest(run / "checkpoints")
        session = open_session(resolved, schema, data_context(data_root, resolved.seed, False), where)
        _train_session(session, run, found, complaints)
        if evaluate and distributed.rank() == 0:
            judge_run(session, run)
            show([run])
    return run


def _new_folder(resolved: Resolved, runs: Path) -> Path:
    """The run folder with recipe and environment; ranks other than the first learn its name from the first."""
    names: list[object] = [None]
    if distributed.rank() == 0:
        folder = create_run(runs, resolved.plugin, resolved.name)
        write_text(folder / "recipe.yaml", dump(resolved))
        write_environment(folder)
        names = [str(folder)]
    if distributed.world() > 1:
        torch.distributed.broadcast_object_list(names)
    return Path(str(names[0]))


def _train_session(
    session: Session, folder: Path, resume_from: checkpoint.Checkpoint | None, complaints: Sequence[str] = ()
) -> Outcome:
    """Run the loop with its reporters; write what it found to the run's metrics.json."""
    resolved, composed = session.resolved, session.composed
    options, optim = resolved.sections["train"], resolved.sections["optim"]
    assert isinstance(options, TrainOptions)  # the schema says so
    assert isinstance(optim, OptimOptions)
    start = 0 if resume_from is None else int(resume_from.state["step"])
    total = options.epochs * (len(composed.batches_of(0)) // options.accumulate)
    for complaint in complaints:
        say(complaint)
    encoder = composed.method.encoder
    assert isinstance(encoder, torch.nn.Module)  # the Method contract
    began = time.perf_counter()
    title = f"{resolved.plugin}/{resolved.name} seed {resolved.seed}"
    with listening() as stop, _reporting(folder, title, start, total, resume_from is not None) as reporter:
        outcome = train_loop(
            Run(
                method=composed.method,
                optimizer=make_optimizer(composed.method, optim),
                optim=optim,
                options=options,
                seed=resolved.seed,
                device=session.device,
                batches_of=composed.batches_of,
                embed=partial(_embed_rows, session, encoder),
                health=diagnostics.health,
                collapse=diagnostics.collapse,
                reporter=reporter,
                checkpoints=folder / "checkpoints",
                stop=stop,
            ),
            resume_from,
        )
    if distributed.rank() == 0:
        update_json(
            folder / "metrics.json",
            {
                "format": 1,
                "plugin": resolved.plugin,
                "recipe": resolved.name,
                "seed": resolved.seed,
                "data": dict(composed.data.description),
                "steps": outcome.step,
                "finished": not outcome.stopped,
                "collapsed": outcome.collapsed,
                "diagnostics": dict(outcome.diagnostics),
                "training_seconds": time.perf_counter() - began,
                "device": session.device.type,
                "world": distributed.world(),
            },
        )
    if outcome.stopped:
        raise Interrupted(
            f"Stopped by signal {stop.signal_number} after step {outcome.step} of {total}; the state is checkpointed. "
            f"Go on with: sslplug resume {folder}",
            stop.signal_number or 15,
        )
    return outcome


def _embed_rows(session: Session, encoder: torch.nn.Module) -> Mapping[str, Tensor]:
    arrays = embed(encoder, session.composed.data.rows(), session.device)
    return {level: torch.from_numpy(rows) for level, rows in arrays.items()}


@contextmanager
def _reporting(folder: Path, title: str, start: int, total: int, resumed: bool) -> Iterator[Reporter]:
    """The first rank's numbers go to the log, TensorBoard and the progress bar; other ranks write nothing."""
    if distributed.rank() != 0:
        yield _Silent()
        return
    monitor, progress = Monitor(folder, start if resumed else None), Progress(title, total, start)
    try:
        yield _Loud(monitor, progress)
    finally:
        monitor.close()
        progress.finish()


class _Loud:
    """To the log, TensorBoard and the progress bar."""

    def __init__(self, monitor: Monitor, progress: Progress) -> None:
        self.scalars = monitor.scalars
        self.advance = progress.advance


class _Silent:
    """To nowhere."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def advance(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""
