"""A domain's data: training batches, every row in fixed order, tasks, raw features for the boosted trees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from sslplug.contracts.features import RawFeatures
from sslplug.contracts.task import Task
from sslplug.contracts.tasks import AnyTask
from sslplug.contracts.view import View


@dataclass(frozen=True)
class Order:
    """Which batches, in which order: a pure function of these numbers.

    seed, epoch   name the shuffle
    rank, world   rank r of w gets the r-th of w equal shares of each global batch
    batch_size    rows of the global batch; 0 means all rows
    labels        a task whose labels training batches may carry, on its allowed rows alone; None: no label is read
    """

    seed: int
    epoch: int
    rank: int = 0
    world: int = 1
    batch_size: int = 0
    labels: LabelledRows | None = None


@dataclass(frozen=True)
class LabelledRows:
    """The only labels that may enter training: ``task.labels[rows]`` for these rows."""

    task: Task
    rows: np.ndarray


@dataclass(frozen=True)
class DataContext:
    """Where data may come from.

    root      the data root (``--data-root`` or SSLPLUG_DATA), or None
    cache     where downloads may be kept
    seed      the seed of everything the data draws once (random splits, generators)
    download  whether a missing dataset may be fetched (always checked by sha256)
    memory    a table or array in memory, for a data component named ``memory``
    fitted    the ``fitted`` of the data an encoder was trained on: new data must be encoded by it and fits nothing of its own
    """

    root: Path | None
    cache: Path
    seed: int
    download: bool = False
    memory: Any = None
    fitted: Mapping[str, Any] | None = None


@runtime_checkable
class DomainData(Protocol):
    """The data of one run.

    spec         what the domain's views and encoders must know (sizes, vocabularies, statistics of allowed rows); opaque
    level        the embedding level whose rows are the instances of training
    tasks        {name: labelled Task, RankingTask or MeasuredTask}; may be empty
    description  what this data is, for the run's record: name, sizes, preprocessing, and ``sha256`` of its content
    fitted       what was fitted on allowed rows and must encode new data too (scalers, vocabularies): values that JSON can
                 hold, kept in the run folder and handed back as ``DataContext.fitted``; {} where nothing is fitted

    ``batches(order)[step]`` is a pure function of (order, step), so that loader workers, restarts and rank layouts change
    nothing. ``rows()`` yields clean views that together hold every row of every level exactly once, in fixed order, whatever
    was trained. Neither shares memory that a caller may edit.
    """

    spec: Any
    level: str
    tasks: Mapping[str, AnyTask]
    description: Mapping[str, Any]
    fitted: Mapping[str, Any]

    def batches(self, order: Order) -> Sequence[Any]:
        """The epoch's batches for one rank; ``len`` is the same on every rank."""
        ...

    def rows(self) -> Iterable[View]:
        """Every row once, as clean views with their roles."""
        ...

    def raw_features(self, task: Task) -> RawFeatures:
        """(rows of task.level, f) features for the boosted trees, as strong as an engineer would make them.

        Asked of labelled tasks alone: a ranking task brings ``pairs``, a measured one ``baselines``. Nothing here may look
        at a label.
        """
        ...


@runtime_checkable
class NamedRows(Protocol):
    """What data offers beside :class:`DomainData` where its rows have names of their own: a user's ids, entities, subjects.

    names  {level: one word a row of that level, in the order of ``rows()``}; a level without names is left out. `sslplug embed`
           writes them beside the embeddings
    """

    names: Mapping[str, Sequence[str]]
