"""Raw features: what models see that use no encoder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class RawFeatures:
    """What the boosted trees and the raw heads see of a level's rows.

    values       (n, f) float array, NaN where a value is missing; or scipy CSR
    categorical  numbers of the columns that hold integer category codes (NaN = missing), in increasing order; none in CSR
    """

    values: np.ndarray | sparse.csr_matrix
    categorical: tuple[int, ...] = ()
