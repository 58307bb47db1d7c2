"""T-JEPA as a run on real data: it learns without collapse, and a run that was stopped ends with the very same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sslplug.build import Composed, build_data, compose, schema_of
from sslplug.contracts import DataContext
from sslplug.diagnostics import collapse, health
from sslplug.errors import RecipeError, UsageError
from sslplug.randomness import Rng
from sslplug.recipe import resolve
from sslplug.training import checkpoint
from sslplug.training.loop import Run, TrainOptions, train
from sslplug.training.optim import OptimOptions, make_optimizer
from sslplug_tabular.plugin import PLUGIN

RECIPE: dict[str, Any] = {
    "plugin": "tabular", "seed": 5, "data": {"name": "wine", "split_seed": 0}, "views": "tjepa_masks", "objective": "mse",
    "encoder": {
        "name": "ft_transformer", "width": 8, "layers": 1, "heads": 2, "feedforward": 16, "activation": "relu", "norm": "post",
        "positions": "sinusoidal", "end": "projection", "row": "flatten",
    },
    "method": {
        "name": "latent_prediction",
        "decoder": {"name": "jepa_predictor", "width": 8, "layers": 1, "heads": 2, "feedforward": 16},
    },
    "train": {"batch_size": 32},
}  # fmt: skip


def made(**sections: Any) -> Composed:
    schema = schema_of(PLUGIN)
    resolved = resolve({**RECIPE, **sections}, schema, "test")
    return compose(resolved, schema, build_data(resolved, DataContext(None, Path("."), 0)), torch.device("cpu"))


class Losses:
    def __init__(self) -> None:
        self.of: dict[int, float] = {}

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        if "train/loss" in values:
            self.of[step] = values["train/loss"]

    def advance(self, step: int, values: Mapping[str, float]) -> None: ...


def run(composed: Composed, folder: Path, epochs: int, stop_after: int | None = None, resume: bool = False) -> Losses:
    losses, optim = Losses(), OptimOptions(name="adamw", lr=2e-3, schedule="cosine", warmup=4)

    def batches_of(epoch: int) -> Sequence[Any]:
        found: Sequence[Any] = composed.batches_of(epoch)
        return found

    job = Run(
        composed.method, make_optimizer(composed.method, optim), optim,
        TrainOptions(epochs=epochs, log_every=1, batch_size=32), 5, torch.device("cpu"), batches_of, dict, health, collapse,
        losses, folder, lambda: stop_after is not None and max(losses.of, default=0) >= stop_after,
    )  # fmt: skip
    train(job, checkpoint.newest(folder)[0] if resume else None)
    return losses


def tensors(composed: Composed) -> list[Tensor]:
    return list(checkpoint.model_tensors(composed.method).values())


def test_it_predicts_better_and_does_not_collapse(tmp_path: Path) -> None:
    composed = made()
    losses = list(run(composed, tmp_path, 25).of.values())
    assert sum(losses[-8:]) < 0.8 * sum(losses[:8])
    seen = composed.method.observe(composed.batches_of(0)[0], Rng.root(0))["view0"]
    assert seen.shape[1] == 14 * 8, "[REG] and 13 columns, flattened"
    assert "diag/std" in health({"view0": seen})
    assert collapse(health({"view0": seen}), seen.shape[1]) is None


@pytest.mark.parametrize("at", [3, 4, 9])
def test_stopped_and_resumed_it_is_bit_for_bit_the_same(tmp_path: Path, at: int) -> None:
    whole, part, again = made(), made(), made()
    wanted = run(whole, tmp_path / "whole", 3).of
    first = run(part, tmp_path / "part", 3, stop_after=at).of
    assert max(first) == at
    second = run(again, tmp_path / "part", 3, resume=True).of
    assert {**first, **second} == wanted
    assert all(torch.equal(a, b) for a, b in zip(tensors(whole), tensors(again), strict=True))


def test_compat_trains_too(tmp_path: Path) -> None:
    losses = list(run(made(views={"name": "tjepa_masks", "compat": True}), tmp_path, 12).of.values())
    assert sum(losses[-5:]) < sum(losses[:5])


def test_what_does_not_fit_is_said_before_training() -> None:
    with pytest.raises(RecipeError, match="level:cell"):
        made(encoder={"name": "mlp"})
    with pytest.raises(RecipeError, match="target:set0"):
        made(views="masked")
    with pytest.raises(UsageError, match=r"13 columns, of which views.context \(0.01, 0.2\) takes 0 to 3"):
        made(views={"name": "tjepa_masks", "context": [0.01, 0.2]})
