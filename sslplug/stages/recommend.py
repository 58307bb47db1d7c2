"""Recommendations from a run folder: ``sslplug recommend``."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from sslplug.build import build_data
from sslplug.contracts import DomainData, RankingTask, tasks_of
from sslplug.contracts.ranking import entries
from sslplug.errors import RunFolderError, UsageError
from sslplug.evaluation.ranking.faiss_index import best_by_faiss
from sslplug.evaluation.ranking.similarity import scaled
from sslplug.evaluation.ranking.top import Lists, best, inner_products
from sslplug.reporting.progress import say
from sslplug.reporting.runfolder import read_metrics
from sslplug.reporting.sums import prove
from sslplug.stages.embedding_files import level_file, read_embeddings
from sslplug.stages.session import data_context, fitted_of_run, recipe_of_run

FORMATS = (".parquet", ".csv", ".tsv")


def recommend(
    run: Path, *, users: Sequence[str], k: int, task: str | None, index: str, out: Path | None, data_root: Path | None
) -> str:
    """The ``k`` best candidates of each user by the embeddings in the run folder, as a table ``user rank item score``.

    users   names of the ranking task's queries, or row numbers where it has no names
    index   "exact", or "faiss" where it is installed
    out     a .parquet, .csv or .tsv file that gets the table; the same table as tab-separated text is returned

    What a user has seen is left out: what any part of the task calls seen, and what validation asked. Raises UsageError for
    unknown users (naming near ones), tasks and file endings, RunFolderError for a folder without embeddings of its data.
    """
    if out is not None and out.suffix not in FORMATS:
        raise UsageError(f"--out {out}: ends in {out.suffix or 'nothing'!r}; expected {', '.join(FORMATS)}.")
    if not users:
        raise UsageError("--users names nobody; give names or row numbers with commas between them.")
    resolved, _ = recipe_of_run(run, [])
    context = replace(data_context(data_root, resolved.seed, False), fitted=fitted_of_run(run))
    data = build_data(resolved, context)
    trained = read_metrics(run).get("data", {}).get("sha256")
    if trained != data.description.get("sha256"):
        raise RunFolderError(
            f"{run}: was trained on data with sha256 {trained}, but {data.description.get('name')!r} now has "
            f"{data.description.get('sha256')}; rows would be taken for others. Give the data root it was trained with."
        )
    asked = _task(data, task)
    rows = _rows(asked, users)
    files = [level_file(run / "embeddings.parquet", level, data.level) for level in (asked.query, asked.level)]
    for file in files:
        prove(file, f"`sslplug evaluate {run}` writes it anew.")
    query, candidate = scaled(asked, *map(read_embeddings, files))
    seen, unknown = _seen(asked, rows)
    for name in sorted({name for name, nothing in zip(users, unknown, strict=True) if nothing}):
        say(f"{name}: nothing is known of what this query has seen, so nothing is left out.")
    lists = (
        best_by_faiss(query[rows], candidate, k, seen)
        if index == "faiss"
        else best(inner_products(query[rows], candidate), len(rows), len(candidate), k, seen)
    )
    table = _table(asked, users, lists)
    if out is not None:
        _write(table, out)
    return _text(table, "\t")


def _task(data: DomainData, name: str | None) -> RankingTask:
    ranked = tasks_of(RankingTask, data.tasks)
    known = ", ".join(ranked) or "none"
    if name is None and len(ranked) == 1:
        return next(iter(ranked.values()))
    if name not in ranked:
        what = f"--task {name}: no ranking task of this name" if name else f"{len(ranked)} ranking tasks to answer by"
        raise UsageError(f"{what}; this data has {known}. Choose one by --task.")
    return ranked[name]


def _rows(task: RankingTask, users: Sequence[str]) -> np.ndarray:
    """(users,) int64 rows of the query level that the names name."""
    last = max(int(part.queries.max()) for part in task.parts.values() if len(part.queries))
    names = task.query_names if task.query_names is not None else [str(row) for row in range(last + 1)]
    rows = {name: row for row, name in enumerate(names)}
    for name in users:
        if name not in rows:
            near = difflib.get_close_matches(name, names, n=3)
            first = f"near names: {', '.join(near)}" if near else f"the first of {len(names)}: {', '.join(names[:3])}"
            raise UsageError(f"--users {name}: no {task.query} of this name; {first}.")
    return np.array([rows[name] for name in users], dtype=np.int64)


def _seen(task: RankingTask, rows: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
    """(rows, candidates) CSR of what is known to be seen, and (rows,) bool where nothing is known of a row."""
    val, test = task.parts["val"], task.parts["test"]
    unknown = ~np.isin(rows, np.concatenate([val.queries, test.queries]))
    height = 1 + int(np.concatenate([rows, val.queries, test.queries]).max())
    held = []
    for part, matrix in ((val, val.seen), (val, val.relevant), (test, test.seen)):
        row, column = np.divmod(entries(matrix), task.candidates)
        held.append((part.queries[row], column))
    row, column = (np.concatenate(side) for side in zip(*held, strict=True))
    seen = sparse.coo_matrix((np.ones(len(row), np.float32), (row, column)), (height, task.candidates))
    return seen.tocsr()[rows], unknown


def _table(task: RankingTask, users: Sequence[str], lists: Lists) -> pa.Table:
    answered = lists.candidates >= 0
    user, rank = np.nonzero(answered)
    items = lists.candidates[answered]
    names = task.candidate_names
    return pa.table(
        {
            "user": [users[place] for place in user.tolist()],
            "rank": rank + 1,
            "item": [str(item) for item in items] if names is None else [names[item] for item in items.tolist()],
            "score": lists.scores[answered],
        }
    )


def _text(table: pa.Table, delimiter: str) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows((*row[:-1], f"{row[-1]:.7g}") for row in zip(*table.to_pydict().values(), strict=True))
    return stream.getvalue()


def _write(table: pa.Table, out: Path) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix == ".parquet":
            pq.write_table(table, out)
        else:
            out.write_text(_text(table, "\t" if out.suffix == ".tsv" else ","), encoding="utf-8")
    except OSError as error:
        raise RunFolderError(f"{out}: cannot be written ({error}); free space or choose another file.") from error
