"""What cells mean as plain words or numbers: trimming, missing markers, numbers and dates written as text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL")
"""Words that mean "no value" unless ``data.missing`` says otherwise."""
_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$|^(?i:[+-]?inf(inity)?)$"
_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$"


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds words."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether a column holds plain numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def tidy(column: pa.ChunkedArray | pa.Array, missing: tuple[str, ...]) -> pa.Array:
    """One array: words trimmed, missing markers and NaN null; a dictionary of words stays one."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):  # several chunks of over 2 GiB
        array = pa.concat_arrays([chunk.cast(pa.large_string()) for chunk in array.chunks])
    if pa.types.is_dictionary(array.type) and is_text(array.type.value_type):
        words = tidy(array.dictionary, missing)
        codes = pc.if_else(words.is_null().take(array.indices), pa.scalar(None, array.indices.type), array.indices)
        return pa.DictionaryArray.from_arrays(codes, words, ordered=array.type.ordered)
    if is_text(array.type):
        array = pc.utf8_trim_whitespace(array)
        gone = pc.is_in(array, value_set=pa.array(missing, array.type))
        return pc.if_else(gone, pa.scalar(None, array.type), array)
    if pa.types.is_floating(array.type):
        return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    return array


def plain(array: pa.Array) -> pa.Array:
    """A dictionary as its values; anything else as it is."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def as_words(array: pa.Array) -> pa.Array:
    """Every value as a word: whole numbers without a point, whatever type they are stored in; dates in ISO form."""
    array = plain(array)
    if pa.types.is_floating(array.type):
        values = array.to_numpy(zero_copy_only=False).astype(np.float64)
        whole = (values == np.floor(values)) & (np.abs(values) < 2**53)
        integers = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string())
        return pc.if_else(pa.array(whole), integers, array.cast(pa.string()))
    return array if is_text(array.type) else array.cast(pa.string())


def looks_like_number(words: pa.Array) -> np.ndarray:
    """(n,) bool: the word is a number; False where missing."""
    return np.asarray(pc.match_substring_regex(words, _NUMBER).fill_null(False).to_numpy(zero_copy_only=False), bool)


def looks_like_date(words: pa.Array) -> np.ndarray:
    """(n,) bool: the word is a date or a time in ISO 8601; False where missing."""
    return np.asarray(pc.match_substring_regex(words, _DATE).fill_null(False).to_numpy(zero_copy_only=False), bool)


def as_numbers(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(n,) float64 with NaN where missing, and (n,) bool: a value that is present but is no number."""
    array = plain(array)
    bad = np.zeros(len(array), bool)
    if is_text(array.type):
        good = looks_like_number(array)
        bad = ~good & np.asarray(array.is_valid().to_numpy(zero_copy_only=False), bool)
        array = pc.if_else(pa.array(good), array, pa.scalar(None, array.type))
    elif pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("us")).cast(pa.int64())
    elif pa.types.is_temporal(array.type):
        array = array.cast(pa.int64())
    elif pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    numbers = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.array(numbers, np.float64), bad


def as_days(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(n,) float64 days since 1970-01-01 (UTC) with NaN where missing, and (n,) bool: present but no date."""
    array = plain(array)
    bad = np.zeros(len(array), bool)
    if is_text(array.type):
        good = looks_like_date(array)
        bad = ~good & np.asarray(array.is_valid().to_numpy(zero_copy_only=False), bool)
        array = pc.if_else(pa.array(good), array, pa.scalar(None, array.type))
        array, wrong = _stamps(array)
        bad |= wrong
    stamps = array.cast(pa.timestamp("us", array.type.tz if pa.types.is_timestamp(array.type) else None), safe=False)
    days = stamps.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) / 86_400e6
    return np.array(days, np.float64), bad


def _stamps(words: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Timestamps of ISO words, without a zone read as UTC, and (n,) bool: no day of the calendar (a 13th month)."""
    zoned = pc.match_substring_regex(words, r":\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})$")
    words = pc.if_else(zoned, words, _followed_by(_with_time(words), "Z"))
    try:
        return words.cast(pa.timestamp("us", "UTC")), np.zeros(len(words), bool)
    except pa.ArrowInvalid:
        wrong = np.array([cell is not None and not _is_stamp(cell) for cell in words.to_pylist()], bool)
        kept = pc.if_else(pa.array(wrong), pa.scalar(None, words.type), words)
        return kept.cast(pa.timestamp("us", "UTC")), wrong


def _with_time(words: pa.Array) -> pa.Array:
    """A bare day as its midnight."""
    return pc.if_else(pc.equal(pc.utf8_length(words), 10), _followed_by(words, "T00:00"), words)


def _followed_by(words: pa.Array, end: str) -> pa.Array:
    return pc.binary_join_element_wise(words, pa.scalar(end, words.type), pa.scalar("", words.type))


def _is_stamp(word: str) -> bool:
    try:
        pa.scalar(word).cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        return False
    return True
