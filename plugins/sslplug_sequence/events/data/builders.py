"""From options to the data of a run: read, split, fit vocabularies and scalers on allowed entities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from sslplug.contracts import DataContext, Kind, Task
from sslplug.randomness import Rng
from sslplug_sequence.events.data import transactions
from sslplug_sequence.events.data.adfa_ld import attack_task, detection_task, read_adfa
from sslplug_sequence.events.data.event_data import EventData
from sslplug_sequence.events.data.options import (
    AdfaOptions,
    AgeOptions,
    EntityOptions,
    EventOptions,
    GenderOptions,
    PhysionetOptions,
    PointProcessOptions,
    RosbankOptions,
    ShopperOptions,
)
from sslplug_sequence.events.data.physionet2012 import read_physionet
from sslplug_sequence.events.data.point_processes import read_folds
from sslplug_sequence.events.data.published import SOURCES
from sslplug_sequence.events.data.shoppers import shoppers
from sslplug_sequence.events.data.table import Encoding, EventTable, fit
from sslplug_sequence.events.tasks import folded, held_out, next_event_tasks, without_tests


def build_shoppers(options: ShopperOptions, context: DataContext) -> EventData:
    """The synthetic shoppers."""
    rng = Rng.root(context.seed)
    table = shoppers(options.shoppers, options.events, rng)
    tasks, test = entity_task(table, "customer-type", "classification", options, rng)
    if options.next_event:
        tasks |= next_tasks(table, "department", test, options, rng)
    return event_data(table, tasks, options, context)


def build_physionet(options: PhysionetOptions, context: DataContext) -> EventData:
    """PhysioNet 2012: trained and chosen on set a, tested on set b."""
    table, test = read_physionet(SOURCES["physionet2012"].place(context))
    assert table.labels is not None  # the reader gives them
    protocol = "train set a, test set b"
    task = folded("death", "anomaly", table.labels, test, options.folds, table.classes, protocol)
    return event_data(table, {task.name: task}, options, context)


def build_adfa(options: AdfaOptions, context: DataContext) -> EventData:
    """ADFA-LD."""
    traces = read_adfa(SOURCES["adfa_ld"].place(context) / "ADFA-LD.tar.xz")
    task = detection_task(traces) if options.task == "detection" else attack_task(traces, options.folds)
    return event_data(traces.table, {task.name: task}, options, context)


def point_process(key: str) -> Callable[[PointProcessOptions, DataContext], EventData]:
    """The builder of a marked point process with published folds."""

    def build(options: PointProcessOptions, context: DataContext) -> EventData:
        table, test = read_folds(SOURCES[key].place(context) / f"{key}.tar.xz", key, options.fold)
        rng = Rng.root(context.seed)
        rest = np.setdiff1d(np.arange(len(table.entities)), test)
        val = np.sort(rng.fork("val").numpy().permutation(rest)[: len(rest) // 10])
        parts = {"train": np.setdiff1d(rest, val), "val": val, "test": test}
        protocol = f"published fold {options.fold}, overlap removed"
        tasks = next_event_tasks(table, "mark", parts, options.longest, options.positions, rng, protocol)
        return event_data(table, tasks, options, context)

    return build


def build_age(options: AgeOptions, context: DataContext) -> EventData:
    """Age groups."""
    return _transactions(transactions.read_age, "age-group", "classification", options, context)


def build_gender(options: GenderOptions, context: DataContext) -> EventData:
    """Gender."""
    return _transactions(transactions.read_gender, "gender", "classification", options, context)


def build_rosbank(options: RosbankOptions, context: DataContext) -> EventData:
    """Churn."""
    return _transactions(transactions.read_rosbank, "churn", "anomaly", options, context)


def _transactions(
    read: Callable[..., EventTable],
    task: str,
    kind: Kind,
    options: AgeOptions | GenderOptions | RosbankOptions,
    context: DataContext,
) -> EventData:
    folder = context.root / options.folder if context.root is not None else options.folder
    table = read(folder)
    test = transactions.published_test(table, options.test_share)
    assert table.labels is not None  # the reader gives them
    protocol = "published test part (seed 42)"
    made = folded(task, kind, table.labels, test, options.folds, table.classes, protocol)
    return event_data(table, {task: made}, options, context)


def entity_task(
    table: EventTable, name: str, kind: Kind, options: EntityOptions, rng: Rng
) -> tuple[dict[str, Task], np.ndarray]:
    """The task of entities with a random fixed test part, and that part."""
    assert table.labels is not None  # callers have read them
    test = held_out(table.labels, options.test_share, rng)
    task = folded(
        name, kind, table.labels, test, options.folds, table.classes, f"random {options.test_share:.0%} test", True
    )
    return {name: task}, test


def next_tasks(table: EventTable, field: str, test: np.ndarray, options: EntityOptions, rng: Rng) -> Mapping[str, Task]:
    """The tasks of the next event, on the same test entities; a tenth of the others chooses the probe."""
    rest = np.setdiff1d(np.arange(len(table.entities)), test)
    val = np.sort(rng.fork("val").numpy().permutation(rest)[: len(rest) // 10])
    parts = {"train": np.setdiff1d(rest, val), "val": val, "test": test}
    tasks = next_event_tasks(table, field, parts, options.longest, 20_000, rng, f"random {options.test_share:.0%} test")
    return {name: replace(task, drawn=True) for name, task in tasks.items()}


def event_data(table: EventTable, tasks: Mapping[str, Task], options: EventOptions, context: DataContext) -> EventData:
    """Fits the encoding on entities of no test part, or takes it as an earlier run has fitted it."""
    training = without_tests(len(table.entities), tasks)
    if context.fitted is not None:
        encoding = Encoding.from_json(context.fitted)
    else:
        encoding = fit(table, training, options.logarithmic, options.vocabulary)
    return EventData(
        table,
        tasks,
        training,
        encoding,
        shortest=options.shortest,
        longest=options.longest,
        bigrams=options.bigrams,
        preprocessing=options.model_dump(mode="json", include={"shortest", "longest", "vocabulary", "logarithmic"}),
    )
