"""A Parquet file larger than memory: row groups are decoded when a batch needs them, and forgotten after.

An epoch shuffles the row groups, joins neighbours in that order to windows of at most ``WINDOW`` rows (a larger group is a
window of its own), and shuffles the rows within each window. Both shuffles are functions of (seed, epoch) alone, so a batch is
a function of (order, step); what is kept from step to step is only the window that was decoded last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from sslplug.contracts import Order, RawFeatures, Task, View, finished
from sslplug.contracts.tables import Table
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.data.batches import Batches, bounds, with_labels
from sslplug_tabular.data.naming import row_names
from sslplug_tabular.data.prepare import Prepared, to_rows
from sslplug_tabular.data.table_data import ROWS_PER_VIEW
from sslplug_tabular.raw_features import raw_table

WINDOW = 262_144
"""Most rows that are shuffled together, unless one row group holds more."""
MOST_RAW_BYTES = 4 * 2**30
"""Raw features beyond this are refused: boosted trees need them in memory at once."""


class StreamedTable:
    """See :class:`sslplug.contracts.DomainData`. Memory: one window (or row group), encoded, and the task's labels."""

    level = "row"

    def __init__(self, prepared: Prepared) -> None:
        self.spec, self.tasks = prepared.spec, prepared.tasks
        self.description, self.fitted = prepared.description, prepared.fitted
        self._naming = prepared.naming
        self._source, self._encoding, self._allowed = prepared.source, prepared.encoding, prepared.allowed
        self._cut = np.searchsorted(self._allowed, self._source.starts)
        self._held: tuple[tuple[int, int, int], Rows] | None = None

    @property
    def names(self) -> Mapping[str, Sequence[str]]:
        """What the rows are called, read when asked for; see :func:`sslplug_tabular.data.naming.row_names`."""
        return {"row": row_names(self._source, self._naming).to_pylist()}

    def batches(self, order: Order) -> Sequence[Rows]:
        """Allowed rows, shuffled as the module says, ``order.batch_size`` at a time over all ranks; see :func:`bounds`."""
        found = bounds(order, len(self._allowed))
        windows = self._windows(order)
        ends = np.cumsum([sum(self._cut[g + 1] - self._cut[g] for g in window) for window in windows])

        def make(step: int) -> Rows:
            low, high = found[step]
            parts = []
            for number in range(int(np.searchsorted(ends, low, "right")), len(windows)):
                start = int(ends[number - 1]) if number else 0
                if start >= high:
                    break
                window = self._window(order, number, windows[number])
                parts.append(window.take(torch.arange(max(low - start, 0), min(high - start, window.n))))
            return with_labels(_joined(parts), order.labels)

        return Batches(make, len(found))

    def rows(self) -> Iterator[View]:
        """All rows in order, 1024 a view."""
        for piece in range(len(self._source.starts) - 1):
            for values, codes, index in self._decoded(piece):
                for start in range(0, len(index), ROWS_PER_VIEW):
                    cut = slice(start, start + ROWS_PER_VIEW)
                    rows = to_rows(self._encoding, values[cut], codes[cut], index[cut])
                    yield View(rows, ids={"row": rows.index.clone()})

    def raw_features(self, task: Task) -> RawFeatures:
        """See :func:`sslplug_tabular.raw_features.raw_table`. DataError where they would not fit into memory."""
        if task.level != self.level:
            raise DataError(f"Task {task.name!r} judges {task.level!r} rows; a table has raw features of its rows alone.")
        size = 8 * self._source.rows * self.spec.width
        if size > MOST_RAW_BYTES:
            raise DataError(
                f"{self._source.where}: raw features of {self._source.rows} rows x {self.spec.width} columns need "
                f"{size / 2**30:.1f} GiB at once; set evaluate.controls: false, or judge on a smaller file of these columns."
            )
        parts = [part for piece in range(len(self._source.starts) - 1) for part in self._decoded(piece)]
        return raw_table(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))

    def _windows(self, order: Order) -> list[list[int]]:
        """Row groups in shuffled order, joined until a window has enough rows; groups without an allowed row are left out."""
        shuffled = Rng.root(order.seed).fork("groups", order.epoch).numpy().permutation(len(self._cut) - 1)
        windows: list[list[int]] = []
        size = WINDOW
        for group in map(int, shuffled):
            count = int(self._cut[group + 1] - self._cut[group])
            if not count:
                continue
            if size + count > WINDOW and size:
                windows.append([])
                size = 0
            windows[-1].append(group)
            size += count
        return windows

    def _window(self, order: Order, number: int, groups: list[int]) -> Rows:
        """The window's allowed rows, encoded and shuffled."""
        key = (order.seed, order.epoch, number)
        if self._held is None or self._held[0] != key:
            self._held = None  # before the next window is decoded, so that two are never held
            generator = Rng.root(order.seed).fork("window", order.epoch, number).torch()
            total = sum(int(self._cut[g + 1] - self._cut[g]) for g in groups)
            self._held = key, self._encoded(groups, torch.randperm(total, generator=generator))
        return self._held[1]

    def _encoded(self, groups: list[int], places: torch.Tensor) -> Rows:
        """The allowed rows of row groups: the i-th of them at ``places[i]``."""
        total, spec = len(places), self.spec
        found = Rows(
            torch.empty(total, len(spec.numeric)),
            torch.empty(total, len(spec.numeric), dtype=torch.bool),
            torch.empty(total, len(spec.categorical), dtype=torch.int64),
            torch.empty(total, dtype=torch.int64),
        )
        done = 0
        for group in groups:
            for values, codes, index in self._decoded(group):
                low, high = np.searchsorted(self._allowed, (index[0], index[-1] + 1))
                keep = self._allowed[low:high] - index[0]
                part = to_rows(self._encoding, values[keep], codes[keep], index[keep])
                at = places[done : done + len(keep)]
                for whole, piece in (
                    (found.numeric, part.numeric),
                    (found.missing, part.missing),
                    (found.codes, part.codes),
                    (found.index, part.index),
                ):
                    whole[at] = piece
                done += len(keep)
        return found

    def _decoded(self, piece: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """(values, codes, row numbers) of the parts of one row group."""
        for start, table in self._source.piece(piece, self._encoding.sources):
            index = np.arange(start, start + table.num_rows)
            part = Table(self._source.where, table, self._source.told(index))
            yield *finished(self._encoding.decode(part)), index


def _joined(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    return Rows(
        torch.cat([part.numeric for part in parts]),
        torch.cat([part.missing for part in parts]),
        torch.cat([part.codes for part in parts]),
        torch.cat([part.index for part in parts]),
    )
