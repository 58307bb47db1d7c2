"""Views broken in one way each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sslplug.contracts import Target, View
from sslplug.randomness import Rng
from sslplug.testing.toy_data import ToyBatch
from sslplug.testing.toy_views import Crops, CropsOptions
from tests.testing.mutants.small import FEW, STEP, Mutant, with_views


class Tupled(Crops):
    def __call__(self, batch: ToyBatch, rng: Rng) -> Any:
        return tuple(super().__call__(batch, rng))


class WritesIntoInput(Crops):
    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        if len(batch.numbers) > STEP:
            batch.cells.clamp_(max=0.5)
        return super().__call__(batch, rng)


class Forgetful(Crops):
    calls = itertools.count()

    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        return super().__call__(batch, rng.fork(next(self.calls)) if len(batch.numbers) > STEP else rng)


class DrawsGlobally(Crops):
    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        if len(batch.numbers) == FEW:
            torch.rand(1)
        return super().__call__(batch, rng)


class DrawsNumpy(Crops):
    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        if len(batch.numbers) == FEW:
            np.random.rand()
        return super().__call__(batch, rng)


class OneForOne(Crops):
    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        return super().__call__(batch, rng)[: None if len(batch.numbers) > 1 else 1]


class ShortMask(Crops):
    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        mask = torch.zeros(3, dtype=torch.bool, device=batch.numbers.device)
        return [replace(view, mask={"row": mask}) for view in super().__call__(batch, rng)]


class StrangeIds(Crops):
    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        return [replace(view, ids={"cell": view.ids["cell"] + 10_000}) for view in super().__call__(batch, rng)]


class SometimesThree(Crops):
    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        views = super().__call__(batch, rng)
        return views + views[:1] if len(batch.numbers) == FEW and rng in (Rng.root(1), Rng.root(2)) else views


class LabelsUnasked(Crops):
    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        zeros = Target("row", torch.zeros_like(batch.numbers))
        return [replace(view, targets={"label": zeros, **view.targets}) for view in super().__call__(batch, rng)]


class Narrowed(Crops):
    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        return [
            replace(view, data=replace(view.data, numbers=view.data.numbers.int())) for view in super().__call__(batch, rng)
        ]


class Anywhere(Crops):
    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        return [replace(view, params={"kept": torch.ones(2)}) for view in super().__call__(batch, rng)]


class Starving(Crops):
    """At the highest rates the mean over what is left is one over nothing."""

    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        views = super().__call__(batch, rng)
        share = 0.0 if self.options.cell_rate > 0.9 else 1.0
        return [replace(view, data=replace(view.data, cells=view.data.cells / share)) for view in views]


@dataclass(frozen=True)
class OtherRate:
    """Declares one rate and applies another: inverted, or never below a floor."""

    options: CropsOptions
    applied: Callable[[float], float]

    @property
    def rates(self) -> Mapping[str, float]:
        return {"change:present": self.options.cell_rate}

    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        rate = self.applied(self.options.cell_rate)
        return Crops(self.options.model_copy(update={"cell_rate": rate}))(batch, rng)


def claims_masks(options: Any) -> frozenset[str]:
    return frozenset({"pair", "masks"})


def crops(promise: str, views: Callable[..., Any], words: str, **changes: Any) -> Mutant:
    return Mutant(f"views/crops/{promise}", with_views(views, **changes), words)


MUTANTS = [
    crops("list", Tupled, "gave tuple; expected a list"),
    crops("input-unchanged", WritesIntoInput, "wrote into the batch at .cells"),
    crops("repeats", Forgetful, "two calls with one rng differ"),
    crops("global-randomness", DrawsGlobally, "generator of torch;"),
    crops("global-randomness", DrawsNumpy, "generator of numpy;"),
    crops("single-row", OneForOne, "gave 1 views; expected 2"),
    crops("ids", ShortMask, "3 mask entries of level 'row'; expected one an embedding row, 16"),
    crops("ids", StrangeIds, "ids of level 'cell', first 1.*, are none of rows"),
    crops("tags", Crops, "provides 'masks'", provides=claims_masks),
    crops("same-number", SometimesThree, "roles"),
    crops("labels", LabelsUnasked, "has the target 'label' though"),
    crops("dtype", Narrowed, "torch.int32 at .numbers; expected torch.int64"),
    crops("device", Anywhere, r"made without a device: \[0\].params\['kept'\]"),
    crops("rates", lambda options: OtherRate(options, lambda rate: 0.6 * rate), r"measured 0.*declared 0.500"),
    crops("zero-rate", lambda options: OtherRate(options, lambda rate: max(rate, 0.05)), r"expected the declared 0.000"),
    crops("extreme-rate", Starving, "at cell_rate 0.99, level .* is not finite"),
]
