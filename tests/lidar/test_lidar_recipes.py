"""The plugin's recipes: all resolve, and those on generated clouds train."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sslplug.build import compose, recipe_tags, schema_of
from sslplug.contracts import DataContext, DomainData, Order, Progress
from sslplug.discovery import load, recipes_of
from sslplug.randomness import Rng
from sslplug.recipe import Resolved, read_recipe, resolve

PLUGIN = load("lidar")
SCHEMA = schema_of(PLUGIN)
SMALL = {"objects": {"objects": 80}, "street": {"drives": 4, "sweeps": 2, "points": 400, "rings": 16, "azimuths": 120}}
GENERATED = sorted(name for name, path in recipes_of(PLUGIN).items() if read_recipe(path)["data"]["name"] in SMALL)


def resolved(name: str, small: bool = False) -> Resolved:
    """A shipped recipe, on less data if asked."""
    raw = dict(read_recipe(recipes_of(PLUGIN)[name]))
    if small:
        raw["data"] = {**raw["data"], **SMALL[raw["data"]["name"]]}
        raw["train"] = {**raw["train"], "batch_size": 3}
    return resolve(raw, SCHEMA, f"{name}.yaml", recipe_tags(raw))


@pytest.fixture(scope="module")
def data_of():
    """Each generated set once."""
    made: dict[str, DomainData] = {}

    def get(recipe: Resolved) -> DomainData:
        picked = recipe.picked["data"]
        key = repr(picked.options)
        if key not in made:
            made[key] = picked.component.build(picked.options, DataContext(None, Path(), 0))
        return made[key]

    return get


@pytest.mark.parametrize("name", sorted(recipes_of(PLUGIN)))
def test_recipes_resolve(name: str) -> None:
    found = resolved(name)
    assert found.name == name
    assert found.about


@pytest.mark.parametrize("name", GENERATED)
def test_recipes_on_generated_clouds_take_steps(name: str, data_of) -> None:
    recipe = resolved(name, small=True)
    torch.manual_seed(0)
    parts = compose(recipe, SCHEMA, data_of(recipe), torch.device("cpu"))
    before = {key: value.clone() for key, value in parts.method.encoder.named_parameters()}
    optimiser = torch.optim.Adam([p for p in parts.method.parameters() if p.requires_grad], lr=1e-3)
    for step in range(2):
        batch = parts.data.batches(Order(0, step, batch_size=3))[0]
        terms = parts.method.train()(batch, Rng.root(step))
        loss = torch.stack(list(terms.values())).sum()
        assert bool(torch.isfinite(loss)), terms
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        parts.method.after_step(Progress(0, 1, step + 1, 2))
    moved = [not torch.equal(before[key], value) for key, value in parts.method.encoder.named_parameters()]
    assert sum(moved) > len(moved) / 3
    seen = parts.method.observe(batch, Rng.root(9))
    assert all(rows.ndim == 2 and not rows.requires_grad for rows in seen.values())


def test_the_equivariant_recipe_and_its_twin_differ_in_what_they_ask_alone() -> None:
    pair = [resolved(name) for name in ("equivariant-street", "invariant-street")]
    for section in ("data", "encoder"):
        assert pair[0].picked[section].options == pair[1].picked[section].options
    assert pair[0].sections["optim"] == pair[1].sections["optim"]
    assert pair[0].sections["train"] == pair[1].sections["train"]
    first, second = (recipe.picked["method"].options.parts for recipe in pair)
    assert {name: part.weight for name, part in first.items()} == {name: part.weight for name, part in second.items()}
