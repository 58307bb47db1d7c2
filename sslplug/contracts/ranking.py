"""Ranking tasks: which candidates (items) a query (a user, a history) will want. Judged by full ranking, never by samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from scipy import sparse

from sslplug.contracts.features import RawFeatures
from sslplug.errors import DataError

Similarity = Literal["dot", "cosine"]
PairFeatures = Callable[[np.ndarray, np.ndarray], RawFeatures]


@dataclass(frozen=True)
class RankingPart:
    """What is asked in one part of a ranking task. Stored entries of the matrices count, whatever their values.

    queries   (q,) int64 rows of the query level, each once
    relevant  (q, candidates) CSR: what the query wanted; a query without any is not asked
    seen      (q, candidates) CSR: never answered (what the query had before)
    profile   (q, candidates) CSR: what the query had when it was embedded, which item-kNN ranks by; None: ``seen`` less what the
              other part asks of the same row. Give it where something that was had may be answered again

    Refused with DataError: other types and shapes, entries named twice, a candidate that is both relevant and seen.
    """

    queries: np.ndarray
    relevant: sparse.csr_matrix
    seen: sparse.csr_matrix
    profile: sparse.csr_matrix | None = None

    def __post_init__(self) -> None:
        if self.queries.dtype != np.int64 or self.queries.ndim != 1:
            raise DataError(f"RankingPart: queries are {self.queries.shape} {self.queries.dtype}; expected (q,) int64 rows.")
        if len(self.queries) and self.queries.min() < 0:
            raise DataError(
                f"RankingPart: queries hold row {int(self.queries.min())}; expected rows of the query level, 0 or more."
            )
        twice = len(self.queries) - len(np.unique(self.queries))
        if twice:
            raise DataError(f"RankingPart: queries name {twice} rows twice; join what is asked of a row.")
        matrices = {"relevant": self.relevant, "seen": self.seen}
        for name, matrix in (matrices if self.profile is None else matrices | {"profile": self.profile}).items():
            _check_matrix(f"RankingPart: {name}", matrix)
            if matrix.shape[0] != len(self.queries):
                raise DataError(
                    f"RankingPart: {name} has {matrix.shape[0]} rows for {len(self.queries)} queries; expected as many."
                )
            if matrix.shape != self.relevant.shape:
                raise DataError(
                    f"RankingPart: relevant is {self.relevant.shape}, {name} is {matrix.shape}; expected one shape."
                )
        both = np.intersect1d(entries(self.relevant), entries(self.seen), assume_unique=True)
        if len(both):
            row, candidate = divmod(int(both[0]), self.relevant.shape[1])
            raise DataError(
                f"RankingPart: {len(both)} candidates are both relevant and seen, first candidate {candidate} of query row "
                f"{int(self.queries[row])}; what is never answered cannot be asked for."
            )


@dataclass(frozen=True)
class RankingTask:
    """For each query, all candidates in the order of their embeddings' similarity; the list's head is judged.

    name          unique in the data
    query, level  the embedding levels of queries and of candidates; every row of ``level`` is a candidate
    parts         {"val": ..., "test": ...}; "val" may hold no query. LightGBM lambdarank learns from "val"; "test" is scored once
    protocol      what the parts are, in words that tell published numbers apart
    slices        {name: (candidates,) bool}: relevance counted on these candidates alone ("head", "tail", "cold")
    similarity    "dot" or "cosine"
    cutoffs       lengths of lists; the first is that of the primary metric, ndcg@k
    pairs         (query rows (p,), candidates (p,)) -> raw features (p, f) of pairs for LightGBM, from training interactions
                  alone; None where there is nothing beyond popularity and co-occurrence
    interactions  (histories, candidates) CSR of training interactions, from which popularity and item-kNN learn; None: what the
                  validation queries have seen, or the test queries where there are no others
    query_names, candidate_names  one distinct name a row, for reports and `sslplug recommend`; None: rows are numbered
    drawn         as :attr:`Task.drawn`

    Refused with DataError: other parts than val and test, a test part without anything relevant, parts of other widths, a
    candidate asked of one query row in both parts, slices and names of other lengths, cutoffs below 1.
    """

    name: str
    query: str
    level: str
    parts: Mapping[str, RankingPart]
    protocol: str
    slices: Mapping[str, np.ndarray] = field(default_factory=lambda: MappingProxyType({}))
    similarity: Similarity = "dot"
    cutoffs: tuple[int, ...] = (20, 10)
    pairs: PairFeatures | None = None
    interactions: sparse.csr_matrix | None = None
    query_names: Sequence[str] | None = None
    candidate_names: Sequence[str] | None = None
    drawn: bool = False

    def __post_init__(self) -> None:
        where = f"Ranking task {self.name!r}"
        if set(self.parts) != {"val", "test"}:
            raise DataError(
                f"{where}: parts are {', '.join(sorted(self.parts)) or 'none'}; expected val (perhaps empty) and test."
            )
        if self.similarity not in get_args(Similarity):
            raise DataError(f"{where}: similarity {self.similarity!r}; expected one of {', '.join(get_args(Similarity))}.")
        if not self.cutoffs or min(self.cutoffs) < 1 or len(set(self.cutoffs)) != len(self.cutoffs):
            raise DataError(f"{where}: cutoffs are {self.cutoffs}; expected different numbers from 1 on.")
        val, test = self.parts["val"], self.parts["test"]
        if val.relevant.shape[1] != self.candidates:
            raise DataError(
                f"{where}: val has {val.relevant.shape[1]} candidates, test has {self.candidates}; expected as many."
            )
        if not test.relevant.nnz:
            raise DataError(f"{where}: nothing is relevant in the test part; there is nothing to judge.")
        for name, mask in self.slices.items():
            if mask.shape != (self.candidates,) or mask.dtype != np.bool_:
                raise DataError(f"{where}: slice {name!r} is {mask.shape} {mask.dtype}; expected ({self.candidates},) bool.")
        if self.interactions is not None:
            _check_matrix(f"{where}: interactions", self.interactions)
            if self.interactions.shape[1] != self.candidates:
                raise DataError(
                    f"{where}: interactions name {self.interactions.shape[1]} candidates; expected {self.candidates}."
                )
        self._check_names(where)
        asked = np.intersect1d(self._asked(val), self._asked(test), assume_unique=True)
        if len(asked):
            row, candidate = divmod(int(asked[0]), self.candidates)
            raise DataError(
                f"{where}: {len(asked)} pairs are asked in both val and test, first query row {row} and candidate {candidate}; "
                "LightGBM learns from val and would know them."
            )

    def _check_names(self, where: str) -> None:
        rows = 1 + max((int(part.queries.max()) for part in self.parts.values() if len(part.queries)), default=-1)
        for what, names, least in (("query", self.query_names, rows), ("candidate", self.candidate_names, self.candidates)):
            if names is None:
                continue
            if len(names) < least or (what == "candidate" and len(names) != least):
                raise DataError(f"{where}: {len(names)} {what} names for {least} rows; expected one a row.")
            if len(set(names)) != len(names):
                raise DataError(f"{where}: {len(names) - len(set(names))} {what} names come twice; expected distinct ones.")

    def _asked(self, part: RankingPart) -> np.ndarray:
        """(pairs,) query row times candidates plus candidate of all that is relevant."""
        rows, columns = np.divmod(entries(part.relevant), self.candidates)
        asked: np.ndarray = part.queries[rows] * self.candidates + columns
        return asked

    @property
    def candidates(self) -> int:
        """How many candidates there are."""
        return int(self.parts["test"].relevant.shape[1])


def entries(matrix: sparse.csr_matrix) -> np.ndarray:
    """(nnz,) int64: row times columns plus column of each stored entry, row after row."""
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return rows * matrix.shape[1] + matrix.indices


def _check_matrix(what: str, matrix: sparse.csr_matrix) -> None:
    if not sparse.issparse(matrix) or matrix.format != "csr":
        raise DataError(f"{what} is a {type(matrix).__name__}; expected a scipy CSR matrix.")
    stored = entries(matrix)
    twice = len(stored) - len(np.unique(stored))
    if twice:
        raise DataError(f"{what} names {twice} entries twice; call sum_duplicates() on it.")
