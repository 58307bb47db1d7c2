"""Classes from a column of a user's table, and what makes them useless."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts.cells import NO_VALUE, NUMBER, WHOLE
from sslplug.contracts.reading import Faults, Reading
from sslplug.contracts.tables import Table, mask

Classes = tuple[np.ndarray | None, tuple[str, ...]]


def classes_of(table: Table, name: str) -> Reading[Classes]:
    """(n,) classes 0..K-1 in the order of their sorted names, -1 where the cell is empty, and the K names.

    None where there is no such column, or nothing that could be classes.
    """
    if name not in table.content.column_names:
        return None, ()
    column = table.content[name].combine_chunks()
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        yield Faults(
            "not-a-class", table.file, f"a column of {column.type}", "one class a cell", "Write one word each.", column=name
        )
        return None, ()
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    words = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    token = mask(pc.is_in(pc.utf8_lower(words), value_set=pa.array(NO_VALUE[1:], pa.large_string())))
    number = mask(pc.match_substring_regex(words, NUMBER))
    whole = mask(pc.match_substring_regex(words, WHOLE))
    present = mask(pc.is_valid(words)) & mask(pc.not_equal(words, ""))
    numeric = number.any() and bool((number | token | ~present).all())
    if numeric:
        present &= ~token
        values = np.full(len(table), 0.0)
        values[number] = np.asarray(words.filter(pa.array(number)).cast(pa.float64()), np.float64)
        fraction = number & (values != np.round(values))
        if fraction.any():
            yield table.wrong(
                "fractional-label",
                fraction,
                name,
                "classes, not numbers with fractions",
                "Put the numbers into classes, or leave the column out to train without labels.",
            )
            return None, ()
        kept = values[present].astype(np.int64)
        return (yield from codes(table.file, name, kept, present))
    if token.any():
        yield table.wrong(
            "label-reads-missing",
            token,
            name,
            "a class, or an empty cell",
            "It counts as a class of that name.",
            harmless=True,
        )
    if whole.any() and (present & ~whole).any():
        odd = whole if 2 * whole.sum() < present.sum() else present & ~whole
        yield table.wrong(
            "label-of-another-type",
            odd,
            name,
            "classes that are all numbers or all words",
            "All are read as words.",
            harmless=True,
        )
    kept = words.filter(pa.array(present)).to_numpy(zero_copy_only=False).astype(str)
    return (yield from codes(table.file, name, kept, present))


def codes(file: str, name: str, kept: np.ndarray, present: np.ndarray) -> Reading[Classes]:
    """(n,) classes 0..K-1 of the values ``kept`` of the rows that are ``present``, and the K names."""
    names, found = np.unique(kept, return_inverse=True)
    if len(names) == 1 or 2 < len(kept) == len(names):
        one = len(names) == 1
        yield Faults(
            "one-class" if one else "a-class-a-row",
            file,
            f"only the class {names[0]}" if one else f"{len(names)} classes of one row each",
            "two classes or more, with several rows each",
            "Mend the labels, or leave them out to train without.",
            column=name,
        )
        return None, ()
    if kept.dtype.kind == "U":
        yield from _near(file, name, names)
    counts = np.bincount(found, minlength=len(names))
    rare = counts < 3
    if rare.any() and not rare.all():
        told = ", ".join(f"{word} ({count})" for word, count in zip(names[rare][:5], counts[rare][:5], strict=True))
        yield Faults(
            "rare-class",
            file,
            f"classes of fewer than three rows: {told}",
            "rows of each class for training, validation and test",
            "They are kept; join them, or take their labels away.",
            column=name,
            harmless=True,
        )
    labels = np.full(len(present), -1, np.int64)
    labels[present] = found
    return labels, tuple(str(word) for word in names)


def _near(file: str, name: str, names: np.ndarray) -> Reading[None]:
    """Classes that differ in capitals alone are most likely one."""
    seen: dict[str, str] = {}
    for word in names:
        first = seen.setdefault(str(word).casefold(), str(word))
        if first != word:
            yield Faults(
                "classes-alike",
                file,
                f"the classes {first!r} and {str(word)!r}",
                "one spelling of each class",
                "They are kept apart; write them alike if they are one.",
                column=name,
                harmless=True,
            )
