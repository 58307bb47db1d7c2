"""ADFA-LD (Creech and Hu 2013): system calls of Linux processes, normal or under one of six attacks."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sslplug.contracts import Split, Task
from sslplug.errors import DataError
from sslplug_sequence.events.data.table import EventTable, make_table


@dataclass(frozen=True)
class Traces:
    """The table, and where each trace comes from: ``training`` (the 833 normal ones), ``validation`` or an attack run."""

    table: EventTable
    origin: np.ndarray


def read_adfa(archive: Path) -> Traces:
    """All traces in the order of their names; an event is a system call, its time its place in the trace. Label 1: attack."""
    names, origins, calls = [], [], []
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() and member.name.endswith(".txt") else None
            if file is None:
                continue
            folder = member.name.split("/")[1]
            known = {"Training_Data_Master": "training", "Validation_Data_Master": "validation"}
            if folder not in known and folder != "Attack_Data_Master":
                continue
            names.append(member.name)
            origins.append(known.get(folder, member.name.split("/")[2]))
            calls.append(np.array(file.read().split(), dtype=np.int64))
    if not names:
        raise DataError(f"{archive} holds no trace; expected ADFA-LD/<part>/.../*.txt.")
    order = np.argsort(names)
    calls = [calls[i] for i in order]
    origin = np.asarray(origins)[order]
    lengths = np.array([len(trace) for trace in calls])
    attack = (~np.isin(origin, ("training", "validation"))).astype(np.int64)
    table = make_table(
        "ADFA-LD",
        np.asarray(names)[order],
        np.repeat(np.arange(len(calls)), lengths),
        np.concatenate([np.arange(length) for length in lengths]).astype(np.float64),
        {"call": np.concatenate(calls)},
        {},
        "calls",
        attack,
        ("normal", "attack"),
    )
    return Traces(table, origin)


def detection_task(traces: Traces) -> Task:
    """Attack or not, knowing normal traces alone: the 833 of the published training part against all others."""
    labels = traces.table.labels
    assert labels is not None  # read_adfa gives them
    training = traces.origin == "training"
    split = Split(np.flatnonzero(training), np.empty(0, np.int64), np.flatnonzero(~training))
    return Task("detection", "anomaly", "entity", labels, [split], "833 normal traces, scored on the other 5,118")


def attack_task(traces: Traces, folds: int) -> Task:
    """Attack or not, with labels; no attack run is on two sides. Test: two runs of ten of each kind and a fifth of normal traces.

    Runs of a kind, and normal traces, are dealt out in turn: every fifth to the test part, the rest to the folds.
    """
    labels = traces.table.labels
    assert labels is not None
    normal = labels == 0
    runs = np.unique(traces.origin[~normal])
    kinds = np.array([run.rpartition("_")[0] for run in runs])
    turn_of_run: dict[str, int] = {}
    for kind in np.unique(kinds):
        mine = sorted(runs[kinds == kind], key=lambda run: int(run.rpartition("_")[2]))
        turn_of_run |= {run: turn for turn, run in enumerate(mine)}
    turn = np.array([turn_of_run.get(origin, 0) for origin in traces.origin])
    turn[normal] = np.arange(int(normal.sum()))
    _, groups = np.unique(np.where(normal, traces.table.entities, traces.origin), return_inverse=True)
    test = turn % 5 == 4
    fold = (turn - turn // 5) % folds
    splits = [
        Split(np.flatnonzero(~test & (fold != f)), np.flatnonzero(~test & (fold == f)), np.flatnonzero(test))
        for f in range(folds)
    ]
    protocol = f"split by attack run, {folds} folds, one test part"
    return Task("attack", "anomaly", "entity", labels, splits, protocol, groups=groups.reshape(-1).astype(np.int64))
