"""The data of one run on baskets: training pairs of items, every item in order, the question of later relatedness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from scipy import sparse
from torch import Tensor
from torch.nn import functional as F

from sslplug.contracts import MeasuredTask, Options, Order, RawFeatures, Task, View
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities
from sslplug_recsys.data.corpus import Corpus
from sslplug_recsys.relatedness.baskets import make_baskets
from sslplug_recsys.relatedness.related_pairs import Scorer, related_pairs
from sslplug_recsys.spec import RecSpec

TASK = "related"
PERIODS = {"val": 1, "test": 2}


class BasketOptions(Options):
    """How baskets, training pairs and cases come about; every source of baskets has these options."""

    gap: float = Field(10.0, ge=0, description="interactions of a user that follow within this time share a basket")
    reach: int = Field(2, ge=1, description="items of a basket at most so many places apart make a training pair")
    subsample: float = Field(
        0.0, ge=0, description="word2vec's t: pairs of items with a larger share of the pairs are seen less; 0: all"
    )
    val_share: float = Field(0.1, gt=0, lt=1, description="share of the interactions, before the test period, that validate")
    test_share: float = Field(0.2, gt=0, lt=1, description="newest share of the interactions, that tests")
    judge: Literal["val", "test"] = Field("test", description="which period asks; choose settings with val")
    least_together: int = Field(3, ge=1, description="baskets of the period that a related pair shares at least")
    least_lift: float = Field(2.0, gt=0, description="its least lift in the period")
    most_pairs: int = Field(2000, ge=1, description="cases at most")


@dataclass(frozen=True, eq=False)
class BasketSpec(RecSpec):
    """A specification whose users are training baskets and whose popularity counts places in training pairs of items."""


def need_baskets(spec: RecSpec, what: str) -> None:
    """UsageError where the data has no baskets."""
    if not isinstance(spec, BasketSpec):
        raise UsageError(f"{what} is about items of baskets; choose data of baskets (data: baskets-...).")


@dataclass(frozen=True, eq=False)
class ItemPairs:
    """A training batch: items that lay near each other, (n,) int64 each; ``index`` numbers the pairs of the whole data."""

    first: Tensor
    second: Tensor
    index: Tensor

    def to(self, device: torch.device | str) -> ItemPairs:
        """The same batch on ``device``."""
        return ItemPairs(self.first.to(device), self.second.to(device), self.index.to(device))


@dataclass(frozen=True)
class Batches(Sequence[ItemPairs]):
    """Batches made when asked for."""

    pairs: np.ndarray
    chosen: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, step: Any) -> Any:
        rows = self.chosen[step]
        first, second = (torch.from_numpy(self.pairs[rows, side]) for side in range(2))
        return ItemPairs(first, second, torch.from_numpy(rows.astype(np.int64)))


class BasketData:
    """Baskets of a corpus with times, divided by time; ``drawn``: the run's seed made the corpus."""

    level = "item"

    def __init__(
        self, corpus: Corpus, options: BasketOptions, fitted: Mapping[str, Any] | None = None, drawn: bool = False
    ) -> None:
        self.corpus, self.options, self.fitted = corpus, options, fitted or {}
        made = make_baskets(corpus, options.gap, options.val_share, options.test_share)
        self._pairs = made.pairs(0, options.reach)
        if not len(self._pairs):
            raise DataError(f"{corpus.name}: no two items share a training basket; widen data.gap.")
        places = np.bincount(self._pairs.ravel(), minlength=corpus.items)
        self._weight = _kept(self._pairs, places, options.subsample)
        train, later = made.of(0, corpus.items), made.of(PERIODS[options.judge], corpus.items)
        known = np.asarray(train.sum(0)).ravel()
        basket, item = train.nonzero()
        self.spec = BasketSpec(
            train.shape[0],
            corpus.items,
            torch.from_numpy(basket.astype(np.int64)),
            torch.from_numpy(item.astype(np.int64)),
            torch.from_numpy(places.astype(np.int64)),
            None,
            corpus.item_features,
            {name: edges for name, edges in corpus.relations.items() if name == "item-attribute"},
        )
        # Cases are chosen among items with a training pair, so that a table of vectors has something to say of each.
        cases = related_pairs(
            later,
            np.where(places > 0, known, 0.0),
            options.least_together,
            options.least_lift,
            options.most_pairs,
            corpus.name,
        )
        self.cases = cases
        together = (train.T @ train).tocsr()
        period, start = ("test", made.edges[1]) if options.judge == "test" else ("validation", made.edges[0])
        protocol = (
            f"global time split, the {period} period from {start:.6g} {corpus.unit}: {len(cases.a)} pairs with "
            f"{options.least_together} baskets together and lift {options.least_lift} or more, each against one of like "
            "popularity; mrr among all items"
        )
        self.tasks = {
            TASK: MeasuredTask(
                TASK,
                "item",
                protocol,
                cases.metrics,
                lambda levels: cases.measure(cosines(levels["item"])),
                {
                    "co_occurrence": lambda: cases.measure(counts(together)),
                    "pmi": lambda: cases.measure(pmi(together, train.shape[0])),
                    "popularity": lambda: cases.measure(lambda rows: np.tile(known, (len(rows), 1))),
                },
                groups=cases.a,
                drawn=drawn,
            )
        }
        self.description = {
            "name": f"{corpus.name}, baskets",
            "items": corpus.items,
            "interactions": len(corpus.user),
            "training baskets": train.shape[0],
            "training pairs": len(self._pairs),
            "items with a training pair": int((places > 0).sum()),
            "judged baskets": later.shape[0],
            "cases": len(cases.a),
            "split": protocol,
            "notes": list(corpus.notes),
            "sha256": corpus.sha256,
        }

    def batches(self, order: Order) -> Sequence[ItemPairs]:
        """Shuffled training pairs, those of frequent items thinned out anew each epoch where ``subsample`` asks for it.

        A pure function of the order. Ranks get every world-th pair of a batch; a last batch of less than half the size is
        left out.
        """
        if order.labels is not None:
            raise UsageError("train.labels: baskets have no labels; their pairs are what methods learn from.")
        draw = Rng.root(order.seed).fork("batches", order.epoch).numpy()
        count = max(round(float(self._weight.sum())), 1)
        # The `count` smallest of exponential draws with these rates: as many in every epoch, in random order.
        key = draw.standard_exponential(len(self._pairs)) / self._weight
        chosen = draw.permutation(np.argpartition(key, count - 1)[:count]) if count < len(key) else draw.permutation(count)
        size = min(order.batch_size or count, count)
        if size < 2 * order.world:
            raise UsageError(f"A batch of {size} pairs cannot be shared by {order.world} ranks; use fewer ranks.")
        whole = [chosen[start : start + size] for start in range(0, count, size)]
        kept = [one for one in whole if 2 * len(one) >= size]
        return Batches(self._pairs, [one[order.rank :: order.world] for one in kept])

    def rows(self) -> Iterator[View]:
        """Every item, in order."""
        items = torch.arange(self.corpus.items)
        yield View(Entities(items), ids={"item": items.clone()}, role="item")

    def raw_features(self, task: Task) -> RawFeatures:
        """Baskets have a measured task alone, which brings its baselines."""
        raise UsageError(f"{self.corpus.name}: task {task.name!r} is no task of this data; it asks which items are related.")


def _kept(pairs: np.ndarray, places: np.ndarray, threshold: float) -> np.ndarray:
    """(p,) share of the epochs in which each pair is seen: min(1, sqrt(t / f_a)) min(1, sqrt(t / f_b)) (Mikolov et al.
    2013)."""
    if not threshold:
        return np.ones(len(pairs))
    share = places / places.sum()
    with np.errstate(divide="ignore"):
        keep = np.minimum(1.0, np.sqrt(threshold / share))
    weight: np.ndarray = keep[pairs[:, 0]] * keep[pairs[:, 1]]
    return weight


def cosines(rows: np.ndarray) -> Scorer:
    """Cosine of (items, d) rows."""
    unit = F.normalize(torch.from_numpy(np.ascontiguousarray(rows, np.float32)), dim=1)
    return lambda items: (unit[torch.from_numpy(items)] @ unit.t()).numpy()


def counts(together: sparse.csr_matrix) -> Scorer:
    """Training baskets that two items share."""
    return lambda items: together[items].toarray()


def pmi(together: sparse.csr_matrix, baskets: int) -> Scorer:
    """log(c_ab n / (c_a c_b)) of training baskets; pairs that share none come last, by nothing."""
    count = together.diagonal()

    def score(items: np.ndarray) -> np.ndarray:
        shared = together[items].toarray().astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.log(shared * baskets / (count[items][:, None] * count[None, :]))
        return np.where(shared > 0, value, -1e9)

    return score
