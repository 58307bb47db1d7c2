"""Labelled tasks of windows. Every split is by subject."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from sslplug.contracts import Split, Task
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng

Parts = np.ndarray
"""(n,) "train", "val", "test" or "" (in no part) for each window."""

MOST_LEFT_OUT = 10
"""Up to so many subjects each is left out once; beyond, subjects are dealt into folds."""


def subject_parts(
    subjects: np.ndarray,
    given: Parts | None,
    kind: Literal["auto", "given", "leave-one-out", "folds"],
    folds: int,
    val_share: float,
    test_subjects: Sequence[str],
    rng: Rng,
) -> tuple[list[Parts], str, bool]:
    """The splits of n windows as parts, what they are in words, and whether ``rng`` drew who tests.

    Split k is a function of the arguments and k alone.

    Validation subjects are whole subjects of the training side, drawn at random; where the data's own split names them they stay.
    """
    names = np.unique(subjects)
    protocol: str
    drawn = False
    if test_subjects:
        unknown = sorted(set(test_subjects) - set(names.tolist()))
        if unknown:
            raise UsageError(f"data.test_subjects: {', '.join(unknown)} unknown; the subjects are {', '.join(names)}.")
        sides = [np.array(sorted(set(test_subjects)))]
        protocol = f"test subjects {', '.join(sides[0])}"
    elif given is not None and kind in ("auto", "given"):
        _refuse_mixed(subjects, given)
        parts = given.astype(object)
        if not (parts == "val").any():
            parts = _with_validation(parts, subjects, val_share, rng.fork("val", 0))
        return [parts], "given split, by subject", False
    elif kind == "given":
        raise UsageError("data.split is 'given', but this data comes without a split; use leave-one-out or folds.")
    elif kind == "leave-one-out" or (kind == "auto" and len(names) <= MOST_LEFT_OUT):
        sides, protocol = [np.array([name]) for name in names], "leave one subject out"
    else:
        if folds > len(names):
            raise UsageError(f"data.folds is {folds} for {len(names)} subjects; expected at most as many folds.")
        sides = np.array_split(rng.fork("folds").numpy().permutation(names), folds)
        protocol, drawn = f"{folds} folds of subjects", True
    if len(names) < 2:
        raise DataError(f"All windows are of subject {names[0]}; a split by subject needs two. Leave the labels out.")
    made = []
    for number, side in enumerate(sides):
        parts = np.where(np.isin(subjects, side), "test", "train").astype(object)
        made.append(_with_validation(parts, subjects, val_share, rng.fork("val", number)))
    return made, protocol, drawn


def _refuse_mixed(subjects: np.ndarray, given: Parts) -> None:
    """DataError where a subject is in two parts."""
    for name in np.unique(subjects):
        found = sorted({str(part) for part in given[subjects == name] if part})
        if len(found) > 1:
            raise DataError(
                f"Subject {name} is in {' and '.join(found)} of the given split; windows of one person resemble each other, so "
                "a split that mixes them measures memory. Split by subject (data.split: folds)."
            )


def _with_validation(parts: Parts, subjects: np.ndarray, share: float, rng: Rng) -> Parts:
    training = np.unique(subjects[parts == "train"])
    if not share or len(training) < 2:
        return parts
    chosen = rng.numpy().permutation(training)[: max(1, round(share * len(training)))]
    parts = parts.copy()
    parts[np.isin(subjects, chosen) & (parts == "train")] = "val"
    return parts


def window_task(
    name: str,
    kind: Literal["classification", "anomaly"],
    labels: np.ndarray,
    subjects: np.ndarray,
    parts: Sequence[Parts],
    protocol: str,
    classes: tuple[str, ...] = (),
    drawn: bool = False,
) -> Task:
    """A task on rows of level "window"; rows with label -1 are in no part. Subjects are the groups.

    Splits that lose a side (a subject without labels) are left out; DataError where none is left.
    """
    known = labels >= 0
    splits = []
    for each in parts:
        train, val, test = (np.flatnonzero(known & (each == part)).astype(np.int64) for part in ("train", "val", "test"))
        if len(train) and len(test):
            splits.append(Split(train, val, test))
    if not splits:
        raise DataError(
            f"Task {name!r}: no split has labelled windows both for training and for test ({int(known.sum())} labelled windows "
            f"of {len(np.unique(subjects[known]))} subjects); label more subjects or leave the labels out."
        )
    return Task(name, kind, "window", labels, splits, protocol, groups=subjects, classes=classes, drawn=drawn)
