"""What is done to node features before anything is trained. No label takes part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from scipy import sparse

from sslplug.errors import DataError
from sslplug_graph.data.graph_set import FloatMatrix

Scaling = Literal["row-normalised", "raw", "standardised"]
MOST_DENSE_BYTES = 2**31


def fit(features: FloatMatrix, how: Scaling) -> dict[str, Any]:
    """What ``scale`` must know of the data that is trained on: column means and deviations where it standardises, else nothing.

    Plain numbers, so that a run can keep them for the data it embeds later.
    """
    if how != "standardised":
        return {}
    dense = _dense(features)
    mean = dense.mean(0, dtype=np.float64)
    return {"mean": mean.tolist(), "deviation": (dense - mean).std(0).tolist()}


def scale(features: FloatMatrix, how: Scaling, fitted: Mapping[str, Any]) -> FloatMatrix:
    """Features (N, F) as float32.

    row-normalised  each row divided by its sum (rows that sum to 0 stay), as in GRACE and DGI
    raw             as read
    standardised    each column to mean 0 and deviation 1 over all nodes of the data in ``fitted`` (columns that are constant
                    there to 0), as in BGRL on WikiCS; sparse features become dense

    Raises DataError where ``fitted`` is not that of standardised features of this width.
    """
    if how == "raw":
        return features
    if how == "row-normalised":
        total = np.asarray(features.sum(1), np.float64).ravel()
        factor = np.divide(1.0, total, out=np.ones_like(total), where=total != 0).astype(np.float32)
        normalised: FloatMatrix = (
            sparse.diags(factor, format="csr") @ features if sparse.issparse(features) else features * factor[:, None]
        )
        return normalised
    if "mean" not in fitted:
        raise DataError(
            "data.features is standardised, but the encoder was trained on features that were not; use its own data options."
        )
    mean, spread = np.array(fitted["mean"]), np.array(fitted["deviation"])
    if features.shape[1] != len(mean):
        raise DataError(
            f"There are {features.shape[1]} node features; the encoder was trained on {len(mean)}. Give the same."
        )
    centred = _dense(features) - mean
    scaled: np.ndarray = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12).astype(np.float32)
    return scaled


def _dense(features: FloatMatrix) -> np.ndarray:
    if 4 * features.shape[0] * features.shape[1] > MOST_DENSE_BYTES:
        raise DataError(f"standardised features {features.shape} would need over 2 GiB; use features: row-normalised.")
    dense: np.ndarray = features.toarray() if sparse.issparse(features) else features
    return dense
