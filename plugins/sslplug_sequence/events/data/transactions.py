"""Card transactions in the published formats of the CoLES experiments: age groups, gender, churn.

The transactions themselves are not redistributed. Put the published files into the set's folder below the data root.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from sslplug.errors import DataError
from sslplug_sequence.events.data.table import EventTable, make_table


def read_age(folder: Path) -> EventTable:
    """``transactions_train.csv`` and ``transactions_test.csv`` (client_id, trans_date, small_group, amount_rur) with
    ``train_target.csv`` (client_id, bins): the age group, of the labelled clients."""
    fields = ("client_id", "trans_date", "small_group", "amount_rur")
    events = _read([folder / "transactions_train.csv", folder / "transactions_test.csv"], fields)
    labels = _read([folder / "train_target.csv"], ("client_id", "bins"))
    time = _numbers(events, "trans_date", folder)
    categories = {"small_group": _words(events, "small_group")}
    numbers = {"amount_rur": _numbers(events, "amount_rur", folder)}
    known = dict(zip(_words(labels, "client_id"), _words(labels, "bins"), strict=True))
    return _labelled("age", _words(events, "client_id"), time, categories, numbers, known)


def read_gender(folder: Path) -> EventTable:
    """``transactions.csv`` (customer_id, tr_datetime as "day HH:MM:SS", mcc_code, tr_type, amount) with
    ``gender_train.csv`` (customer_id, gender)."""
    fields = ("customer_id", "tr_datetime", "mcc_code", "tr_type", "amount")
    events = _read([folder / "transactions.csv"], fields)
    labels = _read([folder / "gender_train.csv"], ("customer_id", "gender"))
    time = _days(_words(events, "tr_datetime"), folder)
    categories = {field: _words(events, field) for field in ("mcc_code", "tr_type")}
    known = dict(zip(_words(labels, "customer_id"), _words(labels, "gender"), strict=True))
    numbers = {"amount": _numbers(events, "amount", folder)}
    return _labelled("gender", _words(events, "customer_id"), time, categories, numbers, known)


def read_rosbank(folder: Path) -> EventTable:
    """``train.csv`` and ``test.csv`` (cl_id, MCC, channel_type, currency, TRDATETIME as "21OCT17:00:00:00", amount,
    trx_category, and target_flag in the former)."""
    fields = ("cl_id", "MCC", "channel_type", "currency", "TRDATETIME", "amount", "trx_category")
    events = _read([folder / "train.csv", folder / "test.csv"], fields)
    labels = _read([folder / "train.csv"], ("cl_id", "target_flag"))
    stamps, where = np.unique(_words(events, "TRDATETIME"), return_inverse=True)
    try:
        parsed = [datetime.strptime(stamp.title(), "%d%b%y:%H:%M:%S") for stamp in stamps]
    except ValueError as error:
        raise DataError(f"{folder}: TRDATETIME {error}; expected times like 21OCT17:00:00:00.") from error
    days = np.array([(moment - datetime(1970, 1, 1)).total_seconds() / 86_400 for moment in parsed])
    categories = {field: _words(events, field) for field in ("MCC", "channel_type", "currency", "trx_category")}
    known = dict(zip(_words(labels, "cl_id"), _words(labels, "target_flag"), strict=True))
    numbers = {"amount": _numbers(events, "amount", folder)}
    return _labelled("rosbank", _words(events, "cl_id"), days[where.reshape(-1)], categories, numbers, known)


def published_test(table: EventTable, share: float = 0.1) -> np.ndarray:
    """The fixed test entities of the published experiments: labelled ones in order, shuffled with seed 42, the last tenth."""
    assert table.labels is not None  # the readers give them
    known = np.flatnonzero(table.labels >= 0)
    numbers = [int(name) if str(name).lstrip("-").isdigit() else str(name) for name in table.entities[known]]
    order = sorted(range(len(known)), key=lambda row: (isinstance(numbers[row], str), numbers[row]))
    Random(42).shuffle(order)
    return np.sort(known[order[len(order) - round(share * len(order)) :]])


def _read(files: Sequence[Path], columns: Sequence[str]) -> pa.Table:
    """The files that exist, as words; the first must."""
    if not files[0].is_file():
        raise DataError(f"{files[0]} does not exist; put the published files there, or set data.folder.")
    options = arrow_csv.ConvertOptions(include_columns=list(columns), column_types={c: pa.string() for c in columns})
    parts = []
    for file in files:
        if file.is_file():
            try:
                parts.append(arrow_csv.read_csv(file, convert_options=options))
            except (KeyError, pa.ArrowInvalid) as error:
                raise DataError(f"{file}: {error}; expected the columns {', '.join(columns)}.") from error
    return pa.concat_tables(parts)


def _words(table: pa.Table, column: str) -> np.ndarray:
    words: np.ndarray = table[column].fill_null("").to_numpy().astype(str)
    return words


def _numbers(table: pa.Table, column: str, folder: Path) -> np.ndarray:
    words = _words(table, column)
    try:
        return np.where(words == "", "nan", words).astype(np.float64)
    except ValueError as error:
        raise DataError(f"{folder}: column {column!r}: {error}; expected numbers.") from error


def _days(words: np.ndarray, folder: Path) -> np.ndarray:
    """Days of "day HH:MM:SS". Some published seconds are 60."""
    try:
        parts = np.array([[float(n) for n in word.replace(" ", ":").split(":")] for word in words])
        days: np.ndarray = parts @ np.array([1.0, 1 / 24, 1 / 1440, 1 / 86_400])
    except ValueError as error:
        raise DataError(f"{folder}: tr_datetime {error}; expected times like '12 08:30:00'.") from error
    return days


def _labelled(
    name: str,
    entity: np.ndarray,
    time: np.ndarray,
    categories: dict[str, np.ndarray],
    numbers: dict[str, np.ndarray],
    known: dict[str, str],
) -> EventTable:
    """The table with the classes of ``known`` entities; labelled entities without events are kept, empty."""
    names = np.union1d(entity, np.array(sorted(known), dtype=str)) if known else np.unique(entity)
    classes = tuple(sorted({label for label in known.values() if label}))
    code = {label: number for number, label in enumerate(classes)}
    labels = np.array([code.get(known.get(str(one), ""), -1) for one in names], np.int64)
    owner = np.searchsorted(names, entity)
    return make_table(name, names, owner, time, categories, numbers, "days", labels, classes)
