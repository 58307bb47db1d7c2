"""The data of one run on sequences: training samples, every asked history and every item in order, the ranking task."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from scipy import sparse

from sslplug.contracts import Options, Order, Positive, RankingPart, RankingTask, RawFeatures, Task, View
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities, Histories
from sslplug_recsys.data.corpus import Corpus
from sslplug_recsys.raw_features import PairTable
from sslplug_recsys.sequential.cuts import Sequences, joined, leave_one_out, prefixes
from sslplug_recsys.sequential.pair_features import HistoryTable
from sslplug_recsys.spec import RecSpec
from sslplug_recsys.tasks import TASK, popularity_slices

ROWS_A_VIEW = 4096
"""Histories in one view of ``rows()``."""


class SequenceOptions(Options):
    """How sequences are cut and asked; every source of sequences has these options."""

    samples: Literal["sequences", "prefixes"] = Field(
        "sequences", description="train on whole sequences, or on every prefix as a sample of its own (views: ask: last)"
    )
    longest: int = Field(50, ge=1, description="last items of a history that models see; samples have one more, the target")
    seen: Literal["history", "none"] = Field(
        "history", description="history: its items are not answered (S3-Rec, ICLRec); none: all items are ranked (DuoRec)"
    )
    cutoffs: tuple[Positive, ...] = Field((10, 20, 5), min_length=1, description="lengths of the judged lists")


def sequences_of(corpus: Corpus) -> Sequences:
    """Each user's items in time order; interactions of one time keep the source's order, and repetitions stay.

    Raises UsageError where the corpus has no times.
    """
    if corpus.time is None:
        raise UsageError(f"{corpus.name} has no times, which sequences need; name the time column, or choose pair data.")
    order = np.lexsort((corpus.time, corpus.user))
    count = np.bincount(corpus.user, minlength=corpus.users)
    return Sequences(np.concatenate([[0], np.cumsum(count)]).astype(np.int64), corpus.item[order])


@dataclass(frozen=True)
class Batches(Sequence[Histories]):
    """Batches made when asked for."""

    samples: Sequences
    user: np.ndarray
    chosen: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, step: Any) -> Any:
        rows = self.chosen[step]
        part = self.samples.between(np.zeros(len(rows), np.int64), self.samples.lengths[rows], rows)
        return packed(part, self.user[rows])


def packed(sequences: Sequences, users: np.ndarray) -> Histories:
    """The same sequences as a batch, in memory of its own."""
    copies = [torch.from_numpy(np.array(one, np.int64)) for one in (sequences.offsets, sequences.items, users)]
    return Histories(*copies)


class SequenceData:
    """Users' sequences of items, cut by :func:`leave_one_out`; ``drawn``: the run's seed made the corpus.

    Rows of level "history": the validation histories of the asked users, then their test histories. Rows of level "item":
    all items. Views of ``rows()`` have the roles "history" and "item".
    """

    level = "history"

    def __init__(
        self, corpus: Corpus, options: SequenceOptions, fitted: Mapping[str, Any] | None = None, drawn: bool = False
    ) -> None:
        self.corpus, self.options, self.fitted, self._drawn = corpus, options, fitted or {}, drawn
        whole = sequences_of(corpus)
        self.cut = leave_one_out(whole)
        if not len(self.cut.asked):
            raise DataError(
                f"{corpus.name}: no user has three interactions; leave-one-out needs one to train on, one to validate "
                "and one to test."
            )
        self.histories = joined(self.cut.val, self.cut.test).last(options.longest)
        train = self.cut.train
        self.spec = self._spec(train)
        able = np.flatnonzero(train.lengths > 1)
        if options.samples == "prefixes":
            self._samples, self._user = prefixes(train, options.longest + 1)
        else:
            start = np.maximum(train.lengths[able] - options.longest - 1, 0)
            self._samples, self._user = train.between(start, train.lengths[able], able), able
        if not len(self._user):
            raise DataError(f"{corpus.name}: no training sequence has two items; there is nothing to predict.")
        task = self._task()
        self.tasks = {task.name: task}
        self.description = self._describe(task)

    def _spec(self, train: Sequences) -> RecSpec:
        corpus = self.corpus
        pairs = np.unique(train.owner * corpus.items + train.items)
        user, item = np.divmod(pairs, corpus.items)
        length = train.lengths
        filled = np.flatnonzero(length)
        shown = train.between(np.maximum(length[filled] - self.options.longest, 0), length[filled], filled)
        return RecSpec(
            corpus.users,
            corpus.items,
            torch.from_numpy(user),
            torch.from_numpy(item),
            torch.from_numpy(np.bincount(item, minlength=corpus.items).astype(np.int64)),
            corpus.user_features,
            corpus.item_features,
            corpus.relations,
            packed(shown, filled),
        )

    def _task(self) -> RankingTask:
        corpus, cut = self.corpus, self.cut
        k = len(cut.asked)
        train = _matrix(cut.train, corpus.items)
        parts = {}
        for number, (name, histories) in enumerate((("val", cut.val), ("test", cut.test))):
            wanted = sparse.csr_matrix((np.ones(k, np.float32), (np.arange(k), cut.wanted[:, number])), (k, corpus.items))
            had = _matrix(histories, corpus.items)
            # What is asked for again may be answered.
            seen = (had - had.multiply(wanted)).tocsr() if self.options.seen == "history" else (0 * had).tocsr()
            seen.eliminate_zeros()
            parts[name] = RankingPart(number * k + np.arange(k, dtype=np.int64), wanted, seen, profile=had)
        left_out = "all items ranked but those of the history" if self.options.seen == "history" else "all items ranked"
        table = HistoryTable(
            PairTable(train, None, corpus.user_features, corpus.item_features),
            cut.train,
            joined(cut.val, cut.test),
            np.concatenate([cut.asked, cut.asked]),
            corpus.items,
        )
        names = [str(u) if corpus.user_names is None else corpus.user_names[u] for u in cut.asked]
        return RankingTask(
            TASK,
            "history",
            "item",
            parts,
            f"leave one out by time; {left_out}",
            slices=popularity_slices(self.spec.popularity.numpy()),
            cutoffs=self.options.cutoffs,
            pairs=table.features,
            interactions=train,
            query_names=[f"{name} (validation)" for name in names] + names,
            candidate_names=corpus.item_names,
            drawn=self._drawn,
        )

    def _describe(self, task: RankingTask) -> Mapping[str, Any]:
        corpus, cut = self.corpus, self.cut
        digest = hashlib.sha256()
        for array in (cut.train.offsets, cut.train.items, cut.asked, cut.wanted):
            digest.update(np.ascontiguousarray(array).tobytes())
        notes, short = list(corpus.notes), corpus.users - len(cut.asked)
        if short:
            notes.append(f"{short} users have fewer than three interactions: they train and are never asked")
        return {
            "name": f"{corpus.name}, sequences",
            "users": corpus.users,
            "items": corpus.items,
            "interactions": len(corpus.user),
            "training items": len(cut.train.items),
            "training samples": len(self._user),
            "samples": self.options.samples,
            "asked users": len(cut.asked),
            "longest": self.options.longest,
            "slices": {name: int(mask.sum()) for name, mask in task.slices.items()},
            "split": task.protocol,
            "split sha256": digest.hexdigest(),
            "notes": notes,
            "sha256": corpus.sha256,
        }

    def batches(self, order: Order) -> Sequence[Histories]:
        """Shuffled training samples in batches of ``order.batch_size``; a pure function of the order.

        Ranks get every world-th sample of a batch. A last batch with fewer samples than ranks is left out.
        """
        if order.labels is not None:
            raise UsageError("train.labels: sequences have no labels; their next items are what methods learn from.")
        count = len(self._user)
        size = min(order.batch_size or count, count)
        if size < order.world:
            raise UsageError(f"A batch of {size} samples cannot be shared by {order.world} ranks; use fewer ranks.")
        shuffled = Rng.root(order.seed).fork("batches", order.epoch).numpy().permutation(count)
        whole = [shuffled[start : start + size] for start in range(0, count, size)]
        return Batches(
            self._samples, self._user, [one[order.rank :: order.world] for one in whole if len(one) >= order.world]
        )

    def rows(self) -> Iterator[View]:
        """Every item, then the asked histories, those of the validation part first."""
        items = torch.arange(self.corpus.items)
        yield View(Entities(items), ids={"item": items.clone()}, role="item")
        count = len(self.histories)
        for start in range(0, count, ROWS_A_VIEW):
            rows = np.arange(start, min(start + ROWS_A_VIEW, count))
            part = self.histories.between(np.zeros(len(rows), np.int64), self.histories.lengths[rows], rows)
            yield View(packed(part, self.cut.asked[rows % len(self.cut.asked)]), role="history")

    def raw_features(self, task: Task) -> RawFeatures:
        """Sequences have a ranking task alone, which brings features of pairs."""
        raise UsageError(f"{self.corpus.name}: task {task.name!r} is no task of this data; it ranks items for histories.")


def _matrix(sequences: Sequences, items: int) -> sparse.csr_matrix:
    """(n, items) CSR of ones: what each sequence holds, once each."""
    owner, item = np.divmod(np.unique(sequences.owner * items + sequences.items), items)
    return sparse.csr_matrix((np.ones(len(item), np.float32), (owner, item)), (len(sequences), items))
