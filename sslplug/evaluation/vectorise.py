"""Raw features as the numbers a probe needs, by statistics of the training rows alone: no test row, no label is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse
from sklearn.preprocessing import QuantileTransformer

from sslplug.contracts import RawFeatures
from sslplug.errors import DataError

Numerics = Literal["quantile", "standard"]

_MOST_CATEGORIES = 64
_FEWEST_VALUES = 10
_LARGEST_DENSE = 400_000_000


@dataclass(frozen=True)
class _Codes:
    """One categorical column: the commonest codes in the training rows; whether missing values were among them."""

    column: int
    known: np.ndarray
    missing: bool

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(n, known + 1 [+ 1]) one-hot: the known codes, every other code together, and missing."""
        absent = ~(values >= 0)  # NaN compares false
        place = np.clip(np.searchsorted(self.known, values), 0, len(self.known) - 1)
        place = np.where(self.known[place] == values, place, len(self.known))
        hot = np.zeros((len(values), len(self.known) + 1 + self.missing), dtype=np.float32)
        rows = np.flatnonzero(~absent)
        hot[rows, place[rows]] = 1.0
        if self.missing:
            hot[absent, -1] = 1.0
        return hot


@dataclass(frozen=True)
class Vectoriser:
    """Fitted on training rows by :func:`fit_vectoriser`.

    numeric    numbers of the numeric columns;  centre, scale: their training mean and spread, missing values left out
    quantiles  the numeric columns (places in ``numeric``) that are mapped to a normal by their quantiles, and the fitted map
    indicated  places in ``numeric`` that had missing values among the training rows
    codes      one entry a categorical column
    """

    numeric: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    quantiles: np.ndarray
    mapping: QuantileTransformer | None
    indicated: np.ndarray
    codes: tuple[_Codes, ...]

    def __call__(self, x: RawFeatures) -> np.ndarray:
        """(n, f') float32: numerics, indicators of missing numerics, one-hot categories. Missing numerics stand at the centre."""
        values = _dense(x)
        numbers = values[:, self.numeric].astype(np.float64)
        absent = np.isnan(numbers)
        scaled = (numbers - self.centre) / self.scale
        if self.mapping is not None:
            scaled[:, self.quantiles] = self.mapping.transform(numbers[:, self.quantiles])
        scaled[absent] = 0.0
        parts = [scaled.astype(np.float32), absent[:, self.indicated].astype(np.float32)]
        return np.concatenate([*parts, *(codes(values[:, codes.column]) for codes in self.codes)], axis=1)


def fit_vectoriser(train: RawFeatures, numerics: Numerics, seed: int) -> Vectoriser:
    """The transform of raw features, fitted on training rows.

    numerics  "quantile": ranks among the training rows mapped to a normal, at most a thousand quantiles, 30 rows each
              (Gorishniy et al. 2021, section 4.2); columns with fewer than 10 different values are standardised.
              "standard": all are.

    A categorical column keeps its 64 commonest codes; rarer ones and codes unseen in training share a column.
    Raises DataError for infinite values and for CSR rows that do not fit in memory as dense ones.
    """
    values = _dense(train)
    numeric = np.setdiff1d(np.arange(values.shape[1]), np.asarray(train.categorical, dtype=np.int64))
    numbers = values[:, numeric].astype(np.float64)
    present = ~np.isnan(numbers)
    count = np.maximum(present.sum(axis=0), 1)
    centre = np.where(present, numbers, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(present, numbers - centre, 0.0) ** 2).sum(axis=0) / count)
    scale = np.where(spread > 1e-12 * (1.0 + np.abs(centre)), spread, 1.0)
    chosen, mapping = np.zeros(0, dtype=np.int64), None
    if numerics == "quantile":
        different = [len(np.unique(column[~np.isnan(column)])) for column in numbers.T]
        chosen = np.flatnonzero(np.asarray(different, dtype=np.int64) >= _FEWEST_VALUES)
    if len(chosen):
        quantiles = min(len(values), max(min(len(values) // 30, 1000), 10))
        mapping = QuantileTransformer(
            n_quantiles=quantiles, output_distribution="normal", subsample=1_000_000_000, random_state=seed
        ).fit(numbers[:, chosen])
    codes = tuple(_codes(values[:, column], int(column)) for column in train.categorical)
    return Vectoriser(numeric, centre, scale, chosen, mapping, np.flatnonzero(~present.all(axis=0)), codes)


def _codes(values: np.ndarray, column: int) -> _Codes:
    held = values[values >= 0]
    known, counts = np.unique(held, return_counts=True)
    kept = np.sort(known[np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]])
    return _Codes(column, kept if len(kept) else np.array([-1.0]), len(held) < len(values))


def _dense(x: RawFeatures) -> np.ndarray:
    if sparse.issparse(x.values):
        rows, columns = x.values.shape
        if rows * columns > _LARGEST_DENSE:
            raise DataError(
                f"Raw features are a sparse {rows} x {columns} matrix, too large for a probe that needs dense rows; "
                "set evaluate.probes_on_raw=false (LightGBM takes them as they are)."
            )
        return np.asarray(x.values.toarray())
    values = np.asarray(x.values)
    bad = np.argwhere(np.isinf(values))
    if len(bad):
        raise DataError(
            f"Raw features hold {len(bad)} infinite values, first in row {bad[0][0]}, column {bad[0][1]}; "
            "a missing value must be NaN."
        )
    return values
