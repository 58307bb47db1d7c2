"""What a table's rows are called: the column that names them, where there is one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sslplug_tabular.data.source import TableSource
from sslplug_tabular.data.types import NAMING, ColumnType
from sslplug_tabular.data.words import as_words, plain


def naming_column(types: Sequence[ColumnType]) -> str | None:
    """The first column that was set aside because it names the rows."""
    return next((c.name for c in types if c.kind == "ignore" and c.why.startswith(NAMING)), None)


def row_names(source: TableSource, column: str | None) -> pa.Array:
    """(n,) words of ``column`` where it is there and names every row once, else the rows' numbers in the file, from 1 on."""
    if column in source.names:
        words = as_words(plain(source.columns([column])[column].combine_chunks()))
        if not words.null_count and pc.count_distinct(words).as_py() == len(words):
            return words
    return pa.array(source.told(np.arange(source.rows))).cast(pa.string())
