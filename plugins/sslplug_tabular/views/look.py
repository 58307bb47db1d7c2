"""A view of a batch as it is, with the labels that its rows may show."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from sslplug.contracts import Target, View
from sslplug_tabular.batch import Rows


def look(
    batch: Rows,
    data: Rows | None = None,
    mask: Tensor | None = None,
    targets: Mapping[str, Target] | None = None,
    params: Mapping[str, Tensor] | None = None,
) -> View:
    """A view of ``batch`` that shows ``data`` (the batch itself, where None) but for the cells in ``mask`` (n, D).

    The target "label" is there when the batch carries labels: (k,) classes, or (k, 1) numbers.
    """
    named = dict(targets or {})
    if batch.labels is not None and batch.labelled is not None:
        values = batch.labels[:, None] if batch.labels.is_floating_point() else batch.labels
        named["label"] = Target("row", values, batch.labelled)
    return View(
        batch if data is None else data,
        mask={} if mask is None else {"cell": mask.flatten()},
        targets=named,
        params=dict(params or {}),
    )
