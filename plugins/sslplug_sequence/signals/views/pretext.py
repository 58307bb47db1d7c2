"""Views that ask what was done to them: several yes-or-no tasks at once (ssl-wearables), or one of several kinds (E4mer)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from pydantic import Field, model_validator

from sslplug.contracts import Options, Tags, Target, View
from sslplug.contracts.steps import check_chain
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Signals, Windows, clean_view
from sslplug_sequence.signals.spec import SignalSpec
from sslplug_sequence.signals.views.noise import Jitter, Scaling
from sslplug_sequence.signals.views.step import Step, apply, chain_of, steps
from sslplug_sequence.signals.views.timing import ArrowOfTime, Crop, Permutation, TimeWarp
from sslplug_sequence.signals.views.transform import Share, Transform
from sslplug_sequence.signals.views.turning import AxisSwitch, Rotation


class MultiTaskOptions(Options):
    """The tasks of Yuan et al. 2024; their order is that of the changes."""

    tasks: list[Step] = Field(
        steps(ArrowOfTime(), Permutation(), TimeWarp(per="channel")),
        min_length=1,
        description="transforms to recognise, each by a target of its name",
    )
    rate: Share = Field(0.5, description="chance of each task's change, drawn for each window and task by itself")
    after: list[Step] = Field(
        steps(AxisSwitch(), Rotation()), description="transforms of every row afterwards, not to be recognised"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> MultiTaskOptions:
        names = [task.root.name for task in self.tasks]
        if len(set(names)) < len(names):
            raise ValueError(
                f"tasks {', '.join(names)}: two have one name, and so one target; expected different transforms"
            )
        return self


@dataclass(frozen=True)
class MultiTask:
    """One view; target ``<transform>`` of level "window" is 1 where the row was changed by it, 0 where not."""

    tasks: tuple[Transform, ...]
    rate: float
    after: tuple[Transform, ...]
    spec: SignalSpec

    @property
    def rates(self) -> Mapping[str, float]:
        """{"0/<transform>": share of rows}."""
        return {f"0/{task.name}": self.rate for task in self.tasks}

    def __call__(self, batch: Windows, rng: Rng) -> list[View]:
        """The changed view of ``batch`` and its answers."""
        clean = clean_view(batch)
        stream, numbers = rng.fork("view", 0), clean.ids["window"]
        signals: Signals = clean.data
        drawn = stream.fork("tasks").uniform(numbers, len(self.tasks)) < self.rate
        targets = dict(clean.targets)
        for number, task in enumerate(self.tasks):
            struck = drawn[:, number]
            place = struck.nonzero()[:, 0]
            some = Signals(signals.values[place], None if signals.visible is None else signals.visible[place])
            changed = task(some, numbers[place], stream.fork(number), self.spec)
            signals = replace(signals, values=signals.values.index_copy(0, place, changed.values))
            targets[task.name] = Target("window", struck.to(torch.int64))
        signals = apply(self.after, signals, numbers, stream.fork("after"), self.spec)
        return [replace(clean, data=signals, targets=targets)]


class WhichOptions(Options):
    """Transforms to tell apart, beside "none": textbook versions of E4mer's."""

    of: list[Step] = Field(
        steps(Scaling(sigma=0.5, per="window"), TimeWarp(), Permutation(), Crop(least=0.3), Jitter(sigma=0.5)),
        min_length=1,
        description="transforms; class k + 1 is the k-th, class 0 none",
    )
    channels: int = Field(
        0, ge=0, description="so many channels, from the first, each have a transform and a target; 0: the window has one"
    )


@dataclass(frozen=True)
class Which:
    """One view; the target "transform", or "transform_<c>" for each of the first ``channels`` channels, is what was done."""

    of: tuple[Transform, ...]
    channels: int
    spec: SignalSpec

    @property
    def rates(self) -> Mapping[str, float]:
        """The share that is changed at all."""
        return {"0/transform": len(self.of) / (len(self.of) + 1)}

    def __call__(self, batch: Windows, rng: Rng) -> list[View]:
        """The changed view of ``batch`` and its classes."""
        clean = clean_view(batch)
        stream, numbers = rng.fork("view", 0), clean.ids["window"]
        signals: Signals = clean.data
        classes = (stream.fork("class").uniform(numbers, max(self.channels, 1)) * (len(self.of) + 1)).to(torch.int64)
        values = signals.values
        # Channels beyond those asked for stay as they are.
        told = torch.nn.functional.pad(classes, (0, values.shape[1] - self.channels)) if self.channels else classes
        for number, transform in enumerate(self.of):
            changed = transform(signals, numbers, stream.fork(number), self.spec)
            values = torch.where((told == number + 1)[:, :, None], changed.values, values)
        columns = dict(zip(which_names(self.channels), classes.unbind(1), strict=True))
        asked = {name: Target("window", column.contiguous()) for name, column in columns.items()}
        return [replace(clean, data=replace(signals, values=values), targets={**clean.targets, **asked})]


def which_names(channels: int) -> list[str]:
    """Names of the targets."""
    return [f"transform_{channel}" for channel in range(channels)] or ["transform"]


def build_multitask(options: MultiTaskOptions, spec: SignalSpec) -> MultiTask:
    """The multi-task view."""
    tasks, after = chain_of(options.tasks), chain_of(options.after)
    check_chain([*tasks, *after], spec)
    return MultiTask(tasks, options.rate, after, spec)


def build_which(options: WhichOptions, spec: SignalSpec) -> Which:
    """The view whose transform is asked for; UsageError where there are fewer channels."""
    of = chain_of(options.of)
    check_chain(of, spec)
    if options.channels > len(spec.channels):
        raise UsageError(f"views.channels is {options.channels}; this data has {len(spec.channels)} channels.")
    return Which(of, options.channels, spec)


def multitask_tags(options: MultiTaskOptions) -> Tags:
    """A target a task."""
    return frozenset(f"target:{task.root.name}" for task in options.tasks)


def multitask_outputs(options: MultiTaskOptions, spec: SignalSpec) -> Mapping[str, int]:
    """Yes or no."""
    return {task.root.name: 2 for task in options.tasks}


def which_tags(options: WhichOptions) -> Tags:
    """A target a channel, or that of the window."""
    return frozenset(f"target:{name}" for name in which_names(options.channels))


def which_outputs(options: WhichOptions, spec: SignalSpec) -> Mapping[str, int]:
    """A class a transform, and one for none."""
    return dict.fromkeys(which_names(options.channels), len(options.of) + 1)
