"""What the data tells views and encoders about itself. Nothing here comes from a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GAP, NUMBERS, GIVEN = "gap", "numbers", "given"
"""Names of the targets that are no category: time to an event, its numbers, and which of them were recorded."""


@dataclass(frozen=True)
class GapScale:
    """How a time gap becomes a feature: (log1p(gap / unit) - mean) / std, of the allowed rows. Gaps are never negative."""

    unit: float
    mean: float
    std: float


@dataclass(frozen=True)
class EventSpec:
    """The fields of an event.

    categories  {field: how many codes}: 0 is padding and never stored, 1 missing or unseen, 2.. the categories by frequency
    numbers     names of the numeric fields, in column order
    missing     whether a numeric field may be missing in an event; encoders then see which are given
    gap         how time gaps are scaled
    """

    categories: Mapping[str, int]
    numbers: tuple[str, ...]
    missing: bool
    gap: GapScale

    def target_widths(self) -> dict[str, int]:
        """{target: width}: what a view may ask of an event, classes of a category or columns of numbers."""
        widths = dict(self.categories) | {GAP: 1}
        if self.numbers:
            widths[NUMBERS] = len(self.numbers)
        if self.missing:
            widths[GIVEN] = len(self.numbers)
        return widths
