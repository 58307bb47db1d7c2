"""Reading one level's rows and their ids from views and embeddings."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from sslplug.contracts import View
from sslplug.errors import DataError, UsageError


def ids_of(views: Sequence[View], level: str) -> list[Tensor] | None:
    """The ids of ``level`` in every view, or None when no view has them (row i is row i).

    Raises DataError when only some views have ids: rows could not be matched.
    """
    found = [view.ids.get(level) for view in views]
    given = [ids for ids in found if ids is not None]
    if not given:
        return None
    if len(given) != len(found):
        missing = [number for number, ids in enumerate(found) if ids is None]
        raise DataError(
            f"Views {missing} have no ids of level {level!r} while others have; either all views carry ids of a level or none."
        )
    return given


def select(views: Sequence[View], roles: Sequence[str], fewest: int) -> list[View]:
    """The views with one of ``roles`` (all but role "negative" when none is named); UsageError when fewer than ``fewest``."""
    chosen = [view for view in views if (view.role in roles if roles else view.role != "negative")]
    if len(chosen) < fewest:
        have = ", ".join(repr(view.role) for view in views) or "none"
        raise UsageError(
            f"The method compares at least {fewest} views but found {len(chosen)}; roles of the views made: {have}. "
            "Choose views that make more, or set method.roles to roles that exist."
        )
    return chosen


def take(values: Tensor, rows: Tensor | None) -> Tensor:
    """``values[rows]``; tuples of rows (m, k) become the product of their embeddings (the usual edge operator)."""
    if rows is None:
        return values
    picked = values[rows]
    return picked if rows.ndim == 1 else picked.prod(dim=1)
