"""The default recipe trained for a few steps on the CPU, through the engine's own loop, with checkpoints in a folder of its own."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sslplug.build import Composed, compose
from sslplug.evaluation import embed
from sslplug.recipe import Resolved
from sslplug.stages.session import Session
from sslplug.stages.train import loop_run
from sslplug.testing.material import Material
from sslplug.testing.once import Once
from sslplug.training import checkpoint
from sslplug.training.loop import TrainOptions, train
from sslplug.training.optim import OptimOptions

CPU = torch.device("cpu")
EPOCHS, BATCHES, ROWS = 3, 2, 32
"""A short run: so many passes over the first batches of an epoch, batches, and instances a batch where they can be chosen."""

STEPS, RATE = 60, 3e-3
"""The longer run that ``beats-untrained`` claims something of: optimiser steps, and Adam's learning rate."""


@dataclass
class Heard:
    """The loop's reporter: what it was told, {step: {name: number}}."""

    found: dict[int, dict[str, float]] = field(default_factory=dict)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Keep them."""
        self.found.setdefault(step, {}).update(values)

    def advance(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing to show."""


@dataclass(frozen=True)
class ShortRun:
    """What a run came to.

    composed   its finished objects
    start      parameters and buffers before the first step;  end: after the last
    heard      what the loop reported
    dead       trainable parameters that no step gave a gradient other than zero
    checkpoint the last state, as it was written to disk and read back
    """

    composed: Composed
    start: Mapping[str, Tensor]
    end: Mapping[str, Tensor]
    heard: Heard
    dead: list[str]
    checkpoint: checkpoint.Checkpoint


class Runs:
    """Runs of one plugin's default recipe, made when a check first asks."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self.whole = Once(self._whole, "run/trains")
        self.resumed = Once(self._resumed, "run/resume")
        self.longer = Once(self._longer, "run/beats-untrained")
        self.longer_rows = Once(self._longer_rows, "run/beats-untrained")

    def compose(self, resolved: Resolved | None = None, batches: int = BATCHES) -> Composed:
        """The run's finished objects, with the first batches of each epoch alone."""
        made = compose(resolved or self.short(), self.material.schema, self.material.data, CPU)

        def batches_of(epoch: int) -> list[Any]:
            found = made.batches_of(epoch)
            return [found[step] for step in range(min(len(found), batches))]

        return replace(made, batches_of=batches_of)

    def short(self) -> Resolved:
        """The default recipe, shortened."""
        size = self.material.batch_size
        few = self.material.served(min(size or ROWS, ROWS)) or size
        return self._changed(epochs=EPOCHS, batch_size=few, log_every=1, observe_every=2)

    def _changed(self, optim: OptimOptions | None = None, **changes: Any) -> Resolved:
        resolved = self.material.default
        options = resolved.sections["train"]
        assert isinstance(options, TrainOptions)  # the schema says so
        plain = {"accumulate": 1, "workers": 0, "patience": 0, "keep": 1, "precision": "fp32"}
        sections = {**resolved.sections, "train": options.model_copy(update={**plain, **changes})}
        return replace(resolved, sections=sections if optim is None else {**sections, "optim": optim})

    def _whole(self) -> ShortRun:
        with tempfile.TemporaryDirectory(prefix="sslplug-check-") as folder:
            return self._run(self.short(), self.compose(), Path(folder))

    def _resumed(self) -> ShortRun:
        """The same run stopped half-way, within an epoch where one has two batches, and resumed by objects made anew."""
        resolved, first = self.short(), self.compose()
        middle = (EPOCHS * len(first.batches_of(0)) + 1) // 2
        with tempfile.TemporaryDirectory(prefix="sslplug-check-") as folder:
            stopped = self._run(resolved, first, Path(folder), stop=_after(middle))
            return self._run(resolved, self.compose(), Path(folder), resume=stopped.checkpoint)

    def _longer(self) -> ShortRun:
        """60 steps of the default recipe, with Adam and its own batches."""
        batches = len(self.compose(self.material.default, STEPS).batches_of(0))
        epochs = math.ceil(STEPS / max(batches, 1))
        optim = OptimOptions.model_validate({"name": "adam", "lr": RATE})
        resolved = self._changed(optim, epochs=epochs, observe_every=STEPS)
        with tempfile.TemporaryDirectory(prefix="sslplug-check-") as folder:
            return self._run(resolved, self.compose(resolved, STEPS), Path(folder))

    def _longer_rows(self) -> dict[str, np.ndarray]:
        """{level: (n, d)} what the longer run's encoder makes of every row."""
        encoder: Any = self.longer.own().composed.method.encoder
        return embed(encoder, self.material.clean, CPU)

    def _run(
        self,
        resolved: Resolved,
        composed: Composed,
        folder: Path,
        stop: Callable[[], bool] = lambda: False,
        resume: checkpoint.Checkpoint | None = None,
    ) -> ShortRun:
        method, heard = composed.method, Heard()
        start, living = _copies(method), _living(method)
        session = Session(resolved, self.material.schema, composed, CPU)
        with torch.random.fork_rng(devices=[]):  # the loop seeds dropout
            train(loop_run(session, folder, heard, stop), resume)
        trained = {name for name, parameter in method.named_parameters() if parameter.requires_grad}
        last, _ = checkpoint.newest(folder / "checkpoints")
        return ShortRun(composed, start, _copies(method), heard, sorted(trained - living), last)


def _copies(method: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in checkpoint.model_tensors(method).items()}


def _living(method: nn.Module) -> set[str]:
    """Fills with the names of parameters as a backward pass gives them a gradient other than zero."""
    living: set[str] = set()

    def note(name: str, gradient: Tensor) -> None:
        if bool(gradient.any()):
            living.add(name)

    for name, parameter in method.named_parameters():
        if parameter.requires_grad:
            parameter.register_hook(partial(note, name))  # type: ignore[no-untyped-call]
    return living


def _after(steps: int) -> Callable[[], bool]:
    """True when asked for the ``steps``-th time."""
    asked = iter(range(1, steps + 1))
    return lambda: next(asked, steps) == steps
