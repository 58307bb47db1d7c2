"""What boosted trees see: the table itself, unscaled, missing values left missing, categories as codes."""

from __future__ import annotations

import numpy as np

from sslplug.contracts import RawFeatures


def raw_table(values: np.ndarray, codes: np.ndarray) -> RawFeatures:
    """Unscaled numerics, then category codes.

    values  (n, num) float64, NaN where missing
    codes   (n, cat) int: 0 = missing, 1 = unseen or other, 2.. = the known categories

    A code c >= 1 becomes c - 1 (0 = unseen or other), 0 becomes NaN: LightGBM takes such columns as they are, and scales
    mean nothing to a tree.
    """
    found = np.empty((len(values), values.shape[1] + codes.shape[1]), np.float64)
    found[:, : values.shape[1]] = values
    found[:, values.shape[1] :] = np.where(codes == 0, np.nan, codes - 1.0)
    return RawFeatures(found, tuple(range(values.shape[1], found.shape[1])))
