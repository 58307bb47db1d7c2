"""Every recipe's parts train on a small table; the whole way from rows to scores finds what is planted and nothing else."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from sslplug.build import Composed, compose, recipe_tags, schema_of
from sslplug.contracts import DataContext, DomainData, Progress
from sslplug.discovery import recipes_of
from sslplug.evaluation import EvaluateOptions, embed, judge
from sslplug.evaluation.trees import LightGbm, LightGbmOptions
from sslplug.randomness import Rng
from sslplug.recipe import Resolved, apply_overrides, read_recipe, resolve
from sslplug_tabular.plugin import PLUGIN

RECIPES = recipes_of(PLUGIN)


def resolved(name: str, *overrides: str) -> Resolved:
    raw = apply_overrides(read_recipe(RECIPES[name]), list(overrides))
    return resolve(raw, schema_of(PLUGIN), f"{name}.yaml", recipe_tags(raw))


def planted(rows: int, seed: int, numbers: bool = False, shuffled: bool = False) -> pa.Table:
    """Three hidden classes: ten noisy columns and two categories that each say a little; the target is known for some rows."""
    generator = np.random.default_rng(seed)
    kind = generator.integers(0, 3, rows)
    centres = generator.normal(size=(3, 10)) * 1.2
    columns = {f"x{c}": centres[kind, c] + generator.normal(size=rows) for c in range(10)}
    columns["x0"][generator.random(rows) < 0.1] = np.nan
    words = np.array(["red", "green", "blue"])
    for name in ("u", "v"):
        columns[name] = words[np.where(generator.random(rows) < 0.5, kind, generator.integers(0, 3, rows))]
    target = generator.permutation(kind) if shuffled else kind
    columns["y"] = target * 1.5 + generator.normal(size=rows) * 0.3 if numbers else np.array(["a", "b", "c"])[target]
    return pa.table(columns)


def data(table: pa.Table) -> DomainData:
    component = PLUGIN.data["memory"]
    found: DomainData = component.build(
        component.options(target="y"), DataContext(None, Path("unused"), seed=0, memory=table)
    )
    return found


def composed(recipe: Resolved, given: DomainData) -> Composed:
    return compose(recipe, schema_of(PLUGIN), given, torch.device("cpu"))


@pytest.fixture(scope="module")
def small() -> dict[bool, DomainData]:
    return {numbers: data(planted(120, 0, numbers)) for numbers in (False, True)}


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_takes_a_step_on_any_table(name: str, small: dict[bool, DomainData]) -> None:
    recipe = resolved(name, "train.batch_size=32")
    run = composed(recipe, small[recipe.sections["train"].labels is not None])
    method = run.method.train()
    parameters = [p for p in method.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(parameters, lr=0.01)
    before = [p.detach().clone() for p in parameters]
    torch.manual_seed(0)
    terms = method(run.batches_of(0)[0], Rng.root(1))
    total = torch.stack(list(terms.values())).sum()
    assert torch.isfinite(total)
    total.backward()
    optimiser.step()
    method.after_step(Progress(0, 1, 1, 2))
    moved = sum(not torch.equal(p, old) for p, old in zip(parameters, before, strict=True))
    assert moved > len(parameters) / 2
    seen = method.observe(run.batches_of(0)[0], Rng.root(2))
    assert all(torch.isfinite(rows).all() for rows in seen.values())


def train(run: Composed, steps: int, lr: float) -> None:
    method = run.method.train()
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=lr)
    done = 0
    while done < steps:
        epoch = run.batches_of(done)
        for batch in epoch:
            torch.manual_seed(done)
            loss = torch.stack(list(method(batch, Rng.root(done)).values())).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            done += 1
            method.after_step(Progress(0, 1, done, steps))


def accuracy(run: Composed, given: DomainData) -> dict[tuple[str, str], float]:
    """Test accuracy of linear probe and boosted trees by (probe, features)."""
    features = {
        "pretrained": embed(run.method.encoder, given.rows(), "cpu"),
        "untrained": embed(run.new_encoder(), given.rows(), "cpu"),
    }
    trees = LightGbm(LightGbmOptions(rounds=40))
    scores = judge(
        list(run.tasks.values()), features, given.raw_features, [], trees, EvaluateOptions(), 0, lambda line: None
    )
    return {(score.probe, score.features): score.value for score in scores if score.metric == "accuracy"}


SHORT = {
    "infonce": ["views.rate=0.4", "encoder.widths=[16, 6]", "method.projector.widths=[16]"],
    "vime": ["encoder.widths=[16, 6]"],
}


@pytest.mark.parametrize("name", list(SHORT))
def test_pretraining_beats_the_untrained_encoder_on_planted_classes(name: str) -> None:
    given = data(planted(600, 3))
    run = composed(resolved(name, "train.batch_size=128", *SHORT[name]), given)
    train(run, 120, 5e-3)
    found = accuracy(run, given)
    assert found["logistic", "pretrained"] > found["logistic", "untrained"] + 0.1
    assert found["logistic", "pretrained"] > 0.8


def test_shuffled_labels_land_at_chance() -> None:
    """The whole way, with labels that say nothing: no probe on any features may find something (120 test rows, chance 1/3)."""
    given = data(planted(600, 4, shuffled=True))
    run = composed(resolved("infonce", "train.batch_size=128", *SHORT["infonce"]), given)
    train(run, 30, 5e-3)
    found = accuracy(run, given)
    assert len(found) >= 5
    for which, value in found.items():
        assert abs(value - 1 / 3) < 0.15, which
