"""What a batch becomes before an encoder sees it: views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from sslplug.errors import DataError
from sslplug.randomness import Rng

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Target:
    """What some rows of a level should be predicted as.

    level   the embedding level that predicts
    values  (m, ...) what to predict: float (m, k) for regression or reconstruction, int64 (m,) for classes
    rows    which rows of the level speak: int64 (m,), or (m, k) when k rows together predict one value (a pair of nodes for an
            edge). None: row i predicts values[i]. This one field serves masked tokens, partly labelled rows and pairwise
            pretexts.
    """

    level: str
    values: Tensor
    rows: Tensor | None = None

    def __post_init__(self) -> None:
        if self.rows is not None and (self.rows.dtype != torch.int64 or len(self.rows) != len(self.values)):
            raise DataError(
                f"Target at level {self.level!r}: rows are {tuple(self.rows.shape)} {self.rows.dtype} for "
                f"{len(self.values)} values; expected int64 rows, one (or one tuple) a value."
            )

    def to(self, device: torch.device | str) -> Target:
        """The same target on ``device``."""
        rows = None if self.rows is None else self.rows.to(device)
        return replace(self, values=self.values.to(device), rows=rows)


@dataclass(frozen=True)
class View:
    """One transformed look at a batch. Immutable, and what it holds is never edited in place.

    data     the plugin's own batch type, opaque to the engine; it has ``.to(device)``
    ids      {level: (n,) int64}: the instance behind each embedding row of that level. Rows with equal ids, in any view, are
             positives. An absent level means "row i of every view is the same instance" (nothing to match). The one field
             serves dropped nodes, cropped clouds, k slices of one customer, devices at one time and repeated items. Ids are
             unique over the whole data, so micro-batches and ranks can be joined.
    mask     {level: (n,) bool}: tokens hidden from the encoder (True = hidden)
    targets  {name: Target}: what a masked, predictive, pretext or supervised method must predict
    params   {name: tensor}: the transformation really applied (angles, offsets), for equivariant objectives
    role     which branch this view is for, where branches differ: "user" and "item" towers, "context" and "target" of a latent
             prediction, "negative" for a corrupted view. "" where all views are alike.
    """

    data: Any
    ids: Mapping[str, Tensor] = field(default_factory=lambda: _NOTHING)
    mask: Mapping[str, Tensor] = field(default_factory=lambda: _NOTHING)
    targets: Mapping[str, Target] = field(default_factory=lambda: _NOTHING)
    params: Mapping[str, Tensor] = field(default_factory=lambda: _NOTHING)
    role: str = ""

    def __post_init__(self) -> None:
        for level, ids in self.ids.items():
            if ids.dtype != torch.int64 or ids.ndim != 1:
                raise DataError(f"View.ids[{level!r}] is {tuple(ids.shape)} {ids.dtype}; expected (n,) int64.")
        for level, mask in self.mask.items():
            if mask.dtype != torch.bool or mask.ndim != 1:
                raise DataError(f"View.mask[{level!r}] is {tuple(mask.shape)} {mask.dtype}; expected (n,) bool.")

    def to(self, device: torch.device | str) -> View:
        """The same view on ``device``."""
        return View(
            self.data.to(device),
            {k: v.to(device) for k, v in self.ids.items()},
            {k: v.to(device) for k, v in self.mask.items()},
            {k: v.to(device) for k, v in self.targets.items()},
            {k: v.to(device) for k, v in self.params.items()},
            self.role,
        )


@runtime_checkable
class Views(Protocol):
    """Makes views of a batch: ``views(batch, rng) -> list[View]``.

    - Never writes into the batch. The same ``rng`` gives the same views. Global random state is neither read nor changed.
    - Every rate is the share that is changed; rate 0 is the identity.
    - The number and the roles of the views do not depend on the batch.
    - Works on the batch's own device, vectorised.
    - View v takes its randomness from ``rng.fork("view", v)``.

    ``rates`` declares, for the conformance kit, what is changed: {name: share}, empty where there is nothing to measure.
    """

    @property
    def rates(self) -> Mapping[str, float]:
        """Declared rates, {what is changed: share}."""
        ...

    def __call__(self, batch: Any, rng: Rng) -> list[View]:
        """The views of ``batch``."""
        ...
