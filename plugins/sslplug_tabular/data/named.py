"""The named sets, each with its own reading and its standard split."""

from __future__ import annotations

import io
import lzma
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts import DataContext, finished
from sslplug.contracts.tables import Table
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_tabular.data.catalogue import SOURCES
from sslplug_tabular.data.options import AdultOptions, BankOptions, NamedOptions, OwnOptions, SplitOptions, TableOptions
from sslplug_tabular.data.prepare import prepare
from sslplug_tabular.data.reading import read_csv, read_table
from sslplug_tabular.data.source import MemorySource
from sslplug_tabular.data.split_arrays import TARGET, read_split_arrays
from sslplug_tabular.data.table_data import TableData
from sslplug_tabular.data.types import Kind
from sslplug_tabular.tasks import TEST, TRAIN, VAL, Parts, TargetKind, random_parts, read_labels

_ADULT_NUMBERS = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")
_ADULT_COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship", "race", "sex",
    "capital-gain", "capital-loss", "hours-per-week", "native-country", "income",
)  # fmt: skip
_CAR_COLUMNS = ("buying", "maint", "doors", "persons", "lug_boot", "safety", "class")


def _own(
    options: TableOptions, target: str, kind: TargetKind, types: dict[str, Kind], split: SplitOptions | None = None
) -> OwnOptions:
    """The options of a named set as those of any table."""
    return OwnOptions(
        **options.model_dump(include=set(TableOptions.model_fields)),
        target=target,
        target_kind=kind,
        types=types,
        split=split or SplitOptions(),
    )


def build_adult(options: AdultOptions, context: DataContext) -> TableData:
    """Adult: the published test file; a stratified fifth of the training file, drawn by ``split_seed``, validates."""
    folder = SOURCES["adult"].place(context)
    train, test = (_packed_csv(folder / f"adult.{part}.xz", _ADULT_COLUMNS) for part in ("data", "test"))
    table = pa.concat_tables([train, test])
    income = pc.replace_substring_regex(pc.utf8_trim_whitespace(table["income"]), r"\.$", "")
    table = table.set_column(table.column_names.index("income"), "income", income)
    part = np.full(table.num_rows, TEST, np.int8)
    held = Table("Adult", train, np.arange(1, train.num_rows + 1))
    known = finished(read_labels(held, "income", income.combine_chunks()[: train.num_rows], "classification"))
    cut = random_parts(known, train.num_rows, 0.0, 0.2, True, Rng.root(options.split_seed))
    part[: train.num_rows] = np.where(cut.part == TEST, VAL, TRAIN)
    types: dict[str, Kind] = {
        name: "numeric" if name in _ADULT_NUMBERS else "categorical" for name in _ADULT_COLUMNS if name != "income"
    }
    protocol = "published test, a fifth of train validates"
    own = _own(options, "income", "classification", types)
    return TableData(prepare("Adult", MemorySource(table, "Adult"), own, context, Parts(part, protocol)))


def _packed_csv(path: Path, names: Sequence[str]) -> pa.Table:
    with lzma.open(path, "rb") as file:
        return read_csv(file, str(path), names=names)


def split_arrays(
    key: str, parts: Sequence[str] = ("train", "val", "test"), notes: Sequence[str] = ()
) -> Callable[[TableOptions, DataContext], TableData]:
    """The builder of a set whose arrays come with their split."""
    source = SOURCES[key]

    def build(options: TableOptions, context: DataContext) -> TableData:
        table, part, kinds, info = read_split_arrays(source.place(context), parts)
        kind: TargetKind = "regression" if info["task_type"] == "regression" else "classification"
        own = _own(options, TARGET, kind, kinds)
        given = Parts(part, "published")
        return TableData(prepare(source.title, MemorySource(table, source.title), own, context, given, notes))

    return build


def build_jannis(options: NamedOptions, context: DataContext) -> TableData:
    """Jannis without its training rows: four fifths of the validation rows train, a fifth validates, the test rows are whole."""
    source = SOURCES["jannis"]
    table, part, kinds, _ = read_split_arrays(source.place(context), ("val", "test"))
    rows = int((part == VAL).sum())
    seed = context.seed if options.split_seed is None else options.split_seed
    held = Table(source.title, table.slice(0, rows), np.arange(1, rows + 1))
    labels = finished(read_labels(held, TARGET, held.content[TARGET].combine_chunks(), "classification"))
    cut = random_parts(labels, rows, 0.0, 0.2, True, Rng.root(seed))
    part[:rows] = np.where(cut.part == TEST, VAL, TRAIN)
    note = (
        "Jannis lacks its 53,588 training rows here: its 13,398 validation rows train and validate, so that figures are not "
        "comparable with published ones"
    )
    protocol = "published test; published validation rows cut 80/20 into train and validation"
    own = _own(options, TARGET, "classification", kinds)
    return TableData(prepare(source.title, MemorySource(table, source.title), own, context, Parts(part, protocol), [note]))


def build_bank(options: BankOptions, context: DataContext) -> TableData:
    """Bank marketing (bank-full.csv)."""
    source = SOURCES["bank"]
    archive = source.place(context) / next(iter(source.files))
    where = f"{archive}:bank-full.csv"
    try:
        with zipfile.ZipFile(archive) as members:
            content = members.read("bank-additional/bank-full.csv")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{archive}: not a readable archive with bank-full.csv ({error}); get it again.") from error
    table = read_csv(io.BytesIO(content), where, ";")
    types: dict[str, Kind] = {} if options.duration else {"duration": "ignore"}
    note = "duration is " + ("used, though it is known only after the call" if options.duration else "left out")
    own = _own(options, "y", "classification", types, SplitOptions(seed=options.split_seed))
    return TableData(prepare(source.title, MemorySource(table, source.title), own, context, notes=[note]))


def one_file(
    key: str, target: str, types: dict[str, Kind] | None = None, names: Sequence[str] | None = None
) -> Callable[[NamedOptions, DataContext], TableData]:
    """The builder of a small set in one file, split 64/16/20 at random, stratified."""
    source = SOURCES[key]

    def build(options: NamedOptions, context: DataContext) -> TableData:
        path: Path = source.place(context) / next(iter(source.files))
        own = _own(options, target, "classification", types or {}, SplitOptions(seed=options.split_seed))
        table = read_table(path, names=names)
        return TableData(prepare(source.title, MemorySource(table, source.title), own, context))

    return build


build_car = one_file("car", "class", dict.fromkeys(_CAR_COLUMNS[:-1], "categorical"), _CAR_COLUMNS)


def embedded(loader: str, title: str, kind: TargetKind) -> Callable[[NamedOptions, DataContext], TableData]:
    """The builder of a real set that comes with scikit-learn, split 64/16/20 at random; every column is a number."""

    def build(options: NamedOptions, context: DataContext) -> TableData:
        from sklearn import datasets  # slow to import, and needed by these sets alone

        bunch = getattr(datasets, loader)()
        names = [str(name) for name in bunch.feature_names]
        table = pa.table({name: bunch.data[:, number] for number, name in enumerate(names)} | {TARGET: bunch.target})
        own = _own(options, TARGET, kind, dict.fromkeys(names, "numeric"), SplitOptions(seed=options.split_seed))
        return TableData(prepare(title, MemorySource(table, title), own, context))

    return build
