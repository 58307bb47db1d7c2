"""Features of users or items from a user's own table: words, whole numbers, lists of words; numbers with a fraction become bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug.contracts import Faults, Reading
from sslplug.contracts.cells import DECIMAL_COMMA, NO_VALUE, WHOLE, is_number, numbers
from sslplug.contracts.tables import Table, cell, mask
from sslplug_recsys.data.features import Words, binned, edges_of, single, table_of
from sslplug_recsys.data.options import FileOptions
from sslplug_recsys.data.own_tables import OwnTable
from sslplug_recsys.feature_table import FeatureTable

OTHER_SEPARATORS = ("|", ";", ",", "/")


def read_features(
    own: OwnTable,
    key: str,
    kept: np.ndarray,
    rows: np.ndarray,
    n: int,
    options: FileOptions,
    fitted: Mapping[str, Any] | None,
) -> Reading[tuple[FeatureTable | None, dict[str, Any]]]:
    """Features of ``n`` entities. Of the table's rows those at ``kept`` (bool) count; they belong to the entities ``rows``."""
    table = own.table
    fields: dict[str, Words] = {}
    edges: dict[str, Sequence[float]] = {}
    for name in table.content.column_names:
        if name == key:
            continue
        if _is_continuous(own, name):
            values = (yield from numbers(table, name, None))[kept]
            edges[name] = fitted["edges"].get(name, []) if fitted else edges_of(values).tolist()
            words = single(binned(values, np.asarray(edges[name], np.float64)))
        else:
            separator = " " if own.types.get(name, "").endswith("_seq") else options.separator
            yield from _doubtful(table, name, separator)
            words = _several(table.content[name].combine_chunks().filter(pa.array(kept)), separator)
        yield from _useless(table, name, words)
        fields[name] = Words(rows[words.owner], words.values)
    if not fields:
        yield Faults(
            "no-feature", table.file, f"no column beside {key!r}", "features", "Leave the table out.", harmless=True
        )
        return None, {}
    known = fitted["vocabularies"] if fitted else None
    if known is not None and set(known) != set(fields):
        yield Faults(
            "other-features",
            table.file,
            f"the features {', '.join(fields)}",
            f"those the encoder was trained on, {', '.join(known)}",
            "Give the same columns.",
        )
        known = None
    coded, vocabularies = table_of(fields, n, options.most_values, options.least_count, known)
    return coded, {"vocabularies": vocabularies, "edges": edges}


def _is_continuous(own: OwnTable, name: str) -> bool:
    """Whether a column holds numbers, some with a fraction; a typed heading says so itself."""
    if name in own.types:
        return own.types[name] == "float"
    column = own.table.content[name]
    if not pa.types.is_large_string(column.type):
        return bool(pa.types.is_floating(column.type))
    if not is_number(own.table, name):
        return False
    words = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    other = mask(pc.match_substring_regex(words, WHOLE)) | mask(
        pc.is_in(words, value_set=pa.array(NO_VALUE, pa.large_string()))
    )
    return not bool((other | mask(pc.is_null(words))).all())


def _several(column: pa.Array, separator: str) -> Words:
    """The values of each cell: those of a list, or words between separators."""
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        lists = column
    else:
        lists = pc.split_pattern(column.cast(pa.large_string()).fill_null(""), separator)
    owner = np.asarray(pc.list_parent_indices(lists), np.int64)
    values = pc.utf8_trim_whitespace(pc.list_flatten(lists).cast(pa.large_string())).fill_null("")
    words = np.asarray(values.to_numpy(zero_copy_only=False), object)
    given = words != ""
    return Words(owner[given], words[given])


def _doubtful(table: Table, name: str, separator: str) -> Reading[None]:
    """Cells that hold several values in another way than the options say, or empty ones."""
    column = table.content[name]
    if not pa.types.is_large_string(column.type):
        return
    given = int(mask(pc.not_equal(column, "")).sum())
    if not given:
        yield Faults("empty-feature", table.file, "no value", "values", "Leave the column out.", column=name, harmless=True)
        return
    comma = mask(pc.match_substring_regex(column, DECIMAL_COMMA))
    if 2 * comma.sum() > given:
        yield Faults(
            "numbers-as-words",
            table.file,
            f"numbers with a comma ({cell(column, int(comma.argmax()))})",
            "numbers with a decimal point",
            "Each is read as a word of its own; write a point for the comma.",
            column=name,
            harmless=True,
        )
        return
    if not mask(pc.match_substring(column, separator)).any():
        for other in OTHER_SEPARATORS:
            places = mask(pc.match_substring(column, other)) if other != separator else np.zeros(1, bool)
            if 2 * places.sum() > given:
                yield Faults(
                    "other-separator",
                    table.file,
                    f"{other!r} in most cells ({cell(column, int(places.argmax()))})",
                    f"several values separated by {separator!r}",
                    f"Each cell is one value now; set data.separator to {other!r} if it holds several.",
                    column=name,
                    harmless=True,
                )
                return
        return
    if separator.strip():
        mark = f"\\s*{_escaped(separator)}\\s*"
        empty = mask(pc.match_substring_regex(column, f"^{mark}|{mark}$|{mark}{_escaped(separator)}"))
        if empty.any():
            yield table.wrong(
                "empty-value", empty, name, f"a value on both sides of {separator!r}", "It is passed over.", harmless=True
            )


def _escaped(separator: str) -> str:
    return "".join(f"\\x{{{ord(letter):x}}}" for letter in separator)


def _useless(table: Table, name: str, words: Words) -> Reading[None]:
    """Features that tell nothing, or name one thing in two spellings."""
    values = np.unique(words.values.astype(str))
    count = len(words.values)
    if count > 1 and len(values) == 1 and len(table) > 1:
        yield Faults(
            "constant-feature",
            table.file,
            f"the value {str(values[0])!r} alone",
            "values that differ",
            "It tells nothing; leave it out.",
            column=name,
            harmless=True,
        )
    elif len(values) == count > 10:
        yield Faults(
            "a-value-a-row",
            table.file,
            f"{count} values of one row each",
            "values that rows share",
            "It names rows and tells nothing of others; leave it out.",
            column=name,
            harmless=True,
        )
    first: dict[str, str] = {}
    for value in values if len(values) < count else ():
        earlier = first.setdefault(str(value).casefold(), str(value))
        if earlier != value:
            yield Faults(
                "values-alike",
                table.file,
                f"the values {earlier!r} and {str(value)!r}",
                "one spelling of each value",
                "They are kept apart; write them alike if they are one.",
                column=name,
                harmless=True,
            )
