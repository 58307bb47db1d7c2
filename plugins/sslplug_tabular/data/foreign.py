"""Numbers and dates in forms that are not read: decimal commas, thousands, units, days before months. They are told by name."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts.tables import mask

DECIMAL_COMMA = r"^[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+$"
THOUSANDS = r"^[+-]?\d{1,3}(([,' \x{a0}\x{202f}]\d{3})+(\.\d+)?|(\.\d{3}){2,})$"
_NUMBER = r"[+-]?\d+([.,]\d+)?"
UNIT = rf"^([$€£¥]\s?{_NUMBER}|{_NUMBER}\s?(%|[$€£¥]|°?[A-Za-zµ]{{1,4}}))$"
DATES = (
    r"^\d{1,2}[/.-]\d{1,2}[/.-](\d{4}|\d{2})([ T]\d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?)?$"
    r"|^\d{4}[/.]\d{1,2}[/.]\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2})?)?$|^\d{1,2}[ -][A-Za-z]{3,9}\.?[ -]\d{2,4}$"
    r"|^[A-Za-z]{3,9}\.? \d{1,2},? \d{4}$"
)


def matching(words: pa.Array, pattern: str) -> np.ndarray:
    """(n,) bool: the word is of this form; False where missing."""
    return mask(pc.match_substring_regex(words, pattern))


def foreign_numbers(words: pa.Array) -> np.ndarray:
    """(n,) bool: a number with a decimal comma, with marks between its thousands, or with the one unit of its column."""
    united = matching(words, UNIT)
    units = pc.unique(pc.replace_substring_regex(words.filter(pa.array(united)), r"[-+\d.,\s]+", ""))
    marked: np.ndarray = matching(words, DECIMAL_COMMA) | matching(words, THOUSANDS)
    return marked | united if len(units) == 1 else marked


def foreign_dates(words: pa.Array) -> np.ndarray:
    """(n,) bool: a date, but not in ISO 8601."""
    return matching(words, DATES)
