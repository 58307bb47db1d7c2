"""What every objective asks of the embeddings it is given, and the precision it computes in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslplug.errors import DataError, UsageError


def exactly(x: Tensor) -> torch.autocast:
    """A scope in which autocast is off on ``x``'s device: statistics and exponentials need float32."""
    return torch.autocast(x.device.type, enabled=False)


def wide(x: Tensor) -> Tensor:
    """``x`` in float32 at least: half precision is widened, float32 and float64 stay."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def checked(
    name: str,
    views: Sequence[Tensor],
    *,
    most: int | None = None,
    matched: bool = True,
    least_rows: int = 1,
) -> list[Tensor]:
    """The views in float32 at least, or an error in the objective's ``name``.

    matched     row i of every view is the same instance, so all views have one shape
    least_rows  fewer rows on this rank than this are refused
    Raises UsageError for a wrong number of views, DataError for wrong shapes or too few rows.
    """
    if len(views) < 2 or (most is not None and len(views) > most):
        wanted = "two or more" if most is None else "2" if most == 2 else f"2 to {most}"
        raise UsageError(f"Objective {name!r} got {len(views)} views; expected {wanted}. Choose views that bring as many.")
    for number, view in enumerate(views):
        if view.ndim != 2:
            raise DataError(f"Objective {name!r}: view {number} has shape {tuple(view.shape)}; expected (rows, width).")
        if view.shape[1] != views[0].shape[1] or (matched and len(view) != len(views[0])):
            what = "as many rows and the same width" if matched else "the same width"
            raise DataError(
                f"Objective {name!r}: view {number} has shape {tuple(view.shape)}, view 0 has {tuple(views[0].shape)}; "
                f"expected {what}. Views that drop rows need an objective that matches them by ids."
            )
        if len(view) < least_rows:
            raise DataError(
                f"Objective {name!r}: view {number} has {len(view)} rows; it is defined for {least_rows} or more. "
                "Use a larger batch, or drop the last incomplete one."
            )
    return [wide(view) for view in views]


def matched_by_row(name: str, views: Sequence[Tensor], ids: Sequence[Tensor] | None) -> list[Tensor]:
    """The views with row i of each the same instance: as they are without ids, else the rows whose id is in every view.

    An id must name at most one row of each view; -1 names none. Raises DataError where an id repeats or nothing matches.
    """
    if ids is None or all(one is ids[0] or (one.shape == ids[0].shape and torch.equal(one, ids[0])) for one in ids[1:]):
        # Equal ids everywhere: rows already correspond; rows that match nothing are left out.
        if ids is None or bool((ids[0] >= 0).all()):
            return list(views)
        return [view[ids[0] >= 0] for view in views]
    shared = ids[0][ids[0] >= 0]
    for number, one in enumerate(ids):
        known = one[one >= 0]
        if len(torch.unique(known)) != len(known):
            raise DataError(
                f"Objective {name!r}: view {number} holds an id twice, but it compares rows one to one. "
                "Choose an objective that takes any number of positives (infonce, metric_learning)."
            )
        shared = shared[torch.isin(shared, known)]
    if not len(shared):
        raise DataError(f"Objective {name!r}: no id is in all {len(views)} views. Check that the views keep common rows.")
    rows = []
    for view, one in zip(views, ids, strict=True):
        ordered, where = one.sort()
        rows.append(view[where[torch.searchsorted(ordered, shared)]])
    return rows
