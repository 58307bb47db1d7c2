"""PhysioNet / Computing in Cardiology Challenge 2012: 48 hours of an intensive-care stay as events; in-hospital death."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from sslplug.errors import DataError
from sslplug_sequence.events.data.table import EventTable, make_table

CATEGORIES = {"Gender": ("female", "male"), "ICUType": ("", "coronary", "cardiac surgery", "medical", "surgical")}
"""Descriptors that are categories, and the words of their numbers."""
_MINUTES = 10_000
"""More minutes than a record has."""
UNKNOWN = ("Age", "Height", "Weight", "Gender", "ICUType")
"""Fields whose -1 means unknown."""


def read_physionet(folder: Path) -> tuple[EventTable, np.ndarray]:
    """All stays of sets a and b, and the numbers of those of set b (the test part). Label: 1 = died in hospital.

    All that was measured at one time is one event; time in hours since admission. Of a parameter recorded twice at one time the
    last value counts. The descriptors stand in the first event. Scores and other outcomes are never read as inputs.
    """
    names: list[np.ndarray] = []
    owners, minutes, fields, values = [], [], [], []
    deaths: list[int] = []
    for part in ("a", "b"):
        table = _measurements(folder / f"set-{part}.tar.xz")
        parameter = pc.dictionary_encode(table["Parameter"].combine_chunks())
        field = np.array([*parameter.dictionary.to_pylist(), ""])[
            parameter.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        ]
        value = table["Value"].to_numpy()
        clock = table["Time"].combine_chunks()
        minute = 60 * _whole(pc.utf8_slice_codeunits(clock, 0, 2)) + _whole(pc.utf8_slice_codeunits(clock, 3, 5))
        starts = field == "RecordID"
        records = value[starts].astype(np.int64).astype(str)
        keep = ~starts & (field != "") & ~np.isnan(value)
        owners.append((np.cumsum(starts) - 1 + sum(map(len, names)))[keep])
        minutes.append(minute[keep])
        fields.append(field[keep])
        values.append(value[keep])
        names.append(records)
        with (folder / f"Outcomes-{part}.txt").open(newline="") as lines:
            died = {row["RecordID"]: int(row["In-hospital_death"]) for row in csv.DictReader(lines)}
        missing = [record for record in records if record not in died]
        if missing:
            raise DataError(f"{folder}/Outcomes-{part}.txt has no row for record {missing[0]}; expected one a stay.")
        deaths += [died[record] for record in records]
    owner, minute, field, value = (np.concatenate(parts) for parts in (owners, minutes, fields, values))
    value = np.where(np.isin(field, UNKNOWN) & (value < 0), np.nan, value)
    moment, event = np.unique(owner * _MINUTES + minute, return_inverse=True)
    entity, at = moment // _MINUTES, moment % _MINUTES / 60
    numeric = sorted(set(field.tolist()) - set(CATEGORIES))
    columns = {name: np.full(len(at), np.nan, np.float32) for name in numeric}
    for name, column in columns.items():
        rows = np.flatnonzero(field == name)
        column[event[rows]] = value[rows]
    words = {}
    for name, meanings in CATEGORIES.items():
        words[name] = np.full(len(at), "", dtype=f"<U{max(map(len, meanings))}")
        rows = np.flatnonzero((field == name) & ~np.isnan(value))
        words[name][event[rows]] = np.asarray(meanings)[value[rows].astype(np.int64)]
    table_of_events = make_table(
        "PhysioNet 2012",
        np.concatenate(names),
        entity,
        at,
        words,
        columns,
        "hours",
        np.asarray(deaths, np.int64),
        ("survived", "died"),
        (
            f"{len(value) - sum(int((~np.isnan(c)).sum()) for c in columns.values())} readings are unknown, descriptors or "
            "repeated at one time",
        ),
    )
    return table_of_events, np.arange(len(names[0]), len(names[0]) + len(names[1]))


def _measurements(archive: Path) -> pa.Table:
    """The rows of all records of a set, one record after another."""
    body = [b"Time,Parameter,Value\n"]
    with tarfile.open(archive) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is None:
                continue
            head, _, rest = file.read().partition(b"\n")
            if head.strip() != b"Time,Parameter,Value" or not rest.startswith(b"00:00,RecordID,"):
                raise DataError(f"{archive}: {member.name} starts with {head[:40]!r}; expected Time,Parameter,Value.")
            body += [rest, b"" if rest.endswith(b"\n") else b"\n"]
    types = {"Time": pa.string(), "Parameter": pa.string(), "Value": pa.float64()}
    return arrow_csv.read_csv(io.BytesIO(b"".join(body)), convert_options=arrow_csv.ConvertOptions(column_types=types))


def _whole(words: pa.Array) -> np.ndarray:
    return np.asarray(words.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)
