"""A user's own tables by their suffix: Parquet, CSV, TSV and RecBole's typed text.

RecBole's heading names a type with each column: ``user_id:token``, ``genre:token_seq``, ``rating:float``, ``vector:float_seq``;
values of a sequence are separated by blanks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sslplug.contracts import Faults, Reading, Refused
from sslplug.contracts.tables import Table, read_table

TYPED = (".inter", ".item", ".user")
SUFFIXES = (".parquet", ".csv", ".tsv", *TYPED)
TYPES = ("token", "token_seq", "float", "float_seq")


@dataclass(frozen=True, eq=False)
class OwnTable:
    """A table, and {column: type} where the heading names types."""

    table: Table
    types: Mapping[str, str] = field(default_factory=dict)


def read_own(file: Path) -> Reading[OwnTable]:
    """The table of a file with at least one row."""
    if file.suffix not in SUFFIXES:
        raise Refused(
            Faults(
                "unknown-format",
                str(file),
                file.suffix or "no suffix",
                ".parquet, .csv, .tsv, or RecBole's .inter, .item, .user (interactions also in LightGCN's .txt)",
                "Export it so.",
            )
        )
    typed = file.suffix in TYPED
    table = yield from read_table(file, "," if file.suffix == ".csv" else "\t", quotes=not typed)
    if not len(table):
        raise Refused(
            Faults("no-rows", table.file, "no row", "one row an interaction, a user or an item", "Export it again.")
        )
    return (yield from _types(table)) if typed else OwnTable(table)


def _types(table: Table) -> Reading[OwnTable]:
    names, types = [], {}
    for heading in table.content.column_names:
        name, colon, kind = heading.rpartition(":")
        if not colon or kind not in TYPES:
            yield Faults(
                "untyped-heading",
                table.file,
                f"the heading {heading!r}",
                f"name:type with a type of {', '.join(TYPES)}, columns separated by tabs",
                "Add the type.",
                column=heading,
            )
            name, kind = (name or heading), "token"
        if kind == "float_seq":
            yield Faults(
                "vector",
                table.file,
                "a column of vectors",
                "words, numbers or lists of words",
                "Its numbers are read as words; leave it out, or give one column a number.",
                column=name,
                harmless=True,
            )
        names.append(name)
        types[name] = kind
    return OwnTable(replace(table, content=table.content.rename_columns(names)), types)
