"""Columns that tell the target: a copy of it under another name makes every score worthless.

A column leaks a class target where its values and the classes are the same thing under other names (one value a class, one
class a value), and a numeric target where it is the target times a factor plus a constant. Checked on the labelled training
rows, from 20 of them on, and from two a class (where every row is a class of its own, every name of rows tells it).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEWEST = 20
"""Below so many labelled rows chance could do it."""
_EXACT = 1e-9


def leaking(values: np.ndarray, codes: np.ndarray, names: Sequence[str], labels: np.ndarray, classes: bool) -> list[str]:
    """Names of the columns that tell the labels.

    values  (n, num) float64;  codes: (n, cat);  names: of both, numerics first;  labels: (n,), all known
    """
    if len(labels) < FEWEST:
        return []
    kinds = len(np.unique(labels)) if classes else 0
    found = []
    for number, name in enumerate(names):
        categorical = number >= values.shape[1]
        column = codes[:, number - values.shape[1]] if categorical else values[:, number]
        if (classes and _same_partition(column, labels, kinds)) or (
            not classes and not categorical and _same_line(column, labels)
        ):
            found.append(name)
    return found


def _same_partition(column: np.ndarray, labels: np.ndarray, kinds: int) -> bool:
    """Whether values and labels (of ``kinds`` different ones) are in one-to-one correspondence."""
    # The first rows first: cheap, and nearly every column has more values than there are classes.
    if kinds < 2 or len(labels) < 2 * kinds or len(np.unique(column[:1000])) > kinds:
        return False
    values, codes = np.unique(column, return_inverse=True)
    if len(values) != kinds:
        return False
    pairs = np.unique(codes.astype(np.int64) * (int(labels.max()) + 1) + labels)
    return len(pairs) == kinds


def _same_line(column: np.ndarray, labels: np.ndarray) -> bool:
    """Whether the column is a non-constant linear function of the labels, on the rows where it is present."""
    present = ~np.isnan(column)
    if present.sum() < FEWEST:
        return False
    x, y = column[present] - column[present].mean(), labels[present] - labels[present].mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return norm > 0 and abs(float(x @ y)) >= (1 - _EXACT) * norm
