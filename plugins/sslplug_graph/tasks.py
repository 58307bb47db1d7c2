"""Labelled tasks of graphs: node classes, graph classes, links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedKFold

from sslplug.contracts import Split, Task
from sslplug.errors import DataError
from sslplug.randomness import Rng


def random_splits(labels: np.ndarray, count: int, train: float, val: float, rng: Rng) -> list[Split]:
    """``count`` random permutations of the labelled rows, cut into train, val and the rest, as in GRACE, GCA and BGRL.

    Not stratified, like the literature. Split k is a function of ``rng`` and k alone.
    """
    labelled = np.flatnonzero(labels >= 0)
    first, second = int(train * len(labelled)), int((train + val) * len(labelled))
    if first < 1 or second >= len(labelled):
        raise DataError(
            f"{len(labelled)} labelled rows cannot be split into {train:.0%} train, {val:.0%} val and the rest; "
            "label more rows or change data.train_share and data.val_share."
        )
    splits = []
    for number in range(count):
        order = rng.fork("split", number).numpy().permutation(labelled)
        splits.append(Split(np.sort(order[:first]), np.sort(order[first:second]), np.sort(order[second:])))
    return splits


def node_task(
    labels: np.ndarray,
    splits: list[Split],
    protocol: str,
    classes: tuple[str, ...] = (),
    name: str = "node-class",
    drawn: bool = False,
) -> Task:
    """Node classification with given splits; ``drawn``: by the run's seed."""
    return Task(name, "classification", "node", labels, splits, protocol, classes=classes, drawn=drawn)


def graph_task(labels: np.ndarray, folds: int, repeats: int, rng: Rng, classes: tuple[str, ...] = ()) -> Task:
    """Graph classification by stratified, shuffled cross-validation (InfoGraph, GraphCL).

    ``repeats`` x ``folds`` splits; ``val`` is empty, so that the probe chooses its strength by inner cross-validation.
    """
    labelled = np.flatnonzero(labels >= 0)
    smallest = int(np.bincount(labels[labelled]).min(initial=len(labelled))) if len(labelled) else 0
    if smallest < folds:
        raise DataError(f"The smallest class has {smallest} graphs for {folds} folds; lower data.folds.")
    splits = []
    for repeat in range(repeats):
        state = int(rng.fork("folds", repeat).numpy().integers(2**31))
        cutter = StratifiedKFold(folds, shuffle=True, random_state=state)
        for train, test in cutter.split(labelled, labels[labelled]):
            splits.append(Split(labelled[train], np.empty(0, np.int64), labelled[test]))
    protocol = f"{folds}-fold stratified" + (f" x {repeats}" if repeats > 1 else "")
    return Task("graph-class", "classification", "graph", labels, splits, protocol, classes=classes, drawn=True)


@dataclass(frozen=True)
class Links:
    """A link task and the graph that may be seen: ``edges`` (2, E') without the held-out ones."""

    task: Task
    edges: np.ndarray


def link_task(edges: np.ndarray, nodes: int, rng: Rng, val: float = 0.05, test: float = 0.1, most: int = 20_000) -> Links:
    """Link prediction: 5 % of the links for validation and 10 % for test are taken out of the graph, in both directions.

    Each part has as many non-links, drawn uniformly without repeats among pairs that are no link anywhere in ``edges``. The
    train part holds at most ``most`` of the remaining links. A symmetric graph yields unordered pairs (u < v).
    """
    code = edges[0] * nodes + edges[1]
    symmetric = bool(np.array_equal(np.sort(code), np.sort(edges[1] * nodes + edges[0])))
    keep = edges[0] < edges[1] if symmetric else edges[0] != edges[1]
    links = np.unique(code[keep])
    n_val, n_test = int(val * len(links)), int(test * len(links))
    n_train = min(len(links) - n_val - n_test, most)
    if n_val < 1 or n_train < 1:
        raise DataError(f"{len(links)} links are too few to hold out {val:.0%} and {test:.0%}; at least {int(1 / val) + 1}.")
    links = rng.fork("links").numpy().permutation(links)
    held, train = links[: n_val + n_test], links[n_val + n_test :][:n_train]
    positives = [train, held[:n_val], held[n_val:]]
    negatives = np.split(_non_links(code, nodes, sum(map(len, positives)), symmetric, rng), np.cumsum([n_train, n_val]))
    pairs = np.concatenate([part for both in zip(positives, negatives) for part in both])
    labels = np.concatenate(
        [np.full(len(part), flag) for both in zip(positives, negatives) for part, flag in zip(both, (1, 0))]
    )
    bounds = np.cumsum([2 * n_train, 2 * n_val])
    rows = np.split(np.arange(len(pairs)), bounds)
    gone = np.isin(code, np.concatenate([held, held % nodes * nodes + held // nodes]) if symmetric else held)
    task = Task(
        "link",
        "link",
        "node",
        labels.astype(np.int64),
        [Split(*rows)],
        f"{val:.0%} val and {test:.0%} test links held out of the graph, as many non-links",
        members=np.stack([pairs // nodes, pairs % nodes], axis=1),
        drawn=True,
    )
    return Links(task, edges[:, ~gone])


def _non_links(code: np.ndarray, nodes: int, count: int, symmetric: bool, rng: Rng) -> np.ndarray:
    """``count`` distinct pair codes that are no link and no self-pair; u < v if ``symmetric``."""
    loops = np.arange(nodes) * (nodes + 1)
    taken = np.union1d(code, loops)
    free = nodes * nodes - len(taken)
    if (free // 2 if symmetric else free) < count:
        raise DataError(f"The graph is too dense: {count} non-links are needed, {free // 2 if symmetric else free} exist.")
    generator = rng.fork("non-links").numpy()
    if nodes <= 2000:
        every = np.setdiff1d(np.arange(nodes * nodes), taken, assume_unique=True)
        every = every[every // nodes < every % nodes] if symmetric else every
        return generator.choice(every, count, replace=False)
    found = np.empty(0, np.int64)
    while len(found) < count:
        first, second = generator.integers(nodes, size=(2, 2 * count))
        if symmetric:
            first, second = np.minimum(first, second), np.maximum(first, second)
        fresh = np.setdiff1d(first * nodes + second, taken)
        found = np.union1d(found, fresh)
    return generator.permutation(found)[:count]
