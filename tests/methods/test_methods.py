"""Every method on the toy domain: what it computes, what moves, what gets a gradient."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslplug.build import Composed, build_data, compose, recipe_tags, schema_of
from sslplug.contracts import DataContext, Embedding, Progress, Target, View
from sslplug.errors import RecipeError, UsageError
from sslplug.methods.momentum import momentum_at
from sslplug.methods.predict_targets import HeadPredictor
from sslplug.methods.rows import ids_of, select, take
from sslplug.methods.weighted_sum import WeightedSum
from sslplug.randomness import Rng
from sslplug.recipe import resolve
from sslplug.testing.toy import TOY

HEAD = {"widths": [16, 8]}
METHODS: dict[str, dict[str, Any]] = {
    "joint": {"views": "crops", "method": {"name": "joint", "projector": HEAD}, "objective": "vicreg"},
    "joint of three views": {
        "views": {"name": "crops", "views": 3},
        "method": {"name": "joint", "projector": HEAD},
        "objective": "barlow",
    },
    "bootstrap": {"views": "crops", "method": {"name": "bootstrap", "projector": HEAD}, "objective": "cosine"},
    "simsiam": {"views": "crops", "method": {"name": "bootstrap", "teacher": "student"}, "objective": "cosine"},
    "momentum contrast": {
        "views": "crops",
        "method": {"name": "momentum_contrast", "projector": HEAD, "queue": 700},
        "objective": {"name": "infonce", "negatives": "inter", "symmetric": False},
    },
    "masked": {"views": "masked", "method": "masked", "objective": "sce"},
    "local-global, corrupted rows": {
        "views": "corrupted",
        "method": {"name": "local_global", "squash": True, "discriminator": "bilinear"},
        "objective": "jsd_local_global",
    },
    "local-global, other rows": {
        "views": "identity",
        "method": {"name": "local_global", "local_head": {"widths": [8], "shortcut": True}, "summary_head": {"widths": [8]}},
        "objective": "jsd_local_global",
    },
    "pretext": {"views": "flipped", "method": {"name": "pretext", "targets": ["flipped"]}, "objective": "cross_entropy"},
    "supervised": {
        "views": "identity",
        "method": {"name": "pretext", "targets": ["label"]},
        "objective": "cross_entropy",
        "train": {"labels": "cluster"},
    },
    "joint supervised": {
        "views": "crops",
        "method": {
            "name": "weighted_sum",
            "parts": {
                "contrast": {"method": {"name": "joint"}, "objective": {"name": "infonce"}},
                "label": {
                    "weight": 0.5,
                    "views": {"name": "identity"},
                    "method": {"name": "pretext"},
                    "objective": {"name": "cross_entropy"},
                },
            },
        },
        "train": {"labels": "cluster"},
    },
    "two towers": {"views": "halves", "encoder": "towers", "method": "joint", "objective": "infonce"},
}


def made(recipe: dict[str, Any], **data: Any) -> Composed:
    schema = schema_of(TOY)
    probe = build_data(
        resolve(
            {
                "plugin": "toy",
                "data": "clusters",
                "views": "crops",
                "encoder": "cells",
                "method": "joint",
                "objective": "infonce",
            },
            schema,
            "t",
        ),
        DataContext(None, Path("."), 0),
    )
    task = next(iter(probe.tasks))
    raw = {"plugin": "toy", "data": {"name": "clusters", **data}, "encoder": "cells", "seed": 1, **recipe}
    if "train" in raw:
        raw["train"] = {**raw["train"], "labels": task}
    resolved = resolve(raw, schema, "test", recipe_tags(raw))
    return compose(resolved, schema, build_data(resolved, DataContext(None, Path("."), 1)), torch.device("cpu"))


def first_batch(composed: Composed) -> Any:
    return composed.batches_of(0)[0]


@pytest.mark.parametrize("name", METHODS)
def test_terms_are_finite_and_train_the_encoder(name: str) -> None:
    composed = made(METHODS[name])
    method, batch = composed.method.train(), first_batch(composed)
    terms = method(batch, Rng.root(1))
    assert terms
    assert all(value.ndim == 0 and bool(value.isfinite()) for value in terms.values()), terms
    again = method(batch, Rng.root(1))
    if name != "momentum contrast":
        assert all(torch.equal(terms[key], again[key]) for key in terms), "the same stream gives the same terms"
    sum(terms.values()).backward()
    silent = [n for n, p in method.named_parameters() if p.requires_grad and p.grad is None]
    assert not [n for n in silent if not n.startswith("encoder.")], f"heads without a gradient: {silent}"
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in method.encoder.parameters())


@pytest.mark.parametrize("name", METHODS)
def test_fifty_steps_lower_the_loss_and_looking_changes_nothing(name: str) -> None:
    composed = made(METHODS[name])
    method, batch = composed.method.train(), first_batch(composed)
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for step in range(50):
        optimizer.zero_grad()
        loss = sum(method(batch, Rng.root(step)).values())
        loss.backward()
        optimizer.step()
        method.after_step(Progress(0, 1, step + 1, 50))
        losses.append(float(loss.detach()))
    # The queue fills during the first steps, which makes the contrast harder: compare from the full queue on.
    start = 5 if name == "momentum contrast" else 0
    assert sum(losses[-5:]) / 5 < sum(losses[start : start + 3]) / 3, f"{name}: {losses[start]:.4f} to {losses[-1]:.4f}"
    before = {key: value.clone() for key, value in method.state_dict().items()}
    seen = method.observe(batch, Rng.root(99))
    assert seen["view0"].ndim == 2
    assert not seen["view0"].requires_grad
    assert method.training
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())


def test_supervised_part_reads_only_allowed_labels() -> None:
    composed = made(METHODS["supervised"])
    task = next(iter(composed.tasks.values()))
    assert len(task.splits) == 1, "a task whose labels train keeps its split alone"
    view = composed.method.views(first_batch(composed), Rng.root(0))[0]
    rows = view.targets["label"].rows
    assert rows is not None
    assert len(rows) == len(task.splits[0].train)


def test_sum_weighs_its_parts_and_shares_the_encoder() -> None:
    composed = made(METHODS["joint supervised"])
    method = composed.method
    terms = method(first_batch(composed), Rng.root(4))
    alone = method.parts[method.names.index("label")](first_batch(composed), Rng.root(4).fork("label"))
    assert float(terms["label/label"].detach()) == pytest.approx(0.5 * float(alone["label"].detach()))
    assert all(part.encoder is method.encoder for part in method.parts)


@pytest.mark.parametrize("name", ["items", "keys", "a.b", "type"])
def test_parts_may_have_any_name(name: str) -> None:
    part = nn.Linear(1, 1)
    assert WeightedSum(nn.Identity(), {name: part}, {name: 1.0}).names == (name,)


class Pass(nn.Module):
    """Views are finished embeddings; the encoder passes them on."""

    dims = {"row": 3}

    def forward(self, view: Any) -> dict[str, Tensor]:
        return {"row": view.data}


def test_bootstrap_is_zero_for_agreement_and_four_for_opposition() -> None:
    def cosine(views: list[Tensor], ids: Any = None) -> dict[str, Tensor]:
        return {"cosine": 2 - 2 * F.cosine_similarity(views[0], views[1]).mean()}

    composed = made({**METHODS["simsiam"], "method": {"name": "bootstrap", "teacher": "student"}})
    method = composed.method
    rows = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    for sign, expected in ((1.0, 0.0), (-1.0, 4.0)):
        from sslplug.contracts import View

        method.views = lambda batch, rng, s=sign: [View(rows), View(s * rows)]
        method.encoder, method.projector, method.predictor = Pass(), nn.Identity(), nn.Identity()
        del method.objective  # a function is no module
        method.level, method.objective = "row", cosine
        assert float(method(None, Rng.root(0))["cosine"]) == pytest.approx(expected, abs=1e-6)


def test_teacher_gets_no_gradient_and_follows() -> None:
    composed = made(METHODS["bootstrap"])
    method = composed.method
    sum(method(first_batch(composed), Rng.root(0)).values()).backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    with torch.no_grad():
        for p in method.encoder.parameters():
            p.add_(1.0)
    before = [p.clone() for p in method.teacher[0].parameters()]
    method.after_step(Progress(0, 1, 5, 10))
    share = 1 - momentum_at(0.99, "cosine", 0.5)
    for old, new, student in zip(before, method.teacher[0].parameters(), method.encoder.parameters(), strict=True):
        assert torch.allclose(new, old + share * (student - old), atol=1e-6)


def test_momentum_schedules() -> None:
    assert momentum_at(0.9, "constant", 0.7) == 0.9
    assert momentum_at(0.9, "linear", 0.5) == pytest.approx(0.95)
    assert momentum_at(0.99, "cosine", 0.0) == pytest.approx(0.99)
    assert momentum_at(0.99, "cosine", 1.0) == 1.0
    assert momentum_at(0.99, "cosine", 0.25) == pytest.approx(1 - 0.01 * (math.cos(math.pi / 4) + 1) / 2)


@pytest.mark.parametrize("reinitialise", [False, True])
def test_the_teacher_starts_as_asked(reinitialise: bool) -> None:
    composed = made(
        {**METHODS["bootstrap"], "method": {"name": "bootstrap", "projector": HEAD, "reinitialise": reinitialise}}
    )
    method = composed.method
    student = nn.ModuleList([method.encoder, method.projector])
    same = [torch.equal(a, b) for a, b in zip(student.parameters(), method.teacher.parameters(), strict=True)]
    assert all(same) != reinitialise
    assert not any(p.requires_grad for p in method.teacher.parameters())
    again = [p.clone() for p in made(METHODS["bootstrap"]).new_encoder().parameters()]
    assert all(torch.equal(a, b) for a, b in zip(again, method.encoder.parameters(), strict=True)), "the encoder's own start"


def test_queue_holds_the_newest_keys() -> None:
    composed = made(METHODS["momentum contrast"])
    method, batch = composed.method, first_batch(composed)
    for step in range(3):
        method(batch, Rng.root(step))
        fresh = torch.cat(method._fresh)
        method.after_step(Progress(0, 1, step, 3))
    assert int(method.filled) == 700
    kept = {tuple(row) for row in method.queue.tolist()}
    assert all(tuple(row) in kept for row in fresh[-700:].tolist())


def test_recipes_that_cannot_work_are_refused_with_what_would() -> None:
    schema = schema_of(TOY)
    raw = {
        "plugin": "toy",
        "data": "clusters",
        "views": "identity",
        "encoder": "cells",
        "method": "joint",
        "objective": "infonce",
    }
    with pytest.raises(RecipeError, match="pair"):
        resolve(raw, schema, "t")
    with pytest.raises(RecipeError, match="labels"):
        resolve({**raw, "method": "pretext", "objective": "cross_entropy"}, schema, "t")


def test_small_pieces() -> None:
    from sslplug.contracts import View
    from sslplug.errors import DataError

    batch = torch.zeros(2, 1)
    with pytest.raises(DataError, match=r"Views \[1\] have no ids"):
        ids_of([View(batch, {"row": torch.arange(2)}), View(batch)], "row")
    with pytest.raises(UsageError, match="at least 2 views but found 1"):
        select([View(batch), View(batch, role="negative")], (), 2)
    values = torch.tensor([[1.0], [2.0], [3.0]])
    assert take(values, torch.tensor([[0, 2], [1, 2]])).tolist() == [[3.0], [6.0]]


def test_the_bilinear_discriminator_is_dgis() -> None:
    from sslplug.methods.local_global import Bilinear

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = Bilinear(64, 48)
        reference = nn.Bilinear(64, 48, 1)
    assert float(layer.weight.detach().abs().max()) <= math.sqrt(6 / (64 * 48 + 48)), (
        "the bound of the three-dimensional weight"
    )
    with torch.no_grad():
        reference.weight[0].copy_(layer.weight)
        layer.bias.fill_(0.3)
        reference.bias.fill_(0.3)
        rows, summaries = torch.randn(5, 64, generator=torch.Generator().manual_seed(1)), torch.ones(2, 48)
        left, right = layer(rows, summaries)
        for number in range(2):
            wanted = reference(rows, summaries[number].expand(5, 48))[:, 0]
            assert torch.allclose((left @ right.T)[:, number], wanted, atol=1e-6)


def test_targets_may_have_any_name() -> None:
    """A target called as an attribute of torch's modules, or with a dot, is a target like others."""
    names = ("type", "training", "a.b")
    predictor = HeadPredictor({name: nn.Linear(4, 2) for name in names})
    embedding = Embedding({"cell": torch.ones(3, 4)})
    for name in names:
        target = Target("cell", torch.zeros(3, dtype=torch.int64))
        assert predictor(View(SimpleNamespace()), embedding, name, target).shape == (3, 2)
    assert len(list(predictor.parameters())) == 6
