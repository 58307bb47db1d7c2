"""SupReMix against its formulas written out in loops over formed mixtures, in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslplug.build import build_data, compose, recipe_tags, schema_of
from sslplug.contracts import DataContext, Embedding, Target, View
from sslplug.discovery import recipes_of
from sslplug.errors import DataError
from sslplug.randomness import Rng
from sslplug.recipe import read_recipe, resolve
from sslplug_tabular.methods.supremix import SupReMix, SupReMixOptions, Triples, supremix, triples
from sslplug_tabular.plugin import PLUGIN

TAU, WINDOW, TOLERANCE = 0.3, 5.0, 0.5


def dense(z: Tensor, y: Tensor, share: Tensor, temperature: float, window: float, tolerance: float) -> Tensor:
    """The loss as the paper writes it: every mixture formed, every sum a loop, mixtures without gradient."""
    m, losses = len(z), []
    for i in range(m):
        others = [(z[u], abs(float(y[i] - y[u])) + 1) for u in range(m) if u != i]
        positives = [z[u] for u in range(m) if u != i and abs(float(y[i] - y[u])) <= tolerance]
        for k in range(m):
            if abs(float(y[i] - y[k])) > tolerance:
                a = share[i, k]
                mixed_label = a * y[i] + (1 - a) * y[k]
                others.append(((a * z[i] + (1 - a) * z[k]).detach(), abs(float(y[i] - mixed_label)) + 1))
        for j in range(m):
            for k in range(m):
                if tolerance < float(y[i] - y[j]) < window and tolerance < float(y[k] - y[i]) < window:
                    a = (y[k] - y[i]) / (y[k] - y[j])
                    assert math.isclose(float(a * y[j] + (1 - a) * y[k]), float(y[i]), abs_tol=1e-9)
                    mixture = (a * z[j] + (1 - a) * z[k]).detach()
                    others.append((mixture, 1.0))
                    positives.append(mixture)
        if not positives:
            continue
        denominator = sum(w * torch.exp(z[i] @ u / temperature) for u, w in others)
        losses.append(sum(torch.log(denominator) - z[i] @ p / temperature for p in positives) / len(positives))
    return torch.stack(losses).mean()


def material(m: int, dim: int, seed: int, step: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    raw = torch.randn(m, dim, generator=g, dtype=torch.float64, requires_grad=True)
    y = 12 * torch.rand(m, generator=g, dtype=torch.float64)
    y = (y / step).round() * step if step else y
    return raw, y, torch.rand(m, m, generator=g, dtype=torch.float64)


@pytest.mark.parametrize(("m", "step", "window"), [(12, 0.0, 5.0), (16, 1.0, 3.0), (9, 2.0, 1.0), (14, 0.3, 50.0)])
def test_loss_and_gradient_are_the_formula_s(m: int, step: float, window: float) -> None:
    raw, y, share = material(m, 5, m, step)
    mixed = triples(y, window, TOLERANCE, 10_000, Rng.root(0))
    loss = supremix(F.normalize(raw, dim=1), y, share, mixed, TAU, TOLERANCE)
    (gradient,) = torch.autograd.grad(loss, raw)
    other = raw.detach().clone().requires_grad_()
    expected = dense(F.normalize(other, dim=1), y, share, TAU, window, TOLERANCE)
    (wanted,) = torch.autograd.grad(expected, other)
    assert torch.isclose(loss, expected, rtol=1e-12, atol=0)
    assert torch.allclose(gradient, wanted, rtol=1e-9, atol=1e-12)


def test_small_temperatures_do_not_overflow_in_float32() -> None:
    raw, y, share = material(10, 4, 3)
    z = F.normalize(raw.detach(), dim=1)
    mixed = triples(y, WINDOW, TOLERANCE, 1000, Rng.root(0))
    exact = supremix(z, y, share, mixed, 0.005, TOLERANCE)
    small = replace(mixed, share=mixed.share.float())
    assert float(supremix(z.float(), y.float(), share.float(), small, 0.005, TOLERANCE)) == pytest.approx(
        float(exact), rel=1e-4
    )


def test_triples_straddle_the_anchor_and_are_all_there() -> None:
    _, y, _ = material(20, 3, 1)
    found = triples(y, 2.0, 0.1, 10_000, Rng.root(0))
    named = {(int(i), int(j), int(k)) for i, j, k in zip(found.anchor, found.below, found.above)}
    m = len(y)
    wanted = {
        (i, j, k)
        for i in range(m)
        for j in range(m)
        for k in range(m)
        if 0.1 < float(y[i] - y[j]) < 2.0 and 0.1 < float(y[k] - y[i]) < 2.0
    }
    assert named == wanted
    assert len(found.anchor) == len(wanted)
    assert torch.allclose(found.share * y[found.below] + (1 - found.share) * y[found.above], y[found.anchor])


def test_more_triples_than_wanted_are_sampled_by_the_stream_alone() -> None:
    _, y, _ = material(40, 3, 1)
    every = triples(y, 6.0, 0.1, 10_000, Rng.root(0))
    full = torch.bincount(every.anchor, minlength=40)
    some = triples(y, 6.0, 0.1, 16, Rng.root(0))
    assert torch.equal(torch.bincount(some.anchor, minlength=40), full.clamp(max=16))
    allowed = {(int(i), int(j), int(k)) for i, j, k in zip(every.anchor, every.below, every.above)}
    drawn = [(int(i), int(j), int(k)) for i, j, k in zip(some.anchor, some.below, some.above)]
    assert set(drawn) <= allowed
    assert len(set(drawn)) > len(drawn) / 2, "draws differ among themselves"
    again, other = triples(y, 6.0, 0.1, 16, Rng.root(0)), triples(y, 6.0, 0.1, 16, Rng.root(1))
    assert torch.equal(some.below, again.below)
    assert not torch.equal(some.below, other.below)
    assert len(triples(y, 6.0, 0.1, 0, Rng.root(0)).anchor) == 0


def test_rows_without_positives_are_left_out_and_none_at_all_is_refused() -> None:
    z = F.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=1)
    y = torch.tensor([0.0, 0.0, 40.0], dtype=torch.float64)  # the third is alone
    share, none = torch.full((3, 3), 0.5, dtype=torch.float64), triples(y, WINDOW, TOLERANCE, 10, Rng.root(0))
    assert len(none.anchor) == 0
    value = supremix(z, y, share, none, TAU, TOLERANCE)
    assert torch.isclose(value, dense(z, y, share, TAU, WINDOW, TOLERANCE))
    with pytest.raises(DataError, match=r"none of 2 rows has a positive.*window"):
        supremix(z[1:], y[1:], share[1:, 1:], triples(y[1:], WINDOW, TOLERANCE, 10, Rng.root(0)), TAU, TOLERANCE)


@dataclass(frozen=True)
class TwoLooks:
    """Two noisy copies of (x, y); the second half of the rows has no label."""

    floating: bool = True

    def __call__(self, batch: tuple[Tensor, Tensor], rng: Rng) -> list[View]:
        x, y = batch
        known = torch.arange(len(x) // 2)
        labels = y[known] if self.floating else y[known].long()
        views = []
        for number in range(2):
            noise = torch.randn(x.shape, generator=rng.fork("view", number).torch())
            views.append(View(x + 0.05 * noise, targets={"label": Target("row", labels, known)}))
        return views


class Rowwise(nn.Module):
    dims = {"row": 3}

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, view: View) -> Embedding:
        return Embedding({"row": self.net(view.data)})


def test_training_orders_embeddings_by_label() -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 6)
    y = x[:, 0] - x[:, 1]
    method = SupReMix(TwoLooks(), Rowwise(), nn.Identity(), SupReMixOptions(projector=()), "row")

    def error_of_neighbours() -> float:
        """Of the label of the nearest labelled row, for rows without a label, in parts of the labels' variance."""
        rows = F.normalize(method.observe((x, y), Rng.root(0))["view0"], dim=1)
        nearest = (rows[128:] @ rows[:128].T).argmax(1)
        return float((y[nearest] - y[128:]).square().mean() / y[128:].var())

    before = error_of_neighbours()
    optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
    losses = []
    for step in range(150):
        optimiser.zero_grad()
        loss = method((x, y), Rng.root(step))["supremix"]
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-10:]) < sum(losses[:10]) - 1.0
    assert error_of_neighbours() < min(0.25, before / 2), (before, error_of_neighbours())
    first, second = method((x, y), Rng.root(5)), method((x, y), Rng.root(5))
    assert torch.equal(first["supremix"], second["supremix"])


def test_labels_must_be_there_and_be_numbers() -> None:
    x, y = torch.randn(8, 6), torch.arange(8.0)
    made: Any = SupReMix(TwoLooks(floating=False), Rowwise(), nn.Identity(), SupReMixOptions(projector=()), "row")
    with pytest.raises(DataError, match=r"int64 classes.*regression task"):
        made((x, y), Rng.root(0))
    made.views = TwoLooks()
    with pytest.raises(DataError, match=r"carries no label.*train\.labels"):
        made((x[:1], y[:1]), Rng.root(0))


def test_mixed_positives_matter() -> None:
    raw, y, share = material(12, 4, 8)
    z = F.normalize(raw.detach(), dim=1)
    empty = torch.zeros(0, dtype=torch.int64)
    without = supremix(z, y, share, Triples(empty, empty, empty, torch.zeros(0, dtype=torch.float64)), TAU, 1.5)
    assert not torch.isclose(without, supremix(z, y, share, triples(y, WINDOW, 1.5, 1000, Rng.root(0)), TAU, 1.5))


def test_its_recipe_trains_on_the_training_rows_labels_alone() -> None:
    schema = schema_of(PLUGIN)
    raw = read_recipe(recipes_of(PLUGIN)["supremix"])
    resolved = resolve(raw, schema, "supremix", recipe_tags(raw))
    composed = compose(resolved, schema, build_data(resolved, DataContext(None, Path("."), 0)), torch.device("cpu"))
    batch = composed.batches_of(0)[0]
    terms = composed.method(batch, Rng.root(0))
    terms["supremix"].backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in composed.method.head.parameters())
    (task,) = composed.tasks.values()
    assert batch.labelled is not None
    assert set(batch.index[batch.labelled].tolist()) <= set(task.splits[0].train.tolist())
