"""Marked point processes in the format of RMTPP (Du et al. 2016): StackOverflow badges and book orders, by published folds."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from sslplug.errors import DataError
from sslplug_sequence.events.data.table import EventTable, make_table

Line = tuple[str, str]
"""One sequence as it stands in the files: its types and its times."""


def read_folds(archive: Path, name: str, fold: int) -> tuple[EventTable, np.ndarray]:
    """The sequences of a fold, training ones first, and the numbers of the test ones.

    Test: the fold's test file. Training: its training file where there is one (book_order), else the other folds' test files
    (StackOverflow gives times for these alone). The published folds overlap: a sequence of the test file never trains, and no
    training sequence counts twice.
    """
    with tarfile.open(archive) as tar:
        members = set(tar.getnames())
        test = _lines(tar, name, fold, "test")
        if f"{name}/event-{fold}-train.txt" in members:
            candidates = _lines(tar, name, fold, "train")
        else:
            candidates = [line for other in range(1, 6) if other != fold for line in _lines(tar, name, other, "test")]
    inside = set(test)
    training = [line for line in dict.fromkeys(candidates) if line not in inside]
    lines = training + test
    types = [types.split() for types, _ in lines]
    times = [np.array(times.split(), dtype=np.float64) for _, times in lines]
    for number, (marks, clock) in enumerate(zip(types, times, strict=True)):
        if len(marks) != len(clock):
            raise DataError(f"{archive}: sequence {number} has {len(marks)} types and {len(clock)} times; expected as many.")
    lengths = np.array([len(marks) for marks in types])
    time = np.concatenate(times)
    # Unix seconds are told from a day's seconds by their size.
    days = float(time.max()) > 1e8
    owner = np.repeat(np.arange(len(lines)), lengths)
    removed = len(candidates) - len(training)
    table = make_table(
        name,
        np.arange(len(lines)),
        owner,
        time / 86_400 if days else time,
        {"mark": np.concatenate([np.array(marks, dtype=np.int64) for marks in types])},
        {},
        "days" if days else "seconds",
        notes=(f"fold {fold}: {removed} training sequences left out, repeated or in the test file",),
    )
    return table, np.arange(len(training), len(lines))


def _lines(tar: tarfile.TarFile, name: str, fold: int, part: str) -> list[Line]:
    """The sequences of one file pair, empty ones left out."""
    found = []
    for kind in ("event", "time"):
        try:
            file = tar.extractfile(f"{name}/{kind}-{fold}-{part}.txt")
        except KeyError as error:
            raise DataError(
                f"{tar.name!s}: no {name}/{kind}-{fold}-{part}.txt; expected the published folds 1 to 5."
            ) from error
        assert file is not None  # a plain file
        found.append([" ".join(line.split()) for line in file.read().decode().splitlines() if line.strip()])
    types, times = found
    if len(types) != len(times):
        raise DataError(f"{tar.name!s}: fold {fold} {part} has {len(types)} lines of types and {len(times)} of times.")
    return list(zip(types, times, strict=True))
