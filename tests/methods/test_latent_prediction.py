"""Latent prediction on the toy domain with a view and a predictor of this file: value, gradients, teacher, exact resume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslplug.build import Composed, build_data, compose, schema_of
from sslplug.contracts import Component, DataContext, Embedding, Options, Progress, Target, View, tags
from sslplug.diagnostics import collapse, health
from sslplug.errors import RecipeError, UsageError
from sslplug.methods.latent_prediction import LatentPrediction
from sslplug.methods.momentum import momentum_at
from sslplug.randomness import Rng
from sslplug.recipe import resolve
from sslplug.testing.toy import TOY
from sslplug.testing.toy_data import ToyBatch, ToySpec, clean
from sslplug.testing.toy_encoder import CellsEncoder
from sslplug.training import checkpoint
from sslplug.training.loop import Run, TrainOptions, train
from sslplug.training.optim import OptimOptions, make_optimizer


class LatentOptions(Options):
    """Names of the targets."""

    names: tuple[str, ...] = ("set0", "set1")
    teachers: int = 1


@dataclass(frozen=True)
class Latent:
    """Half of the cells are hidden; each set asks for a random part of the hidden ones."""

    options: LatentOptions
    rates: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, batch: ToyBatch, rng: Rng) -> list[View]:
        own = rng.fork("view", 1)
        cells = batch.cells.shape[1]
        hidden = (own.uniform(batch.numbers, cells) < 0.5).flatten()
        targets = {}
        for name in self.options.names:
            asked = hidden & (own.fork(name).uniform(batch.numbers, cells) < 0.6).flatten()
            rows = asked.nonzero().squeeze(1)
            targets[name] = Target("cell", rows % cells, rows)
        context = replace(clean(batch, "context"), mask={"cell": hidden}, targets=targets)
        return [*(clean(batch, "target") for _ in range(self.options.teachers)), context]


class Predictor(nn.Module):
    """Predicts a cell's code from the row's code and the cell's position."""

    def __init__(self, spec: ToySpec, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.position = nn.Embedding(spec.cells, dims["row"])
        self.net = nn.Sequential(nn.Linear(dims["row"], 32), nn.ReLU(), nn.Linear(32, dims["cell"]))

    def forward(self, view: View, embedding: Embedding) -> dict[str, Tensor]:
        made = {}
        for name, target in view.targets.items():
            if target.level == "cell":
                made[name] = self.net(embedding["row"][embedding.owner["cell"][target.rows]] + self.position(target.values))
        return made


PLUGIN = replace(
    TOY,
    views={
        **TOY.views,
        "latent": Component(
            LatentOptions,
            lambda options, spec: Latent(options),
            "a whole view and one with hidden cells",
            provides=lambda options: frozenset({"masks", *(f"target:{name}" for name in options.names)}),
        ),
    },
    decoders={
        **TOY.decoders,
        "predictor": Component(
            Options, lambda options, spec, dims: Predictor(spec, dims), "predicts cells' codes", needs=tags("level:cell")
        ),
    },
)


def made(views: Any = "latent", objective: Any = "mse", **method: Any) -> Composed:
    raw = {
        "plugin": "toy", "seed": 3, "data": {"name": "clusters", "rows": 160, "splits": 1}, "views": views,
        "encoder": {"name": "cells", "hidden": 16, "width": 8}, "objective": objective,
        "method": {"name": "latent_prediction", "decoder": "predictor", **method}, "train": {"batch_size": 40},
    }  # fmt: skip
    resolved = resolve(raw, schema_of(PLUGIN), "test")
    return compose(resolved, schema_of(PLUGIN), build_data(resolved, DataContext(None, Path("."), 1)), torch.device("cpu"))


def method_of(composed: Composed) -> LatentPrediction:
    assert isinstance(composed.method, LatentPrediction)
    return composed.method


def apart(method: LatentPrediction) -> None:
    """Student and teacher differ, as they do amid training."""
    with torch.no_grad():
        for number, p in enumerate(method.student.parameters()):
            p.add_(0.1 * torch.randn(p.shape, generator=Rng.root(number).torch()))


@pytest.mark.parametrize("normalise", ["none", "layer"])
def test_value_is_the_mean_over_all_target_tokens(normalise: str) -> None:
    composed = made(normalise=normalise)
    method, batch = method_of(composed), composed.batches_of(0)[0]
    apart(method)
    found = method(batch, Rng.root(7))["mse"]
    whole, context = method.views(batch, Rng.root(7))
    codes, seen, errors = method.teacher(whole)["cell"], method.student(context), []
    for name in ("set0", "set1"):
        predictions = method.decoder(context, seen)[name].detach()
        for prediction, row in zip(predictions, context.targets[name].rows, strict=True):
            code = codes[row]
            if normalise == "layer":
                code = (code - code.mean()) / (code.var(unbiased=False) + 1e-5).sqrt()
            errors += [float((p - c) ** 2) for p, c in zip(prediction, code, strict=True)]
    assert float(found.detach()) == pytest.approx(sum(errors) / len(errors), rel=1e-5)


@pytest.mark.parametrize("evaluate", ["teacher", "student"])
def test_gradients_reach_student_and_predictor_alone_and_the_teacher_follows(evaluate: str) -> None:
    composed = made(evaluate=evaluate)
    method, batch = method_of(composed), composed.batches_of(0)[0]
    assert all(torch.equal(a, b) for a, b in zip(method.student.parameters(), method.teacher.parameters(), strict=True))
    apart(method)
    method(batch, Rng.root(0))["mse"].backward()
    assert all(p.grad is None and not p.requires_grad for p in method.teacher.parameters())
    assert isinstance(method.student, CellsEncoder)
    learning = [*method.decoder.parameters(), *method.student.row.parameters(), method.student.weight, method.student.bias]
    assert all(p.grad is not None and bool(p.grad.any()) for p in learning), "all that the predictor reads"
    before = [p.clone() for p in method.teacher.parameters()]
    method.after_step(Progress(0, 1, 5, 10))
    share = 1 - momentum_at(0.996, "linear", 0.5)
    assert share == pytest.approx(0.002)
    for old, new, student in zip(before, method.teacher.parameters(), method.student.parameters(), strict=True):
        assert torch.allclose(new, old + share * (student - old), atol=1e-7)
    assert method.encoder is (method.teacher if evaluate == "teacher" else method.student)
    names = {name.split(".")[0] for name in checkpoint.model_tensors(method)}
    assert names == {"encoder", "other", "decoder"}
    whole = method.views(batch, Rng.root(0))[0]
    looked = method.observe(batch, Rng.root(0))["view0"]
    method.eval()
    assert torch.equal(looked, method.encoder(whole)["row"])


def trained(steps: int, **method: Any) -> tuple[LatentPrediction, list[float], Tensor]:
    composed = made(**method)
    found, losses = method_of(composed), []
    optimiser = torch.optim.Adam([p for p in found.parameters() if p.requires_grad], lr=3e-3)
    for step in range(steps):
        optimiser.zero_grad()
        loss = found(composed.batches_of(step // 4)[step % 4], Rng.root(step))["mse"]
        loss.backward()
        optimiser.step()
        found.after_step(Progress(0, 1, step + 1, steps))
        losses.append(float(loss.detach()))
    return found, losses, found.observe(composed.batches_of(0)[0], Rng.root(0))["view0"]


def test_training_learns_to_predict_a_teacher_that_stays() -> None:
    start = [p.clone() for p in method_of(made()).teacher.parameters()]
    method, losses, seen = trained(80, momentum=1.0)
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
    assert all(torch.equal(a, b) for a, b in zip(start, method.teacher.parameters(), strict=True))
    assert collapse(health({"view0": seen}), seen.shape[1]) is None


def test_what_is_observed_shows_a_collapse() -> None:
    """A teacher that is the student lets both agree on codes that tell no rows apart; cells still differ by position."""
    method, losses, seen = trained(150, momentum=0.0, schedule="constant")
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
    assert all(torch.equal(a, b) for a, b in zip(method.student.parameters(), method.teacher.parameters(), strict=True))
    assert "Collapsed" in str(collapse(health({"view0": seen}), seen.shape[1]))


@pytest.mark.parametrize("objective", ["cosine", {"name": "mse", "smooth": 1.0}])
def test_other_objectives_of_predictions_serve(objective: Any) -> None:
    composed = made(objective=objective)
    (value,) = composed.method(composed.batches_of(0)[0], Rng.root(0)).values()
    value.backward()
    assert bool(value.isfinite())


@pytest.mark.parametrize("at", [1, 4, 7])
def test_stopped_and_resumed_it_is_bit_for_bit_the_same(tmp_path: Path, at: int) -> None:
    class Quiet:
        def __init__(self) -> None:
            self.step = 0

        def scalars(self, step: int, values: Mapping[str, float]) -> None: ...

        def advance(self, step: int, values: Mapping[str, float]) -> None:
            self.step = step

    def run(folder: Path, stop_after: int | None, resume: bool) -> list[Tensor]:
        composed, reporter = made(), Quiet()
        optim = OptimOptions(name="adamw", lr=0.01, schedule="cosine")

        def batches_of(epoch: int) -> Sequence[Any]:
            found: Sequence[Any] = composed.batches_of(epoch)
            return found

        job = Run(
            composed.method, make_optimizer(composed.method, optim), optim, TrainOptions(epochs=2, log_every=1, batch_size=40),
            3, torch.device("cpu"), batches_of, dict, health, collapse, reporter, folder,
            lambda: stop_after is not None and reporter.step >= stop_after,
        )  # fmt: skip
        train(job, checkpoint.newest(folder)[0] if resume else None)
        return [tensor.clone() for tensor in checkpoint.model_tensors(composed.method).values()]

    whole = run(tmp_path / "whole", None, False)
    run(tmp_path / "part", at, False)
    again = run(tmp_path / "part", None, True)
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


def test_what_does_not_fit_is_said() -> None:
    composed = made(views={"name": "latent", "teachers": 2})
    with pytest.raises(UsageError, match=r"2 views have the role 'target'; expected one"):
        composed.method(composed.batches_of(0)[0], Rng.root(0))
    composed = made(views={"name": "latent", "names": ("asked", "set0")}, targets=("set0",))
    composed.method(composed.batches_of(0)[0], Rng.root(0))
    with pytest.raises(RecipeError, match="target:set0"):
        made(views={"name": "latent", "names": ("asked",)})
    with pytest.raises(RecipeError, match="masks"):
        made(views="crops")
    method = method_of(made())
    batch = composed.batches_of(0)[0]
    whole, context = method.views(batch, Rng.root(0))
    method.views = lambda batch, rng: [whole, replace(context, targets={})]
    with pytest.raises(UsageError, match="brings the targets none; expected names that begin with 'set'"):
        method(batch, Rng.root(0))
    every = Target("cell", torch.zeros(40 * 8, dtype=torch.int64))
    method.views = lambda batch, rng: [whole, replace(context, targets={"set0": every})]
    with pytest.raises(UsageError, match=r"'set0' names no single rows"):
        method(batch, Rng.root(0))


def test_within_a_sum_the_student_is_shared_and_evaluated() -> None:
    part = {"method": {"name": "latent_prediction", "decoder": "predictor"}, "objective": "mse"}
    raw = {
        "plugin": "toy", "seed": 3, "data": "clusters", "views": "latent", "encoder": "cells",
        "method": {"name": "weighted_sum", "parts": {"latent": part}},
    }  # fmt: skip
    resolved = resolve(raw, schema_of(PLUGIN), "test")
    composed = compose(
        resolved, schema_of(PLUGIN), build_data(resolved, DataContext(None, Path("."), 1)), torch.device("cpu")
    )
    assert composed.method.encoder is composed.method.parts[composed.method.names.index("latent")].student


def test_smooth_error_is_torch_s() -> None:
    from sslplug.objectives import OBJECTIVES

    a, b = torch.randn(50, 3), torch.randn(50, 3)
    for beta in (0.25, 1.0):
        made_objective = OBJECTIVES["mse"].build(OBJECTIVES["mse"].options(smooth=beta), 0)
        assert torch.isclose(made_objective([a, b])["mse"], F.smooth_l1_loss(a, b, beta=beta))
