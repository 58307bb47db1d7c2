"""Embeddings as Parquet: which row is whose, what it trained for, and which weights and recipe made it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.torch import save
from torch import Tensor

from sslplug.contracts import DomainData, NamedRows, RankingTask, Task, tasks_of
from sslplug.errors import PluginError, RunFolderError


@dataclass(frozen=True)
class Origin:
    """What made embeddings: sha256 of the encoder's weights as safetensors, and of the run's recipe.yaml."""

    model: str
    recipe: str


def origin_of(weights: Mapping[str, Tensor], recipe: str) -> Origin:
    """The digests of an encoder's weights by name, and of a recipe's text: those of the files that hold them."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    return Origin(hashlib.sha256(save(tensors)).hexdigest(), hashlib.sha256(recipe.encode()).hexdigest())


def write_levels(file: Path, levels: Mapping[str, np.ndarray], data: DomainData, origin: Origin) -> list[Path]:
    """The embeddings of the data's level in ``file``, and those of each other level that a ranking task names in a file beside it
    (:func:`level_file`). Returns the files.

    A file holds ``row`` (from 0), ``id`` (the row's own name, else its number), ``split`` where a labelled task of the level says
    which rows train (``split.<task>`` from the second task on), and ``e0``, ``e1``, ... Its schema's metadata hold
    ``sslplug.level``, ``sslplug.model.sha256``, ``sslplug.recipe.sha256``, ``sslplug.data``, ``sslplug.data.sha256`` and for each
    split column what it is.
    """
    names = names_of(data)
    ranked = tasks_of(RankingTask, data.tasks).values()
    written = []
    for level in dict.fromkeys([data.level, *(level for task in ranked for level in (task.query, task.level))]):
        if level in levels:
            columns, said = splits_of(data, level, len(levels[level]))
            about = {
                "level": level,
                "model.sha256": origin.model,
                "recipe.sha256": origin.recipe,
                "data": str(data.description.get("name", "")),
                "data.sha256": str(data.description.get("sha256", "")),
                **said,
            }
            written.append(level_file(file, level, data.level))
            write_embeddings(written[-1], levels[level], names.get(level), columns, about)
    return written


def names_of(data: DomainData) -> dict[str, Sequence[str]]:
    """{level: names of its rows}: the data's own, and those that a ranking task brings."""
    found: dict[str, Sequence[str]] = {}
    for task in tasks_of(RankingTask, data.tasks).values():
        found |= {level: names for level, names in ((task.query, task.query_names),) if names is not None}
        found |= {level: names for level, names in ((task.level, task.candidate_names),) if names is not None}
    return found | (dict(data.names) if isinstance(data, NamedRows) else {})


def splits_of(data: DomainData, level: str, rows: int) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Split columns of a level's rows, and what each is.

    A cell is train, val or test by the task's first split, unlabelled without a label, and unused where a label is in no part.
    """
    columns: dict[str, list[str]] = {}
    said: dict[str, str] = {}
    for task in tasks_of(Task, data.tasks).values():
        if task.level != level or task.members is not None or len(task.labels) != rows:
            continue
        known = np.isfinite(task.labels) if task.labels.dtype.kind == "f" else task.labels >= 0
        parts = np.where(known, "unused", "unlabelled").astype(object)
        for part in ("train", "val", "test"):
            parts[getattr(task.splits[0], part)] = part
        name = f"split.{task.name}" if columns else "split"
        columns[name] = parts.tolist()
        said[name] = f"task {task.name}, split 1 of {len(task.splits)}: {task.protocol}"
    return columns, said


def level_file(file: Path, level: str, main: str) -> Path:
    """Where a level's embeddings lie: ``file`` for the data's own level, else ``<file>.<level>.parquet``.

    >>> level_file(Path("out/rows.parquet"), "user", "item").name
    'rows.user.parquet'
    """
    return file if level == main else file.with_name(f"{file.stem}.{level}{file.suffix}")


def write_embeddings(
    file: Path,
    rows: np.ndarray,
    names: Sequence[str] | None,
    splits: Mapping[str, Sequence[str]],
    about: Mapping[str, str],
) -> None:
    """(n, d) float32 rows as Parquet, with the columns that :func:`write_levels` names. Published by a rename.

    RunFolderError when the disk refuses; PluginError where the data names another number of rows than it has.
    """
    if names is not None and len(names) != len(rows):
        raise PluginError(f"{file}: {len(names)} names for {len(rows)} rows; the plugin must name each row of rows() once.")
    ids = [str(name) for name in names] if names is not None else [str(row) for row in range(len(rows))]
    columns: dict[str, Any] = {"row": np.arange(len(rows)), "id": pa.array(ids, pa.string()), **splits}
    columns |= {f"e{column}": rows[:, column] for column in range(rows.shape[1])}
    table = pa.table(columns).replace_schema_metadata({f"sslplug.{key}": value for key, value in about.items()})
    hidden = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, hidden)
        os.replace(hidden, file)
    except OSError as error:
        with suppress(OSError):  # a disk that turned read-only keeps the debris too
            hidden.unlink(missing_ok=True)
        raise RunFolderError(
            f"{file}: the embeddings could not be written ({error}); free space or choose another file."
        ) from error


def read_embeddings(file: Path) -> np.ndarray:
    """(n, d) float32 rows that :func:`write_embeddings` wrote. RunFolderError where they are missing or damaged."""
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise RunFolderError(
            f"{file}: no embeddings can be read there ({error}); `sslplug evaluate` writes them."
        ) from error
    columns = [name for name in table.column_names if name[:1] == "e" and name[1:].isdigit()]
    return np.stack([table[name].to_numpy() for name in columns], axis=1)
