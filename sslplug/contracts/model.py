"""What learns: encoders, decoders, objectives and methods. ``nn.Module`` is the only base class they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sslplug.contracts.component import Choice
from sslplug.contracts.view import View, Views
from sslplug.errors import UsageError
from sslplug.randomness import Rng

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Embedding:
    """What an encoder makes of one view.

    levels  {level: (n, d)}. Levels are the domain's own words: node, graph; user, item; step, window; point, segment, cloud;
            cell, row. A method acts on one level, a local-global method on two: nothing else tells pooled from token
            embeddings.
    owner   {fine level: (n,) int64}: the row of the next coarser level that each row belongs to
    """

    levels: Mapping[str, Tensor]
    owner: Mapping[str, Tensor] = field(default_factory=lambda: _NOTHING)

    def __getitem__(self, level: str) -> Tensor:
        if level not in self.levels:
            raise UsageError(
                f"The encoder made no embedding of level {level!r}; it made {', '.join(sorted(self.levels))}. "
                "Choose one of these with method.level, or an encoder that has it."
            )
        return self.levels[level]


@runtime_checkable
class Encoder(Protocol):
    """An ``nn.Module``: ``encoder(view) -> Embedding``. May treat views by ``view.role``.

    - Finite for every valid view; deterministic in eval mode; every parameter gets a gradient from some level.
    - Hides what ``view.mask`` hides, if it provides the tag ``hides``.
    - Permuting the rows of a set permutes the embeddings.
    """

    dims: Mapping[str, int]

    def __call__(self, view: View) -> Embedding:
        """The embeddings of one view."""
        ...

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        """As ``nn.Module.parameters``."""
        ...


class Decoder(Protocol):
    """An ``nn.Module``: ``decoder(view, embedding) -> {target name: (m, k)}`` predictions, one for each value of the target.

    They are those of the rows ``view.targets[name].rows``, in that order, or of every row of the level where that is None: a
    wide output need not be computed for rows that nobody asks for. Gets the view for its structure (a graph decoder needs the
    edges), its mask and its targets' rows (GraphMAE hides the code of the rows to predict a second time), never for the
    targets' values.
    """

    def __call__(self, view: View, embedding: Embedding) -> Mapping[str, Tensor]:
        """Predictions by target name."""
        ...


Distribution = Literal["mean", "gathered", "statistic"]


class Objective(Protocol):
    """An ``nn.Module`` that scores embeddings: ``objective(views, ids=None, negatives=None) -> {term: weighted scalar}``.

    views      two or more (n_v, d) tensors, the same instances seen differently. Prediction first, target second, where the
               two differ; rows first, summaries second, in a comparison of levels.
    ids        one (n_v,) int64 tensor a view, or None for "row i is row i". Equal ids are positives; -1 matches nothing.
    negatives  (m, d) further negatives (a queue), only for objectives that provide ``queue``

    Smaller is better. Statistics are computed in float32 at least, whatever autocast does around it. Attributes:

    distribution  how the value over a batch sharded over ranks comes about: "mean" of the ranks' values; "gathered": rows are
                  compared with all ranks' rows; "statistic": batch statistics over all ranks. In every kind the average over
                  ranks of value and gradient equals the one-process value and gradient of the joined batch.
    most_views    how many views it compares at once: 2, or None for any number. A method averages a two-view objective over
                  all pairs of views.
    """

    distribution: Distribution
    most_views: int | None

    def __call__(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The weighted terms of one batch."""
        ...


@dataclass(frozen=True)
class Progress:
    """Where a run stands. ``step`` counts optimiser steps from 0; ``share`` runs from 0 to 1."""

    epoch: int
    epochs: int
    step: int
    steps: int

    @property
    def share(self) -> float:
        """The share of all steps that is done."""
        return self.step / max(self.steps, 1)


@runtime_checkable
class Method(Protocol):
    """An ``nn.Module`` that wires views, encoder, heads, teacher and queue to an objective.

    - ``method(batch, rng) -> {term: weighted scalar}``; the loop sums the terms, and logs each under its name.
    - ``encoder`` is what is evaluated and exported.
    - ``on_epoch_start`` may re-cluster or re-label; ``embed()`` gives {level: (n, d)} for every row of the data, frozen.
    - ``after_step`` runs after each optimiser step: momentum encoders and queues move here.
    - All state that training changes lies in parameters and buffers, so that a checkpoint holds everything.
    - Randomness comes from ``rng`` alone; dropout may use torch's global generator, which the loop seeds every step.
    - ``observe(batch, rng) -> {name: (n, d)}``: the embeddings its objective compares, for diagnostics, without gradients:
      "view0", "view1", ... row-matched where there are two.
    """

    encoder: nn.Module

    def __call__(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The weighted terms of one batch."""
        ...

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Before the first step of an epoch; not when a run resumes within one."""
        ...

    def after_step(self, progress: Progress) -> None:
        """After each optimiser step."""
        ...

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Embeddings to look at, without gradients and without changing anything."""
        ...


@contextmanager
def observing(module: nn.Module) -> Iterator[None]:
    """What ``Method.observe`` runs in: eval mode without gradients; every module's own mode is restored.

    Looking must not change batch statistics.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training


@dataclass(frozen=True)
class Assembly:
    """The finished parts a method is built from. Only the composition file makes one.

    spec       the data's own description, opaque
    level      the level whose rows are the data's instances, the default of ``method.level``
    views, encoder
    another    () -> an encoder like this one, its parameters drawn independently (BGRL's target)
    objective  dim -> Objective for embeddings of that width; None where the recipe names none
    decoder    Choice -> Decoder, for methods whose options choose one
    outputs    {target name: width} of what views ask to predict; "label" is there when training batches carry labels
    nested     (views, method, objective choices) -> a method sharing this encoder, for sums
    """

    spec: Any
    level: str
    views: Views
    encoder: nn.Module
    another: Callable[[], nn.Module]
    objective: Callable[[int], nn.Module]
    decoder: Callable[[Choice], nn.Module]
    outputs: Mapping[str, int]
    nested: Callable[[Choice | None, Choice, Choice | None], nn.Module]

    @property
    def dims(self) -> Mapping[str, int]:
        """The encoder's widths, {level: d}."""
        dims: Mapping[str, int] = self.encoder.dims  # type: ignore[assignment]
        return dims
