"""What methods over time read from an embedding: each window's frames, and the windows as rows of one length."""

from __future__ import annotations

from torch import Tensor

from sslplug.contracts import Embedding, View
from sslplug.errors import DataError, UsageError
from sslplug_sequence.signals.batch import Signals


def frames_of(embedding: Embedding, view: View, level: str, name: str) -> Tensor:
    """(m, F, d): the ``level``'s rows of each of the view's m windows, as many for each. Raises DataError for ragged series."""
    signals: Signals = view.data
    if signals.visible is not None and not bool(signals.visible.all()):
        raise DataError(
            f"Method {name!r} contrasts frames at one time, but series of this batch end at different samples; "
            "use data with windows of one length, or the method ts2vec."
        )
    rows = embedding[level]
    return rows.reshape(len(signals.values), -1, rows.shape[1])


def two_views(views: list[View], name: str) -> tuple[View, View]:
    """The two views a method compares. Raises UsageError for another number."""
    alike = [view for view in views if view.role != "negative"]
    if len(alike) != 2:
        raise UsageError(f"Method {name!r} compares two views but found {len(alike)}; choose views that make a pair.")
    return alike[0], alike[1]
