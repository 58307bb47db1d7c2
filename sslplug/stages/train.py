"""The training stage: from a recipe to a run folder with checkpoints, and on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from sslplug import diagnostics, discovery, distributed
from sslplug.build import schema_of
from sslplug.errors import Interrupted, RunFolderError
from sslplug.evaluation import embed
from sslplug.recipe import Resolved, dump
from sslplug.reporting.monitor import Monitor
from sslplug.reporting.progress import Progress, say
from sslplug.reporting.runfolder import at_work, create_run, read_metrics, update_json, write_environment, write_text
from sslplug.stages.evaluate import judge_run
from sslplug.stages.interrupt import listening
from sslplug.stages.recipes import chosen
from sslplug.stages.report import show
from sslplug.stages.session import Session, data_context, keep_fitted, open_session, recipe_of_run, say_notes
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
            folder = new_folder(resolved, runs)
            with held(folder):
                session = open_session(resolved, schema, data_context(data_root, seed, download), where)
                if distributed.rank() == 0:
                    keep_fitted(folder, session.composed.data)
                if seed == first.seed and distributed.rank() == 0:
                    say_notes(session.composed.data)
                _train_session(session, folder, None)
                folders.append(folder)
                if evaluate and distributed.rank() == 0:
                    judge_run(session, folder)
        if evaluate and distributed.rank() == 0:
            show(folders)
    return folders


def resume(run: Path, *, device: str, evaluate: bool, data_root: Path | None) -> Path:
    """Go on from a run's newest intact checkpoint to the end, then judge it; a run that has both behind it stays as it is.

    Raises RunFolderError when there is no checkpoint, or another process is at work in the run.
    """
    resolved, schema = recipe_of_run(run, [])
    where = choose_device(device)
    with process_group(where):
        found, complaints = checkpoint.newest(run / "checkpoints")
        if found.state["finished"] and _complete(run, evaluate):
            if distributed.rank() == 0:
                say(f"{run}: finished at step {found.state['step']}; nothing is left to do.")
            return run
        with held(run):
            found, complaints = checkpoint.newest(run / "checkpoints")  # another process may have been at work until now
            session = open_session(resolved, schema, data_context(data_root, resolved.seed, False), where)
            _train_session(session, run, found, complaints)
            if evaluate and distributed.rank() == 0:
                judge_run(session, run)
                show([run])
    return run


def held(run: Path) -> AbstractContextManager[None]:
    """The run folder, held by the first rank for all; RunFolderError where another process is at work in it."""
    return at_work(run) if distributed.rank() == 0 else nullcontext()


def _complete(run: Path, evaluate: bool) -> bool:
    """Whether the run's metrics.json says that training, and where asked for the evaluation, is behind it."""
    if not (run / "metrics.json").is_file():
        return False
    try:
        metrics = read_metrics(run)
    except RunFolderError as error:
        say(f"{error} What training says in it is written anew from the checkpoint.")
        (run / "metrics.json").unlink()
        return False
    return bool(metrics.get("finished")) and ("scores" in metrics or not evaluate)


def new_folder(resolved: Resolved, runs: Path) -> Path:
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
    """Run the loop with its reporters and signals; write what it found to the run's metrics.json."""
    resolved = session.resolved
    start = 0 if resume_from is None else int(resume_from.state["step"])
    for complaint in complaints if distributed.rank() == 0 else ():
        say(complaint)
    title = f"{resolved.plugin}/{resolved.name} seed {resolved.seed}"
    total = total_steps(session)
    with listening() as stop, reporting(folder, title, start, total, resume_from is not None) as reporter:
        outcome = train_loop(loop_run(session, folder, reporter, stop), resume_from)
    if distributed.rank() == 0:
        keep_outcome(session, folder, outcome)
    if outcome.stopped:
        raise Interrupted(
            f"Stopped by signal {stop.signal_number} after step {outcome.step} of {total}; the state is checkpointed. "
            f"Go on with: sslplug resume {folder}",
            stop.signal_number or 15,
        )
    return outcome


def total_steps(session: Session) -> int:
    """Optimiser steps of the whole run."""
    options = session.resolved.sections["train"]
    assert isinstance(options, TrainOptions)  # the schema says so
    return options.steps(len(session.composed.batches_of(0)))


def loop_run(session: Session, folder: Path, reporter: Reporter, stop: Callable[[], bool]) -> Run:
    """All the loop needs to train a session into a run folder."""
    resolved, composed = session.resolved, session.composed
    options, optim = resolved.sections["train"], resolved.sections["optim"]
    assert isinstance(options, TrainOptions)  # the schema says so
    assert isinstance(optim, OptimOptions)
    encoder = composed.method.encoder
    assert isinstance(encoder, torch.nn.Module)  # the Method contract
    return Run(
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
    )


def keep_outcome(session: Session, folder: Path, outcome: Outcome) -> None:
    """Write what training came to into the run's metrics.json."""
    resolved = session.resolved
    update_json(
        folder / "metrics.json",
        {
            "format": 1,
            "plugin": resolved.plugin,
            "recipe": resolved.name,
            "seed": resolved.seed,
            "data": dict(session.composed.data.description),
            "steps": outcome.step,
            "finished": not outcome.stopped,
            "collapsed": outcome.collapsed,
            "diagnostics": dict(outcome.diagnostics),
            "training_seconds": outcome.seconds,
            "device": session.device.type,
            "world": distributed.world(),
        },
    )


def _embed_rows(session: Session, encoder: torch.nn.Module) -> Mapping[str, Tensor]:
    arrays = embed(encoder, session.composed.data.rows(), session.device)
    return {level: torch.from_numpy(rows) for level, rows in arrays.items()}


@contextmanager
def reporting(
    folder: Path, title: str, start: int, total: int, resumed: bool, log: bool = True, show: bool = True
) -> Iterator[Reporter]:
    """The first rank's numbers go to the folder's log and TensorBoard, and to the progress bar; other ranks write nothing."""
    if distributed.rank() != 0 or not (log or show):
        yield _Silent()
        return
    monitor = Monitor(folder, start if resumed else None) if log else None
    progress = Progress(title, total, start) if show else None
    try:
        yield _Loud(monitor, progress)
    except BaseException:
        with suppress(RunFolderError):  # what stopped the run is told, not what it broke
            if monitor is not None:
                monitor.close()
        raise
    else:
        if monitor is not None:
            monitor.close()
    finally:
        if progress is not None:
            progress.finish()


class _Silent:
    """To nowhere."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def advance(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""


class _Loud(_Silent):
    """To the log and TensorBoard, and to the progress bar, where there are such."""

    def __init__(self, monitor: Monitor | None, progress: Progress | None) -> None:
        if monitor is not None:
            self.scalars = monitor.scalars  # type: ignore[method-assign]
        if progress is not None:
            self.advance = progress.advance  # type: ignore[method-assign]
