"""The training loop: batch, terms, finite check, backward, clip, step, log. It knows no method, and no method knows it."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sslplug import distributed
from sslplug.contracts import Options, Progress
from sslplug.errors import NonFiniteError, UsageError
from sslplug.randomness import Rng
from sslplug.training import checkpoint
from sslplug.training.device import Precision, autocast, repeatable, seed_dropout
from sslplug.training.gradient_cache import cached_backward, require_cacheable
from sslplug.training.optim import FiniteGradients, OptimOptions, clip_gradient, gradient_norm, learning_rate


class TrainOptions(Options):
    """The recipe's ``train`` section."""

    epochs: int = Field(100, ge=0, description="Passes over the data; 0 trains nothing.")
    max_steps: int = Field(
        0, ge=0, description="Optimiser steps to end after, schedules included; 0: all that the epochs hold."
    )
    batch_size: int = Field(0, ge=0, description="Instances of one optimiser step over all ranks; 0: all of them.")
    accumulate: int = Field(1, ge=1, description="Micro-batches an optimiser step is split into.")
    gradient_cache: bool = Field(False, description="Contrast over all micro-batches jointly, exactly (joint method).")
    precision: Precision = Field("fp32", description="Autocast of the forward pass.")
    workers: int = Field(0, ge=0, description="Loader processes; they change speed, never numbers.")
    log_every: int = Field(10, ge=1, description="Optimiser steps between logged lines.")
    observe_every: int = Field(0, ge=0, description="Optimiser steps between diagnostics; 0: twenty times a run.")
    checkpoint_every: int = Field(0, ge=0, description="Optimiser steps between checkpoints; 0: every two minutes.")
    keep: int = Field(2, ge=1, description="Checkpoints kept.")
    patience: int = Field(
        0, ge=0, description="Stop after so many epochs without a smaller training loss, and restore the best."
    )
    labels: str | None = Field(None, description="A task whose training labels batches carry, for supervised parts.")
    split: int = Field(0, ge=0, description="Which of that task's splits; it is then the only one evaluated.")

    def steps(self, batches: int) -> int:
        """Optimiser steps of the whole run, with so many micro-batches an epoch."""
        steps = self.epochs * (batches // self.accumulate)
        return min(steps, self.max_steps) if self.max_steps else steps


class Reporter(Protocol):
    """Where the loop's numbers go."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log named numbers of one step."""

    def advance(self, step: int, values: Mapping[str, float]) -> None:
        """``step`` steps are done."""


@dataclass(frozen=True)
class Outcome:
    """How training ended: at which step, whether it was asked to stop, seconds over all restarts, and the last diagnostics."""

    step: int
    stopped: bool
    seconds: float
    diagnostics: Mapping[str, float]
    collapsed: str | None


@dataclass
class Best:
    """The parameters with the smallest epoch loss, for ``train.patience``."""

    loss: float = math.inf
    epochs_since: int = 0
    tensors: dict[str, Tensor] | None = None


@dataclass(frozen=True)
class Run:
    """All the loop needs, finished.

    batches_of  epoch -> the epoch's batches of this rank
    embed       frozen embeddings of all rows, for methods that re-cluster
    health      observed views -> diagnostics;  collapse: diagnostics -> a sentence when collapsed
    stop        True when a signal asked to end after this step
    """

    method: nn.Module
    optimizer: torch.optim.Optimizer
    optim: OptimOptions
    options: TrainOptions
    seed: int
    device: torch.device
    batches_of: Callable[[int], Sequence[Any]]
    embed: Callable[[], Mapping[str, Tensor]]
    health: Callable[[Mapping[str, Tensor]], dict[str, float]]
    collapse: Callable[[Mapping[str, float], int], str | None]
    reporter: Reporter
    checkpoints: Path
    stop: Callable[[], bool]


def train(run: Run, resume: checkpoint.Checkpoint | None = None) -> Outcome:
    """Train to the end, or to a stop, from the start or from a checkpoint. The last state is always checkpointed.

    Stopped and resumed at any step, on the CPU the final parameters are bit for bit those of an uninterrupted run.
    Raises NonFiniteError before a bad number reaches the optimiser (the good state is checkpointed first).
    """
    with repeatable(run.device):
        return _train(run, resume)


def _train(run: Run, resume: checkpoint.Checkpoint | None) -> Outcome:
    options, method, device = run.options, run.method, run.device
    method.train()
    parameters = [p for p in method.parameters() if p.requires_grad]
    scaler = torch.amp.GradScaler(device.type) if options.precision == "fp16" else None
    cacheable = require_cacheable(method) if options.gradient_cache else None
    root = Rng.root(run.seed).fork("train")
    best = Best()
    epoch, done, step, spent, rows = 0, 0, 0, 0.0, 0
    diagnostics: dict[str, float] = {}
    collapsed: str | None = None
    if resume is not None:
        own = {name: t for name, t in resume.model.items() if not name.startswith("best/")}
        checkpoint.load_model(method, own, resume.folder)
        checkpoint.load_optimizer(run.optimizer, resume.optim, resume.folder)
        state = resume.state
        epoch, done, step, spent = state["epoch"], state["done"], state["step"], float(state.get("seconds", 0.0))
        diagnostics, collapsed, rows = dict(state["diagnostics"]), state["collapsed"], int(state["rows"])
        if state["scaler"] is not None and scaler is not None:
            scaler.load_state_dict(state["scaler"])
        best = Best(float(state["best_loss"]), state["best_since"], state_best(resume))
        if state["finished"]:
            method.eval()
            return Outcome(step, False, spent, diagnostics, collapsed)
    epoch_loss = 0.0 if resume is None else float(resume.state["epoch_loss"])
    batches = run.batches_of(epoch)
    per_epoch = len(batches) // options.accumulate
    if per_epoch == 0 and options.epochs:
        raise UsageError(
            f"{len(batches)} batches an epoch for train.accumulate {options.accumulate}; expected at least as many batches."
        )
    steps = options.steps(len(batches))
    epochs = math.ceil(steps / max(per_epoch, 1))
    observe_every = options.observe_every or max(steps // 20, 1)
    began = saved_at = logged_at = time.perf_counter()
    logged_step, observed_step, last_saved, stopped = step, step, -1, False
    look: tuple[Any, Rng] | None = None
    accumulate, plain = options.accumulate, options.precision == "fp32"
    alone, all_finite = distributed.world() == 1, FiniteGradients(parameters, device)
    anywhere: Callable[[bool], bool] = bool if alone else distributed.any_rank

    def backward(batch: Any, stream: Rng, scale: float) -> dict[str, Tensor]:
        """One micro-batch's gradients, added to those that are there; its share of the terms."""
        seed_dropout(device, stream.key)
        if plain:
            found = method(batch, stream)
        else:
            with autocast(device, options.precision):
                found = method(batch, stream)
        loss = _share(_sum(found), accumulate)
        (loss if scaler is None else loss * scale).backward()  # type: ignore[no-untyped-call]
        return {name: _share(value.detach(), accumulate) for name, value in found.items()}

    def observe(batch: Any, rng: Rng) -> None:
        nonlocal diagnostics, collapsed, rows, observed_step
        seen = method.observe(batch, rng)  # type: ignore[operator]
        diagnostics = run.health(seen)
        collapsed = run.collapse(diagnostics, int(seen["view0"].shape[1]))
        rows = len(seen["view0"]) * options.accumulate * distributed.world()
        observed_step = step
        run.reporter.scalars(step, diagnostics)

    def save(finished: bool = False) -> None:
        nonlocal last_saved, saved_at
        if last_saved != step and distributed.rank() == 0:
            state = {
                "epoch": epoch, "done": done, "step": step, "diagnostics": diagnostics, "collapsed": collapsed,
                "rows": rows, "scaler": None if scaler is None else scaler.state_dict(), "epoch_loss": repr(epoch_loss),
                "best_loss": repr(best.loss), "best_since": best.epochs_since, "finished": finished,
                "seconds": spent + time.perf_counter() - began,
            }  # fmt: skip
            checkpoint.save(run.checkpoints, method, run.optimizer, state, options.keep, best.tensors)
        last_saved, saved_at = step, time.perf_counter()

    while step < steps and not stopped and not _exhausted(best, options.patience):
        if done == 0:
            batches = run.batches_of(epoch)
            epoch_loss = 0.0
            method.on_epoch_start(Progress(epoch, epochs, step, steps), run.embed)  # type: ignore[operator]
        loader, epoch_rng = _load(batches, done * accumulate, options.workers), root.fork(epoch)
        while done < per_epoch and step < steps:
            rate = learning_rate(run.optim, step, steps)
            for group in run.optimizer.param_groups:
                group["lr"] = rate
            rng = epoch_rng.fork(step)
            micro = [next(loader).to(device) for _ in range(accumulate)]
            streams = [rng.fork(number) if number else rng for number in range(accumulate)]
            for parameter in parameters:  # all that zero_grad does, without what it costs: as much as a small layer
                parameter.grad = None
            scale = scaler.get_scale() if scaler is not None else 1.0
            if cacheable is not None:
                with autocast(device, options.precision):
                    terms = cached_backward(cacheable, micro, streams, lambda r: seed_dropout(device, r.key), scale)
            else:
                terms = _joined([backward(batch, stream, scale) for batch, stream in zip(micro, streams, strict=True)])
            if not alone:
                distributed.average_gradients(parameters)
                terms = _over_ranks(terms)
            if scaler is not None:
                scaler.unscale_(run.optimizer)
            value = float(_sum(terms))
            logged = (step + 1) % options.log_every == 0 or step + 1 == steps
            norm = gradient_norm(parameters) if logged or run.optim.clip is not None else None
            # A scaler skips the step of a gradient that overflowed, and goes on with a smaller scale.
            finite = scaler is not None or (all_finite() if norm is None else math.isfinite(norm))
            bad = not (finite and math.isfinite(value))
            if anywhere(bad):
                # The forward pass may already have spoilt buffers (running means): such a state is worth nothing.
                sound = not anywhere(not _finite(method))
                if sound:
                    save()
                raise NonFiniteError(_complaint(step, value, gradient_norm(parameters), terms, method, sound))
            if run.optim.clip is not None and norm is not None and math.isfinite(norm):
                clip_gradient(parameters, norm, run.optim.clip)
            if scaler is not None:
                scaler.step(run.optimizer)  # skips the step itself when the scaled gradient overflowed
                scaler.update()
            else:
                run.optimizer.step()
            epoch_loss += value
            done, step = done + 1, step + 1
            method.after_step(Progress(epoch, epochs, step, steps))  # type: ignore[operator]
            look = micro[0], rng
            if step % observe_every == 0 or step == 1:
                observe(*look)
            if logged and norm is not None:
                now = time.perf_counter()
                values = {"train/loss": value, **{f"train/loss/{name}": float(term) for name, term in terms.items()}}
                values |= {"train/gradient_norm": norm, "train/lr": rate}
                values["perf/samples_per_s"] = rows * (step - logged_step) / max(now - logged_at, 1e-9)
                logged_step, logged_at = step, now
                run.reporter.scalars(step, values)
                run.reporter.advance(step, values)
            stopped = anywhere(run.stop())
            if done < per_epoch and step < steps and (stopped or _due(options, step, saved_at)):
                save()
            if stopped:
                break
        if done == per_epoch:
            epoch, done = epoch + 1, 0
            if options.patience:
                _note(best, epoch_loss / per_epoch, method)
            if step < steps and not _exhausted(best, options.patience) and _due(options, step, saved_at):
                save()  # the last state is saved below, once
    if options.patience and best.tensors is not None and not stopped:
        checkpoint.load_model(method, best.tensors, run.checkpoints)
    if look is not None and observed_step != step and not stopped:
        observe(*look)
    save(finished=not stopped)
    method.eval()
    return Outcome(step, stopped, spent + time.perf_counter() - began, diagnostics, collapsed)


def _over_ranks(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """The whole batch's terms, the same on every rank: each rank's average to them."""
    total = distributed.sum_ranks(torch.stack([term.float() for term in terms.values()])) / distributed.world()
    return dict(zip(terms, total, strict=True))


def state_best(resume: checkpoint.Checkpoint) -> dict[str, Tensor] | None:
    """The best parameters kept in a checkpoint, or None."""
    found = {name[len("best/") :]: t for name, t in resume.model.items() if name.startswith("best/")}
    return found or None


def _sum(terms: Mapping[str, Tensor]) -> Tensor:
    """The sum of the terms. One term is itself: adding it to 0 would cost a node of every backward pass."""
    return reduce(operator.add, terms.values())


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The micro-batches' terms, added up by name."""
    terms = dict(parts[0])
    for part in parts[1:]:
        for name, value in part.items():
            terms[name] = terms[name] + value if name in terms else value
    return terms


def _share(value: Tensor, parts: int) -> Tensor:
    return value if parts == 1 else value / parts


def _load(batches: Sequence[Any], start: int, workers: int) -> Iterator[Any]:
    if workers == 0:
        return (batches[index] for index in range(start, len(batches)))
    return iter(DataLoader(batches, batch_size=None, sampler=range(start, len(batches)), num_workers=workers))  # type: ignore[arg-type]


def _due(options: TrainOptions, step: int, saved_at: float) -> bool:
    if options.checkpoint_every:
        return step % options.checkpoint_every == 0
    return time.perf_counter() - saved_at > 120.0


def _exhausted(best: Best, patience: int) -> bool:
    """True when ``patience`` epochs passed without a smaller loss; never for patience 0."""
    return 0 < patience <= best.epochs_since


def _note(best: Best, loss: float, method: nn.Module) -> None:
    """Remember the epoch's loss, and the parameters if it is the smallest."""
    if loss < best.loss:
        best.loss, best.epochs_since = loss, 0
        best.tensors = {name: t.clone() for name, t in checkpoint.model_tensors(method).items()}
    else:
        best.epochs_since += 1


def _finite(method: nn.Module) -> bool:
    tensors = checkpoint.model_tensors(method).values()
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _complaint(step: int, value: float, norm: float, terms: Mapping[str, Tensor], method: nn.Module, saved: bool) -> str:
    shown = ", ".join(f"{name} {float(term):g}" for name, term in terms.items())
    guilty = [name for name, p in method.named_parameters() if p.grad is not None and not bool(p.grad.isfinite().all())]
    return (
        f"Step {step}: loss {value:g} ({shown}), gradient norm {norm:g}"
        + (f", first bad gradient in {guilty[0]}" if guilty else "")
        + "; expected finite numbers. Nothing was updated and "
        + ("the state before this step is checkpointed. " if saved else "earlier checkpoints stand. ")
        + "Lower optim.lr, set optim.clip, use train.precision fp32, or look for NaN in the data."
    )
