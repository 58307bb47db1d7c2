"""What a user's data may hold without being wrong: codes and words for "missing", spellings, names among categories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

SENTINELS = tuple(sign * float("9" * digits) for digits in (3, 4, 5, 6) for sign in (1, -1))
"""Numbers that often stand for a missing value."""
NO_WORDS = ("-", "--", "none", "missing", "unknown", "n.a.", "#n/a", "#na", "<na>", "nil", "undefined", "not available")
"""Words, in small letters, that often stand for a missing value."""
FEWEST = 10
"""Below so many other numbers nothing is called far away."""


def far_sentinels(values: np.ndarray) -> Iterator[tuple[float, np.ndarray, str]]:
    """The sentinels among numbers (n,) that lie more than twice the others' range away from them.

    Yields the sentinel, where it stands (n,) bool, and the others' range in words.
    """
    for sentinel in SENTINELS:
        places = values == sentinel
        if not places.any():
            continue
        others = values[~places & np.isfinite(values)]
        if len(others) < FEWEST:
            continue
        low, high = float(others.min()), float(others.max())
        width = max(high - low, 1.0)
        if sentinel < low - 2 * width or sentinel > high + 2 * width:
            yield sentinel, places, f"{low:g} to {high:g}"


def spelt_alike(words: Iterable[str]) -> dict[str, str]:
    """Words that differ from another only in capitals or blanks, each with the first of its kind in the alphabet.

    >>> spelt_alike(["baker", "Baker", "clerk"])
    {'baker': 'Baker'}
    """
    seen: dict[str, str] = {}
    alike = {}
    for word in sorted(words):
        first = seen.setdefault(" ".join(word.casefold().split()), word)
        if first != word:
            alike[word] = first
    return alike
