"""What is done to node features before anything is trained. No label takes part."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import sparse

from sslplug.errors import DataError
from sslplug_graph.data.graph_set import FloatMatrix

Scaling = Literal["row-normalised", "raw", "standardised"]
MOST_DENSE_BYTES = 2**31


def scale(features: FloatMatrix, how: Scaling) -> FloatMatrix:
    """Features (N, F) as float32.

    row-normalised  each row divided by its sum (rows that sum to 0 stay), as in GRACE and DGI
    raw             as read
    standardised    each column to mean 0 and deviation 1 over all nodes (constant columns to 0), as in BGRL on WikiCS;
                    sparse features become dense
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
    if 4 * features.shape[0] * features.shape[1] > MOST_DENSE_BYTES:
        raise DataError(f"standardised features {features.shape} would need over 2 GiB; use features: row-normalised.")
    dense = features.toarray() if sparse.issparse(features) else features
    centred = dense - dense.mean(0, dtype=np.float64)
    spread = centred.std(0)
    scaled: np.ndarray = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12).astype(np.float32)
    return scaled
