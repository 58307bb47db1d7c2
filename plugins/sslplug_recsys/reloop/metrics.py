"""AUC of clicks: over all impressions, and within users weighted by their impressions."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from sslplug.errors import DataError


def auc(click: np.ndarray, score: np.ndarray) -> float:
    """The chance that a clicked impression is scored above one that was not; ties count half. DataError for one class
    alone."""
    return grouped_auc(click, score, np.zeros(len(click), np.int64))


def grouped_auc(click: np.ndarray, score: np.ndarray, group: np.ndarray) -> float:
    """gAUC: the AUC within each group, averaged with the groups' impressions as weights; groups of one class are left out.

    Raises DataError where no group has both.
    """
    _, row = np.unique(group, return_inverse=True)
    # Ranks within a group: those of all, sorted by (group, score), ties averaged, less what lies before the group.
    dense = rankdata(score, method="dense")
    rank = rankdata(row * (float(dense.max()) + 1.0) + dense)
    size = np.bincount(row)
    rank -= (np.cumsum(size) - size)[row]
    good = np.bincount(row, click)
    bad = size - good
    both = (good > 0) & (bad > 0)
    if not both.any():
        raise DataError("AUC: no group holds both clicked and other impressions; give more of them, or coarser groups.")
    above = np.bincount(row, rank * click) - good * (good + 1) / 2
    return float(np.average(above[both] / (good[both] * bad[both]), weights=size[both]))
