"""The command of an entry really comes to the recipe of its runs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from sslplug import discovery
from sslplug.build import schema_of
from sslplug.recipe import dump
from sslplug.stages.command import training_command
from sslplug.stages.recipes import chosen
from sslplug.stages.session import recipe_of_run

CHANGES = [
    (),
    ("optim.lr=1e-05", "train.epochs=2"),
    ("objective=vicreg",),
    ("objective=vicreg", "objective.variance=12.5"),
    ("encoder.hidden=16", "method.projector.widths=[8, 4]"),
    ("method=bootstrap", "objective=cosine", "method.momentum=0.9"),
    ("data.rows=96", "evaluate.fractions=[0.1, 1.0]", "evaluate.probes=[{name: knn}]", "evaluate.finetune.epochs=3"),
    ("evaluate.published={cluster: 0.5}",),
]


def resolve(plugin: str, recipe: str | None, overrides: tuple[str, ...]) -> dict[str, Any]:
    loaded = discovery.load(plugin)
    return chosen(loaded, recipe, overrides, schema_of(loaded)).to_dict()


def resolve_command(command: str) -> list[dict[str, Any]]:
    """The recipes that the commands train, as the command line would read them."""
    found = []
    for one in command.split(" && "):
        words = shlex.split(one)
        assert words[:2] == ["sslplug", "train"]
        options = list(zip(words[2::2], words[3::2], strict=True))
        sets = tuple(value for name, value in options if name == "--set")
        given = dict(options)
        first = resolve(given["--plugin"], given["--recipe"], sets)
        for number in range(int(given.get("--seeds", 1))):
            found.append(resolve(given["--plugin"], given["--recipe"], (*sets, f"seed={first['seed'] + number}")))
    return found


def plain(recipe: dict[str, Any]) -> dict[str, Any]:
    found = json.loads(json.dumps(recipe))
    found.pop("about")
    found["evaluate"].pop("published")
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("changes", CHANGES, ids=[" ".join(change) or "as shipped" for change in CHANGES])
@pytest.mark.parametrize("seeds", [(0, 1, 2), (7,), (0, 1, 5)])
def test_the_command_comes_to_the_recipe(toy: str, tmp_path: Path, changes: tuple[str, ...], seeds: tuple[int, ...]) -> None:
    recipe = resolve(toy, None, changes)
    command = training_command(recipe, seeds, tmp_path)
    assert [plain(one) for one in resolve_command(command)] == [plain(recipe | {"seed": seed}) for seed in seeds]
    assert str(tmp_path) not in command, "a shipped recipe needs no run folder"
    assert command.count("sslplug train") == (2 if seeds == (0, 1, 5) else 1)


def test_only_what_differs_is_set(toy: str, tmp_path: Path) -> None:
    recipe = resolve(toy, None, ("objective=vicreg", "train.epochs=2"))
    command = training_command(recipe, [0, 1], tmp_path)
    assert command == (
        "sslplug train --plugin toy --recipe crops-infonce --set objective=vicreg --set train.epochs=2 --seeds 2"
    )
    assert training_command(recipe, [3], tmp_path).endswith("--set train.epochs=2 --set seed=3")


def test_options_that_came_after_a_run_have_their_defaults(toy: str, tmp_path: Path) -> None:
    recipe = resolve(toy, None, ("train.epochs=2",))
    del recipe["train"]["max_steps"]
    (found,) = resolve_command(training_command(recipe, [0], tmp_path))
    assert found["train"]["max_steps"] == 0
    assert found["train"]["epochs"] == 2


def test_a_recipe_of_ones_own_or_of_a_plugin_that_is_gone_is_named_by_its_run(toy: str, tmp_path: Path) -> None:
    recipe = resolve(toy, None, ())
    own = training_command(recipe | {"name": "mine"}, [4], tmp_path)
    assert own == f"sslplug train --plugin toy --recipe {tmp_path / 'recipe.yaml'} --set seed=4"
    gone = training_command(recipe | {"plugin": "gone"}, [0, 1], tmp_path)
    assert gone == f"sslplug train --plugin gone --recipe {tmp_path / 'recipe.yaml'} --set seed=0 --seeds 2"
    older = training_command(recipe | {"optim": recipe["optim"] | {"no-such-option": 1}}, [0], tmp_path)
    assert "--recipe " + str(tmp_path) in older


def test_the_named_run_is_the_same_recipe(toy: str, tmp_path: Path) -> None:
    loaded = discovery.load(toy)
    resolved = chosen(loaded, None, ("encoder.hidden=16",), schema_of(loaded))
    (tmp_path / "recipe.yaml").write_text(dump(resolved))
    recipe = recipe_of_run(tmp_path, [])[0].to_dict() | {"name": "mine"}
    (tmp_path / "recipe.yaml").write_text(
        (tmp_path / "recipe.yaml").read_text().replace("name: crops-infonce", "name: mine")
    )
    (found,) = resolve_command(training_command(recipe, [3], tmp_path))
    assert plain(found) == plain(recipe | {"seed": 3})
