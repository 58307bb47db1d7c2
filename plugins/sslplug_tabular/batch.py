"""The plugin's one batch type: some rows of a table, encoded.

Letters: n rows, num numeric columns, cat categorical columns, D = num + cat. Column c is numeric column c where c < num, else
categorical column c - num.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sslplug.errors import DataError


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a table. Immutable; make variants with :func:`dataclasses.replace`.

    numeric   (n, num) float32, scaled; 0.0 (the scaled centre) where missing
    missing   (n, num) bool: the numeric value is missing
    codes     (n, cat) int64: 0 = missing, 1 = unseen or other, 2.. = the known categories
    index     (n,) int64: row number in the whole data
    labels    (k,) training labels of the rows ``labelled`` (int64 classes or float32 numbers), only where ``Order.labels``
              asked for them
    labelled  (k,) int64: positions in this batch that have a label
    columns   (n, w) int64: numbers of the columns that are present, row by row; None: all columns in order

    Raises DataError for wrong shapes and dtypes.
    """

    numeric: Tensor
    missing: Tensor
    codes: Tensor
    index: Tensor
    labels: Tensor | None = None
    labelled: Tensor | None = None
    columns: Tensor | None = None

    def __post_init__(self) -> None:
        n = self.index.shape[0] if self.index.ndim else -1
        numeric, codes = self.numeric, self.codes
        for name, tensor, shape, kind in (
            ("index", self.index, (n,), torch.int64),
            ("numeric", numeric, (n, numeric.shape[-1]), torch.float32),
            ("missing", self.missing, (n, numeric.shape[-1]), torch.bool),
            ("codes", codes, (n, codes.shape[-1]), torch.int64),
        ):
            if tensor.dtype != kind or tensor.shape != shape:
                raise DataError(f"Rows.{name} is {tuple(tensor.shape)} {tensor.dtype}; expected {shape} {kind}.")
        if (self.labels is None) != (self.labelled is None):
            raise DataError("Rows.labels and Rows.labelled come together; one of them is None.")
        if (
            self.labels is not None
            and self.labelled is not None
            and (self.labelled.dtype != torch.int64 or self.labels.shape != self.labelled.shape or self.labels.ndim != 1)
        ):
            raise DataError(
                f"Rows.labels is {tuple(self.labels.shape)}, Rows.labelled {tuple(self.labelled.shape)} "
                f"{self.labelled.dtype}; expected (k,) and (k,) int64."
            )
        if self.columns is not None and (self.columns.dtype != torch.int64 or len(self.columns) != n):
            raise DataError(f"Rows.columns is {tuple(self.columns.shape)} {self.columns.dtype}; expected ({n}, w) int64.")

    @property
    def n(self) -> int:
        """Rows."""
        return int(self.index.shape[0])

    @property
    def num(self) -> int:
        """Numeric columns."""
        return int(self.numeric.shape[1])

    @property
    def cat(self) -> int:
        """Categorical columns."""
        return int(self.codes.shape[1])

    @property
    def device(self) -> torch.device:
        """Where the rows lie."""
        return self.index.device

    def to(self, device: torch.device | str) -> Rows:
        """The same rows on ``device``."""
        return replace(
            self,
            numeric=self.numeric.to(device),
            missing=self.missing.to(device),
            codes=self.codes.to(device),
            index=self.index.to(device),
            labels=None if self.labels is None else self.labels.to(device),
            labelled=None if self.labelled is None else self.labelled.to(device),
            columns=None if self.columns is None else self.columns.to(device),
        )

    def take(self, positions: Tensor) -> Rows:
        """The rows at ``positions`` (m,) int64, in that order; repeats are allowed. Their labels come along."""
        labels, labelled = self.labels, self.labelled
        if labels is not None and labelled is not None:
            place = torch.full((self.n,), -1, dtype=torch.int64, device=self.device)
            place[labelled] = torch.arange(len(labelled), device=self.device)
            found = place[positions]
            labelled = torch.nonzero(found >= 0)[:, 0]
            labels = labels[found[labelled]]
        return Rows(
            self.numeric[positions],
            self.missing[positions],
            self.codes[positions],
            self.index[positions],
            labels,
            labelled,
            None if self.columns is None else self.columns[positions],
        )
