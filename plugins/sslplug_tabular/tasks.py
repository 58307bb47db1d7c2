"""Labelled tasks of tables: what a target column means, and which rows train, validate and test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts import Faults, Reading, Refused, Split, Task
from sslplug.contracts.tables import Table, mask
from sslplug.randomness import Rng
from sslplug_tabular.data.words import as_numbers, as_words, is_number, is_text, looks_like_number, plain

TargetKind = Literal["auto", "classification", "regression"]
MOST_NUMBERED_CLASSES = 20
"""Whole numbers with at most so many different values are classes, where the kind is not given."""
TRAIN, VAL, TEST = 0, 1, 2
_PART_NAMES = {"train": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}


@dataclass(frozen=True, eq=False)
class Labels:
    """A target column as read: (n,) int64 classes (-1: none) with their names, or float64 numbers (NaN: none)."""

    name: str
    values: np.ndarray
    classes: tuple[str, ...] | None

    @property
    def known(self) -> np.ndarray:
        """(n,) bool: the row has a label."""
        return self.values >= 0 if self.classes is not None else ~np.isnan(self.values)


def read_labels(
    part: Table, name: str, cells: pa.Array, kind: TargetKind, known: Sequence[str] | None = None
) -> Reading[Labels]:
    """The labels in a tidied column ``cells`` of a table.

    kind   auto: words, truth values and categories are classes, so are whole numbers of at most 20 different values; other
           numbers are regression
    known  the classes of the data an encoder was trained on; others count as no label

    A label that cannot be read is told and counts as none; a target without a usable one, with one class, or that names the
    rows is refused.
    """
    cells = plain(cells)
    present = cells.drop_null()
    if not len(present):
        _refuse("empty-target", part, name, "no value in any row", "labels", "Name another, or leave data.target out.")
    numbers = np.empty(0)
    numeric = is_number(cells.type)
    if is_text(cells.type):
        odd = mask(pc.is_valid(cells)) & ~looks_like_number(cells)
        numeric = not odd.any()
        if (kind == "regression" and not numeric) or 0 < odd.sum() <= 0.1 * len(present):
            yield part.wrong(
                "word-among-labels",
                odd,
                name,
                "a number in every row, or classes (data.target_kind: classification)",
                "Mend it or add it to data.missing.",
                lambda row: f"{cells[row].as_py()!r} among numbers",
            )
            cells = pc.if_else(pa.array(odd), pa.scalar(None, cells.type), cells)
            present = cells.drop_null()
            if not len(present):
                _refuse("empty-target", part, name, "no number at all", "numbers", "Name another target.")
            numeric = True
    if numeric:
        numbers = as_numbers(cells)[0]
        infinite = np.isinf(numbers)
        if infinite.any():
            yield part.wrong(
                "not-finite-label",
                infinite,
                name,
                "a finite target",
                "Mend it or leave the cell empty.",
                lambda row: str(numbers[row]),
            )
            numbers = np.where(infinite, np.nan, numbers)
        seen = np.unique(numbers[~np.isnan(numbers)])
        whole = bool(np.all(seen == np.floor(seen)))
        if kind == "auto":
            kind = "classification" if whole and len(seen) <= MOST_NUMBERED_CLASSES else "regression"
    if kind == "regression":
        if not numeric:
            _refuse("not-a-number", part, name, str(cells.type), "numbers for data.target_kind: regression", "Name another.")
        if known is None and len(seen) < 2:
            found = f"{seen[0] if len(seen) else 'no number'} in every row"
            _refuse("constant-target", part, name, found, "a target that varies", "There is nothing to learn.")
        return Labels(name, numbers, None)
    words = as_words(cells)
    classes = tuple(known) if known is not None else _class_names(words, numeric)
    if known is None and len(classes) == 1:
        _refuse("one-class", part, name, f"only the class {classes[0]!r}", "two or more", "Name another target.")
    if known is None and len(classes) > max(0.5 * len(present), MOST_NUMBERED_CLASSES):
        _refuse(
            "a-class-a-row",
            part,
            name,
            f"{len(classes)} classes in {len(present)} rows",
            "several rows a class",
            "Is this the target? Numbers: data.target_kind: regression.",
        )
    codes = pc.index_in(words, value_set=pa.array(classes, words.type)).fill_null(-1).to_numpy(zero_copy_only=False)
    codes = codes.astype(np.int64)
    codes[words.is_null().to_numpy(zero_copy_only=False)] = -1
    return Labels(name, codes, classes)


def _refuse(kind: str, part: Table, name: str | None, found: str, expected: str, mend: str) -> None:
    raise Refused(Faults(kind, part.file, found, expected, mend, column=name))


def _class_names(words: pa.Array, numeric: bool) -> tuple[str, ...]:
    found = pc.unique(words.drop_null()).to_pylist()
    return tuple(sorted(found, key=float) if numeric else sorted(found))


@dataclass(frozen=True, eq=False)
class Parts:
    """Which part each row is in: (n,) int8 ``TRAIN``, ``VAL`` or ``TEST``; how that came about; the rows' groups, if any;
    whether the run's seed drew the test rows.

    Rows without a label are in ``TRAIN`` unless the split says otherwise.
    """

    part: np.ndarray
    protocol: str
    groups: np.ndarray | None = None
    drawn: bool = False


def random_parts(labels: Labels | None, rows: int, val: float, test: float, stratify: bool, rng: Rng) -> Parts:
    """A random ``test`` share and ``val`` share of the labelled rows; with ``stratify`` each class is cut alike (+-1 row)."""
    part = np.zeros(rows, np.int8)
    where = np.arange(rows) if labels is None else np.flatnonzero(labels.known)
    order = rng.fork("split").numpy().permutation(where)
    strata = stratify and labels is not None and labels.classes is not None
    if strata and labels is not None:
        order = order[np.argsort(labels.values[order], kind="stable")]
    left = _cut(part, order, test, TEST, strata)
    _cut(part, left, val / (1 - test), VAL, strata)
    shares = f"{100 * (1 - val - test):g}/{100 * val:g}/{100 * test:g}"
    return Parts(part, f"random {shares}{', stratified' if strata else ''}")


def _cut(part: np.ndarray, order: np.ndarray, share: float, value: int, evenly: bool) -> np.ndarray:
    """Puts a share of the rows in ``order`` into a part: the first ones, or every (1/share)-th. The rows that are left."""
    count = math.ceil(share * len(order) - 1e-9)  # as the published sizes of Adult's parts
    if evenly:
        steps = np.arange(len(order) + 1) * count // max(len(order), 1)
        chosen = np.diff(steps) > 0
    else:
        chosen = np.arange(len(order)) < count
    part[order[chosen]] = value
    return order[~chosen]


def named_parts(part: Table, cells: pa.Array, name: str) -> Reading[Parts]:
    """The parts that a column names: train, val (valid, validation) or test; empty where a row is only for pretraining."""
    words = pc.utf8_lower(as_words(cells))
    names = pa.array(list(_PART_NAMES), words.type)
    found = pc.index_in(words, value_set=names)
    odd = mask(pc.is_null(found)) & mask(pc.is_valid(words))
    if odd.any():
        expected = f"one of {', '.join(_PART_NAMES)}, or nothing for a row without a part"
        yield part.wrong("unknown-part", odd, name, expected, "Mend the word.", lambda row: repr(cells[row].as_py()))
    values = np.array(list(_PART_NAMES.values()), np.int8)
    return Parts(values[found.fill_null(0).to_numpy(zero_copy_only=False)], f"as column {name!r} says")


def group_parts(part: Table, cells: pa.Array, name: str, val: float, test: float, rng: Rng) -> Reading[Parts]:
    """Whole groups go to one part each, in random order, until the parts have their shares of rows."""
    words = as_words(cells)
    missing = mask(pc.is_null(words))
    if missing.any():
        yield part.wrong("missing-group", missing, name, "the row's group", "Fill it.", lambda row: "an empty cell")
        words = words.fill_null("")
    groups = pc.index_in(words, value_set=pc.unique(words)).to_numpy(zero_copy_only=False).astype(np.int64)
    count = int(groups.max()) + 1
    if count < 3:
        _refuse("few-groups", part, name, f"{count} groups", "at least 3, one for each part", "Split another way.")
    sizes = np.bincount(groups)
    order = rng.fork("groups").numpy().permutation(count)
    before = np.cumsum(sizes[order]) - sizes[order]
    kind = np.full(count, TRAIN, np.int8)
    kind[order[before < (val + test) * len(groups)]] = VAL
    kind[order[before < test * len(groups)]] = TEST
    if val > 0 and not (kind == VAL).any():  # one large group filled both shares
        kind[order[int((kind == TEST).sum())]] = VAL
    return Parts(kind[groups], f"groups of {name!r} kept together", groups)


def time_parts(part: Table, times: np.ndarray, name: str, val: float, test: float) -> Reading[Parts]:
    """The latest rows test, those before them validate, the earliest train; rows of one time are never parted."""
    missing = np.isnan(times)
    if missing.any():
        yield part.wrong("missing-time", missing, name, "the row's time", "Fill it.", lambda row: "an empty cell")
        times = np.where(missing, -np.inf, times)
    ordered = np.sort(times)
    starts = [ordered[min(len(times) - 1, int(share * len(times)))] for share in (1 - test - val, 1 - test)]
    parts = np.where(times >= starts[1], TEST, np.where(times >= starts[0], VAL, TRAIN)).astype(np.int8)
    return Parts(parts, f"by time in {name!r}: train before validation before test")


def _rare(labels: Labels, split: Split, table: Table) -> Reading[None]:
    """Classes that some part cannot hold, and classes that are most likely one."""
    assert labels.classes is not None  # the caller asks
    counts = np.bincount(labels.values[labels.known], minlength=len(labels.classes))
    rare = np.flatnonzero((counts > 0) & (counts < 3))
    if len(rare):
        places = np.isin(labels.values, rare)
        yield table.wrong(
            "rare-class",
            places,
            labels.name,
            "three rows of each class or more: to train, to validate, to test",
            "It is kept; join classes, or take the label away.",
            lambda row: (
                f"class {labels.classes[int(labels.values[row])]!r} of {counts[int(labels.values[row])]}"  # type: ignore[index]
                f" row{'s' if counts[int(labels.values[row])] > 1 else ''}"
            ),
            harmless=True,
        )
    seen: dict[str, str] = {}
    for word in labels.classes:
        first = seen.setdefault(" ".join(word.casefold().split()), word)
        if first != word:
            yield Faults(
                "classes-alike",
                table.file,
                f"the classes {first!r} and {word!r}",
                "one spelling of each class",
                "They are kept apart; write them alike if they are one.",
                column=labels.name,
                harmless=True,
            )


@dataclass(frozen=True, eq=False)
class Target:
    """A task and what its labels were: ``facts`` for the run's record, ``fitted`` for new data."""

    task: Task
    facts: dict[str, Any]
    fitted: dict[str, Any]


def make_target(
    name: str, labels: Labels, parts: Parts, table: Table, fitted: dict[str, Any] | None = None
) -> Reading[Target]:
    """The task of one target column. Numbers are standardised with mean and deviation of the labelled training rows (or with
    those of ``fitted``); ``facts["deviation"]`` turns an RMSE back into the target's own unit.

    Refused where a part is empty.
    """
    known = labels.known
    split = Split(*(np.flatnonzero(known & (parts.part == p)).astype(np.int64) for p in (TRAIN, VAL, TEST)))
    for what, rows in (("train", split.train), ("test", split.test)):
        if not len(rows):
            found = f"{int(known.sum())} labelled rows leave none to {what}"
            _refuse("empty-part", table, labels.name, found, "some", "Label more rows or change data.split.")
    kept: dict[str, Any] = {"column": labels.name, "kind": "regression" if labels.classes is None else "classification"}
    sizes = {"train": len(split.train), "val": len(split.val), "test": len(split.test)}
    if labels.classes is not None:
        seen = np.unique(labels.values[split.train])
        if len(seen) < 2:
            found = f"all {len(split.train)} labelled training rows are of class {labels.classes[int(seen[0])]!r}"
            _refuse("one-class-to-train", table, labels.name, found, "two classes or more", "Change data.split.")
        yield from _rare(labels, split, table)
        kept["classes"] = list(labels.classes)
        task = Task(
            name,
            "classification",
            "row",
            labels.values,
            [split],
            parts.protocol,
            groups=parts.groups,
            classes=labels.classes,
            drawn=parts.drawn,
        )
        return Target(task, {**kept, **sizes}, kept)
    train = labels.values[split.train]
    mean, deviation = (float(train.mean()), float(train.std())) if fitted is None else (fitted["mean"], fitted["deviation"])
    if deviation <= 1e-12 * abs(mean) or deviation == 0:
        found = f"{mean:g} in all {len(train)} labelled training rows"
        _refuse("constant-target", table, labels.name, found, "a target that varies", "Change data.split.")
    kept |= {"mean": mean, "deviation": deviation}
    values = (labels.values - mean) / deviation
    task = Task(name, "regression", "row", values, [split], parts.protocol, groups=parts.groups, drawn=parts.drawn)
    unit = {"unit": f"standardised; 1.0 is {deviation:.6g} of {labels.name!r}, so RMSE times that is in its own unit"}
    return Target(task, {**kept, **sizes, **unit}, kept)
