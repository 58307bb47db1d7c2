"""Every check of the kit, against a toy plugin broken in one way: exactly the checks named must fail."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import field_serializer
from torch import nn

from sslplug.contracts import Component, DataContext, Embedding, Order, Plugin, RawFeatures, Target, Task, View
from sslplug.randomness import Rng
from sslplug.testing import toy_data, toy_encoder, toy_views
from sslplug.testing.checks import cases, check_plugin
from sslplug.testing.toy import TOY

SMALL = replace(
    TOY, views={"crops": TOY.views["crops"]}, encoders={"cells": TOY.encoders["cells"]}, traits=frozenset({"labels"})
)


def failed(plugin: Plugin) -> set[str]:
    return {result.id for result in check_plugin(plugin) if not result.passed}


def with_views(views: Callable[..., Any], **changes: Any) -> Plugin:
    component = replace(TOY.views["crops"], build=lambda options, spec: views(options), **changes)
    return replace(SMALL, views={"crops": component})


def with_encoder(encoder: Callable[..., nn.Module]) -> Plugin:
    return replace(SMALL, encoders={"cells": replace(TOY.encoders["cells"], build=encoder)})


def with_data(data: Callable[..., Any]) -> Plugin:
    return replace(SMALL, data={"clusters": replace(TOY.data["clusters"], build=data)})


# --- views ---


class WritesIntoInput(toy_views.Crops):
    def __call__(self, batch: toy_data.ToyBatch, rng: Rng) -> list[View]:
        batch.cells.clamp_(max=0.5)
        return super().__call__(batch, rng)


class Forgetful(toy_views.Crops):
    calls = itertools.count()

    def __call__(self, batch: toy_data.ToyBatch, rng: Rng) -> list[View]:
        return super().__call__(batch, rng.fork(next(self.calls)))


class DrawsGlobally(toy_views.Crops):
    def __call__(self, batch: toy_data.ToyBatch, rng: Rng) -> list[View]:
        torch.rand(1)
        return super().__call__(batch, rng)


class DrawsNumpy(toy_views.Crops):
    def __call__(self, batch: toy_data.ToyBatch, rng: Rng) -> list[View]:
        np.random.rand()
        return super().__call__(batch, rng)


@dataclass(frozen=True)
class OtherRate:
    """Declares one rate and applies another: inverted, or never below a floor."""

    options: toy_views.CropsOptions
    applied: Callable[[float], float]

    @property
    def rates(self) -> Mapping[str, float]:
        return {"change:present": self.options.cell_rate}

    def __call__(self, batch: toy_data.ToyBatch, rng: Rng) -> list[View]:
        rate = self.applied(self.options.cell_rate)
        return toy_views.Crops(self.options.model_copy(update={"cell_rate": rate}))(batch, rng)


class ShortMask(toy_views.Crops):
    def __call__(self, batch: toy_data.ToyBatch, rng: Rng) -> list[View]:
        return [replace(view, mask={"row": torch.zeros(3, dtype=torch.bool)}) for view in super().__call__(batch, rng)]


class StrangeIds(toy_views.Crops):
    def __call__(self, batch: toy_data.ToyBatch, rng: Rng) -> list[View]:
        return [replace(view, ids={"row": view.ids["row"] + 10_000}) for view in super().__call__(batch, rng)]


class SometimesThree(toy_views.Crops):
    def __call__(self, batch: toy_data.ToyBatch, rng: Rng) -> list[View]:
        views = super().__call__(batch, rng)
        return views + views[:1] if rng.fork("coin").numpy().random() < 0.5 else views


class LabelsUnasked(toy_views.Crops):
    def __call__(self, batch: toy_data.ToyBatch, rng: Rng) -> list[View]:
        zeros = Target("row", torch.zeros_like(batch.numbers))
        return [replace(view, targets={"label": zeros, **view.targets}) for view in super().__call__(batch, rng)]


def claims_masks(options: Any) -> frozenset[str]:
    return frozenset({"pair", "masks"})


def broken_recipe_options() -> type[toy_views.CropsOptions]:
    class Drifting(toy_views.CropsOptions):
        @field_serializer("noise")
        def more(self, value: float) -> float:
            return value + 0.1

    return Drifting


VIEWS = {
    "input-unchanged": with_views(WritesIntoInput),
    "repeats": with_views(Forgetful),
    "global-randomness": with_views(DrawsGlobally),
    "rates": with_views(lambda options: OtherRate(options, lambda rate: 0.6 * rate)),
    "zero-rate": with_views(lambda options: OtherRate(options, lambda rate: max(rate, 0.05))),
    "ids": with_views(ShortMask),
    "tags": with_views(toy_views.Crops, provides=claims_masks),
    "same-number": with_views(SometimesThree),
    "labels": with_views(LabelsUnasked),
}


@pytest.mark.parametrize("promise", VIEWS)
def test_view_mutants(promise: str) -> None:
    assert failed(VIEWS[promise]) == {f"views/crops/{promise}"}


def test_numpy_draws_are_seen_too() -> None:
    assert failed(with_views(DrawsNumpy)) == {"views/crops/global-randomness"}


def test_ids_of_no_instance() -> None:
    assert failed(replace(with_views(StrangeIds), traits=frozenset())) == {"views/crops/ids"}


# --- encoders ---


class Wrapped(nn.Module):
    """The toy encoder with a hook after it."""

    def __init__(self, options: toy_encoder.CellsOptions, spec: toy_data.ToySpec) -> None:
        super().__init__()
        self.inner = toy_encoder.CellsEncoder(options, spec)
        self.dims = self.inner.dims

    def forward(self, view: View) -> Embedding:
        embedding: Embedding = self.inner(view)
        return Embedding({level: self.after(level, rows) for level, rows in embedding.levels.items()}, self.owner(embedding))

    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows

    def owner(self, embedding: Embedding) -> Mapping[str, torch.Tensor]:
        return embedding.owner


class NotFinite(Wrapped):
    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows / (torch.arange(len(rows))[:, None] > 0) if self.training else rows


class RandomInEval(Wrapped):
    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows + 0 * torch.rand(1)


class WritesIntoView(Wrapped):
    def forward(self, view: View) -> Embedding:
        view.data.cells.clamp_(max=0.5)
        return super().forward(view)


class DeadParameter(Wrapped):
    def __init__(self, options: toy_encoder.CellsOptions, spec: toy_data.ToySpec) -> None:
        super().__init__(options, spec)
        self.unused = nn.Linear(2, 2)


class WrongDims(Wrapped):
    def __init__(self, options: toy_encoder.CellsOptions, spec: toy_data.ToySpec) -> None:
        super().__init__(options, spec)
        self.dims = {**self.inner.dims, "row": 7}


class OwnerOutside(Wrapped):
    def owner(self, embedding: Embedding) -> Mapping[str, torch.Tensor]:
        return {"cell": embedding.owner["cell"] + 1}


class HiddenState(Wrapped):
    """A number outside parameters and buffers that another instance does not have."""

    made = itertools.count()

    def __init__(self, options: toy_encoder.CellsOptions, spec: toy_data.ToySpec) -> None:
        super().__init__(options, spec)
        self.offset = next(self.made)

    def after(self, level: str, rows: torch.Tensor) -> torch.Tensor:
        return rows + self.offset


ENCODERS: list[tuple[str, type[nn.Module]]] = [
    ("finite", NotFinite),
    ("deterministic", RandomInEval),
    ("input-unchanged", WritesIntoView),
    ("gradients", DeadParameter),
    ("shapes", WrongDims),
    ("shapes", OwnerOutside),
    ("state-round-trip", HiddenState),
]


@pytest.mark.parametrize(("promise", "encoder"), ENCODERS, ids=[encoder.__name__ for _, encoder in ENCODERS])
def test_encoder_mutants(promise: str, encoder: type[nn.Module]) -> None:
    assert failed(with_encoder(encoder)) == {f"encoder/cells/{promise}"}


# --- data ---


class History(toy_data.Clusters):
    """A batch asked for after a later one comes in another order."""

    def batches(self, order: Order) -> Sequence[toy_data.ToyBatch]:
        plain, data, last = super().batches(order), self, [-1]

        class Remembering(Sequence[toy_data.ToyBatch]):
            def __len__(self) -> int:
                return len(plain)

            def __getitem__(self, step: Any) -> Any:
                batch = plain[step]
                back, last[0] = step < last[0], step
                return data.batch(batch.numbers.numpy()[::-1].copy(), order) if back else batch

        return Remembering()


class SharedMemory(toy_data.Clusters):
    def batch(self, rows: np.ndarray, order: Order | None = None) -> toy_data.ToyBatch:
        batch = super().batch(rows, order)
        n = len(rows)
        numbers = torch.arange(n) + int(rows.min() if order is None else 0)
        return replace(batch, cells=torch.from_numpy(self.cells)[numbers[0] : numbers[0] + n], numbers=numbers, labels=None)


class SameShare(toy_data.Clusters):
    def batches(self, order: Order) -> Sequence[toy_data.ToyBatch]:
        return super().batches(replace(order, rank=0))


@dataclass(frozen=True)
class Hinted(toy_data.ToyBatch):
    hint: torch.Tensor | None = None


class Leaks(toy_data.Clusters):
    def batch(self, rows: np.ndarray, order: Order | None = None) -> toy_data.ToyBatch:
        plain = super().batch(rows, order)
        hint = torch.from_numpy(3 - self.tasks["cluster"].labels[rows])
        return Hinted(plain.cells, plain.numbers, plain.present, plain.labels, hint)


class AllLabels(toy_data.Clusters):
    def batch(self, rows: np.ndarray, order: Order | None = None) -> toy_data.ToyBatch:
        batch = super().batch(rows, order)
        return batch if batch.labels is None else replace(batch, labels=torch.from_numpy(self.tasks["cluster"].labels[rows]))


class MovingRows(toy_data.Clusters):
    passes = itertools.count()

    def rows(self) -> Iterable[View]:
        views = list(super().rows())
        return views[::-1] if next(self.passes) % 2 else views


class DoubledRows(toy_data.Clusters):
    def rows(self) -> Iterable[View]:
        return [*super().rows(), next(iter(super().rows()))]


class Renamed(toy_data.Clusters):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.tasks = {"classes": self.tasks["cluster"]}


class CheatingFeatures(toy_data.Clusters):
    def raw_features(self, task: Task) -> RawFeatures:
        return RawFeatures(np.concatenate([super().raw_features(task).values, task.labels[:, None]], axis=1))


class InfiniteFeatures(toy_data.Clusters):
    def raw_features(self, task: Task) -> RawFeatures:
        features = super().raw_features(task).values.copy()
        features[3, 4] = np.inf
        return RawFeatures(features)


class NoCodes(toy_data.Clusters):
    def raw_features(self, task: Task) -> RawFeatures:
        return RawFeatures(super().raw_features(task).values, categorical=(2,))


class NoHash(toy_data.Clusters):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.description = {"name": "clusters"}


class Centred(toy_data.Clusters):
    """Rows moved by their mean, which is handed on as it should be; the mutants below break one step of that."""

    def __init__(self, options: toy_data.ClustersOptions, context: DataContext) -> None:
        super().__init__(options, context)
        mean = float(self.cells.mean()) if context.fitted is None else context.fitted["mean"]
        self.cells, self.fitted = self.cells - np.float32(mean), {"mean": mean}


class NoJson(Centred):
    def __init__(self, options: toy_data.ClustersOptions, context: DataContext) -> None:
        super().__init__(options, context)
        self.fitted = {"mean": np.float32(self.fitted["mean"])}


class FitsAgain(Centred):
    """Rows are encoded otherwise where ``fitted`` is given."""

    def __init__(self, options: toy_data.ClustersOptions, context: DataContext) -> None:
        super().__init__(options, context)
        if context.fitted is not None:
            self.cells = self.cells + np.float32(0.5)


class LosesFitted(Centred):
    def __init__(self, options: toy_data.ClustersOptions, context: DataContext) -> None:
        super().__init__(options, context)
        if context.fitted is not None:
            self.fitted = {}


DATA: list[tuple[str, type[toy_data.Clusters]]] = [
    ("data/batches-pure", History),
    ("data/ranks-join", SameShare),
    ("data/no-label-in-batches", Leaks),
    ("views/crops/labels", AllLabels),
    ("data/rows-fixed", MovingRows),
    ("data/rows-complete", DoubledRows),
    ("data/splits", Renamed),
    ("data/raw-features", CheatingFeatures),
    ("data/raw-features", InfiniteFeatures),
    ("data/raw-features", NoCodes),
    ("data/description", NoHash),
    ("data/fitted", NoJson),
    ("data/fitted", FitsAgain),
    ("data/fitted", LosesFitted),
]


@pytest.mark.parametrize(("expected", "data"), DATA, ids=[data.__name__ for _, data in DATA])
def test_data_mutants(expected: str, data: type[toy_data.Clusters]) -> None:
    assert failed(with_data(data)) == {expected}


def test_fitted_that_is_handed_on_passes() -> None:
    assert not failed(with_data(Centred))


def test_shared_memory() -> None:
    """Batches that are windows into the data's own array; ranks cannot be told apart in this mutant, so they fail too."""
    found = failed(replace(with_data(SharedMemory), traits=frozenset()))
    assert found == {"data/batches-own-memory", "data/ranks-join"}


def test_shared_memory_may_be_claimed() -> None:
    found = failed(replace(with_data(SharedMemory), traits=frozenset({"shared-batches"})))
    assert found == {"data/ranks-join"}


def test_weights_that_are_none_count_as_ones() -> None:
    class Weighted(toy_views.Crops):
        rates = {"0/change:labels": 0.25}

        def __call__(self, batch: toy_data.ToyBatch, rng: Rng) -> list[View]:
            quarter = (torch.arange(len(batch.numbers)) % 4 > 0).float()
            return [replace(v, data=replace(v.data, labels=quarter)) for v in super().__call__(batch, rng)]

    rate = next(case for case in cases(with_views(Weighted)) if case.id == "views/crops/rates").result()
    assert (rate.passed, rate.sentence) == (True, "")
    Weighted.rates = {"0/change:labels": 0.5}
    assert not next(case for case in cases(with_views(Weighted)) if case.id == "views/crops/rates").result().passed


# --- recipes and runs ---


def test_a_broken_recipe_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "toy_broken_recipes"
    folder.mkdir()
    good = (Path(toy_data.__file__).parent / "recipes" / "crops-infonce.yaml").read_text()
    (folder / "crops-infonce.yaml").write_text(good)
    (folder / "typo.yaml").write_text(good.replace("views: crops", "views: {name: crops, cell_rat: 0.3}"))
    (folder / "nameless.yaml").write_text(good.replace("about:", "# about:"))
    monkeypatch.syspath_prepend(str(tmp_path))
    plugin = replace(SMALL, recipes="toy_broken_recipes")
    results = {result.id: result.sentence for result in check_plugin(plugin) if not result.passed}
    assert set(results) == {"recipe/typo/resolves", "recipe/typo/round-trip", "recipe/nameless/resolves"}
    assert "cell_rat" in results["recipe/typo/resolves"]
    assert "cell_rate" in results["recipe/typo/resolves"]


def test_options_that_change_when_written() -> None:
    options = broken_recipe_options()
    plugin = replace(SMALL, views={"crops": replace(TOY.views["crops"], options=options)})
    assert failed(plugin) == {"recipe/crops-infonce/round-trip"}


def test_an_objective_with_the_wrong_sign_does_not_beat_the_untrained_encoder() -> None:
    from sslplug.objectives import OBJECTIVES

    class Negated(nn.Module):
        distribution = "gathered"
        most_views = 2

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *args: Any) -> dict[str, torch.Tensor]:
            return {name: -value for name, value in self.inner(*args).items()}

    right = OBJECTIVES["infonce"]
    wrong: Component = replace(right, build=lambda options, dim: Negated(right.build(options, dim)))
    plugin = replace(SMALL, objectives={"infonce": wrong}, traits=frozenset({"beats-untrained"}))
    case = next(case for case in cases(plugin) if case.id == "run/beats-untrained")
    result = case.result()
    assert not result.passed
    assert "untrained" in result.sentence
