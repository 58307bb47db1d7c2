"""The matrix of a comparison: what fits, what is refused in the words of training, who stands in, what the small budget cuts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sslplug import stages
from sslplug.cli import run
from sslplug.contracts import Plugin
from sslplug.errors import UsageError
from sslplug.recipe import resolve
from sslplug.stages.bench.budget import SMALL_SPLITS, SMALL_STEPS, SMALL_WARMUP, cuts
from sslplug.stages.bench.matrix import Cell, Refused, expand, in_turn
from sslplug.stages.recipes import chosen, schema
from sslplug.testing.toy import TOY

JOINT = ["barlow", "cca_ssg", "cosine", "infonce", "metric_learning", "swav", "vicreg"]
CROPS: dict[str, Any] = {
    "data": "clusters", "views": "crops", "encoder": "cells", "method": {"name": "joint"}, "objective": {"name": "infonce"},
}  # fmt: skip
MASKED: dict[str, Any] = {
    "data": "clusters", "views": "masked", "encoder": "cells", "method": {"name": "masked", "decoder": {"name": "mlp"}},
    "objective": "mse",
}  # fmt: skip
SUM = {"name": "weighted_sum", "parts": {"one": {"method": {"name": "joint"}, "objective": "vicreg"}}}

Shipping = Callable[..., Plugin]


@pytest.fixture
def shipping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shipping:
    """``shipping(first={...}, second={...})``: the toy plugin with these recipes in place of its own, the first by default."""

    def make(**recipes: dict[str, Any]) -> Plugin:
        package = f"recipes_{tmp_path.name.replace('-', '_')}"
        folder = tmp_path / "site" / package
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        for name, raw in recipes.items():
            (folder / f"{name}.yaml").write_text(json.dumps({"plugin": "toy", "name": name, **raw}))
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        return replace(TOY, recipes=package, default_recipe=next(iter(recipes)))

    return make


def of(plugin: Plugin, *objectives: str, recipes: tuple[str, ...] = ()) -> tuple[dict[str, Cell], dict[str, Refused]]:
    cells, refused = expand(plugin, recipes, objectives, 1, "full")
    return {cell.objective: cell for cell in cells}, {one.objective: one for one in refused}


def test_the_default_recipe_meets_every_objective_that_fits() -> None:
    cells, refused = of(TOY)
    assert sorted(cells) == JOINT
    assert cells["infonce"].overrides == ("seed=0",), "its own objective, temperature and all, is the recipe as it is"
    assert cells["infonce"].resolved.picked["objective"].options.model_dump()["temperature"] == 0.5
    assert cells["barlow"].overrides == ("objective=barlow", "seed=0")
    assert cells["barlow"].resolved.picked["objective"].name == "barlow"
    assert sorted(refused) == ["cross_entropy", "jsd_local_global", "mse", "sce"]


def test_a_refusal_is_what_training_would_say(toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reason = of(TOY)[1]["mse"].reason
    assert run(["train", "--plugin", "toy", "--set", "objective=mse", "--runs", str(tmp_path)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert reason in said
    assert "needs 'score:views'" in reason


def test_a_cell_is_the_command_it_names() -> None:
    for cell in expand(TOY, [], [], 2, "small")[0]:
        words = cell.options
        assert words[:4] == ["--plugin", "toy", "--recipe", "crops-infonce"]
        assert set(words[4::2]) == {"--set"}
        assert chosen(TOY, words[3], words[5::2], schema_of_toy()).to_dict() == cell.resolved.to_dict()


def schema_of_toy() -> Any:
    from sslplug.build import schema_of

    return schema_of(TOY)


def test_seeds_count_up_from_the_recipes_own(shipping: Shipping) -> None:
    cells, _ = expand(shipping(first={**CROPS, "seed": 5}), [], ["infonce", "vicreg"], 3, "full")
    assert [(cell.resolved.seed, cell.objective) for cell in cells] == [
        (seed, name) for seed in (5, 6, 7) for name in ("infonce", "vicreg")
    ], "a whole comparison stands after the first seed"
    assert len({cell.digest for cell in cells}) == 6


def test_plugins_take_turns_within_a_seed() -> None:
    def cell(plugin: str, seed: int, name: str) -> Cell:
        return Cell(plugin, name, name, (), replace(expand(TOY, [], ["own"], 1, "full")[0][0].resolved, seed=seed))

    many = [cell("a", seed, name) for seed in (3, 4) for name in "xyz"]
    few = [cell("b", seed, name) for seed in (0, 1) for name in "uv"]
    turns = [(one.plugin, one.resolved.seed, one.recipe) for one in in_turn([*many, *few])]
    assert turns == [
        ("a", 3, "x"), ("b", 0, "u"), ("a", 3, "y"), ("b", 0, "v"), ("a", 3, "z"),
        ("a", 4, "x"), ("b", 1, "u"), ("a", 4, "y"), ("b", 1, "v"), ("a", 4, "z"),
    ]  # fmt: skip


def test_a_recipe_written_for_an_objective_stands_in(shipping: Shipping) -> None:
    """On the default recipe's data and judged as it is, with all else its own."""
    judged = {"fractions": [0.5, 1.0], "published": {"x": 0.9}}
    plugin = shipping(
        first={**CROPS, "data": {"name": "clusters", "rows": 96}, "evaluate": judged},
        second={**MASKED, "train": {"epochs": 7}, "evaluate": {"splits": 1}},
        third={**MASKED, "objective": "cross_entropy", "views": "identity"},
    )
    cells, refused = of(plugin)
    stands_in = cells["mse"].resolved
    assert (cells["mse"].recipe, stands_in.name) == ("second", "second-on-clusters")
    assert stands_in.picked["data"].options.model_dump()["rows"] == 96
    assert stands_in.to_dict()["evaluate"]["fractions"] == [0.5, 1.0]
    assert stands_in.to_dict()["evaluate"]["published"] == {}, "what others published is not this recipe's"
    assert stands_in.to_dict()["evaluate"]["splits"] == 0
    assert stands_in.to_dict()["train"]["epochs"] == 7
    assert stands_in.picked["method"].name == "masked"
    assert cells["infonce"].resolved.name == "first"
    assert refused["cross_entropy"].recipe == "first", "a recipe that cannot work itself stands in for nothing"
    assert refused["sce"].reason.startswith("method: method 'joint' needs 'score:views'")


def test_for_an_objective_on_views_any_recipe_that_compares_views_stands_in(shipping: Shipping) -> None:
    plugin = shipping(
        first=MASKED,
        a_sum={**CROPS, "method": SUM, "objective": None},
        crops={**CROPS, "views": {"name": "crops", "views": 3}},
    )
    cells, refused = of(plugin)
    assert cells["mse"].recipe == cells["sce"].recipe == "first"
    assert cells["vicreg"].recipe == "a_sum", "written for it"
    assert cells["infonce"].overrides == ("seed=0",)
    assert {cells[name].recipe for name in JOINT if name not in ("vicreg", "cosine")} == {"crops"}, (
        "the objective of a whole"
    )
    assert cells["barlow"].overrides == ("objective=barlow", "seed=0"), "on its own data it keeps its name"
    assert cells["cosine"].recipe == "first", "it also compares predictions, so the default recipe can take it"
    assert list(refused) == ["jsd_local_global"]


def test_an_objective_in_a_part_of_a_sum_is_replaced_there(shipping: Shipping) -> None:
    cells, _ = of(shipping(first={**CROPS, "method": SUM, "objective": None}), "barlow")
    assert cells["barlow"].overrides == ("method.parts.one.objective=barlow", "seed=0")
    parts = cells["barlow"].resolved.to_dict()["method"]["parts"]
    assert parts["one"]["objective"]["name"] == "barlow"


def test_of_two_objectives_none_gives_way(shipping: Shipping) -> None:
    two = {**SUM, "parts": {**SUM["parts"], "two": {"method": {"name": "joint"}, "objective": "barlow"}}}  # type: ignore[dict-item]
    cells, refused = of(shipping(first={**CROPS, "method": two, "objective": None}))
    assert list(cells) == ["own"]
    assert "names objectives at method.parts.one.objective (vicreg) and method.parts.two.objective (barlow)" in (
        refused["infonce"].reason
    )


def test_named_recipes_stand_for_themselves(shipping: Shipping) -> None:
    plugin = shipping(first=CROPS, second=MASKED)
    cells, refused = of(plugin, "mse", "vicreg", recipes=("second",))
    assert (cells["mse"].recipe, list(refused)) == ("second", ["vicreg"])
    assert list(of(plugin, "own", recipes=("first", "second"))[0]) == ["infonce", "mse"]
    with pytest.raises(UsageError, match="ships no recipe 'thrid'"):
        of(plugin, recipes=("thrid",))


def test_a_broken_plugin_and_a_broken_default_hurt_no_other(
    toy: str, shipping: Shipping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = shipping(first={**CROPS, "objective": "mse"})
    (tmp_path / "site" / "other_plugin.py").write_text(
        f"from dataclasses import replace\nfrom sslplug.testing.toy import TOY\n"
        f"OTHER = replace(TOY, name='other', recipes={broken.recipes!r}, default_recipe='first')\n"
    )
    (tmp_path / "site" / "hurt_plugin.py").write_text("raise RuntimeError('no card')")
    info = tmp_path / "site" / "more-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sslplug.plugins]\nother = other_plugin:OTHER\nhurt = hurt_plugin:HURT\n")
    monkeypatch.setenv("SSLPLUG_DISABLE", "graph,lidar,recsys,events,wearable,tabular")
    text = (tmp_path / "site" / broken.recipes / "first.yaml").read_text()
    (tmp_path / "site" / broken.recipes / "first.yaml").write_text(text.replace('"toy"', '"other"'))
    found = stages.matrix(None, recipes=[], objectives=["own", "mse"], seeds=1, budget="small")
    assert [(cell.plugin, cell.objective) for cell in found.cells] == [("toy", "infonce")]
    reasons = {(one.plugin, one.objective): one.reason for one in found.refused}
    assert set(reasons) == {("hurt", ""), ("other", ""), ("toy", "mse")}
    assert "RuntimeError: no card" in reasons["hurt", ""]
    assert "needs 'score:views'" in reasons["other", ""]
    with pytest.raises(UsageError, match="needs 'score:views'"):
        stages.matrix("other", recipes=[], objectives=[], seeds=1, budget="small")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["toy", "--objectives", "infonse"], "no plugin here has such an objective. Did you mean 'infonce'?"),
        (["--all", "--recipes", "crops-infonce"], "give that PLUGIN in place of --all"),
        ([], "Name one PLUGIN or --all"),
        (["toy", "--all"], "Name one PLUGIN or --all"),
        (["toy", "--objectives", "mse"], "No combination of this matrix can be run"),
    ],
)
def test_wrong_words_are_refused(
    toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert run(["bench", *words, "--runs", str(tmp_path / "runs")]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "runs").exists()


def cut(**sections: Any) -> list[str]:
    return cuts("small", resolve({"plugin": "toy", **CROPS, **sections}, schema_of_toy(), "r.yaml"))


def test_the_small_budget_cuts_by_one_rule(toy: str) -> None:
    steps, splits = f"train.max_steps={SMALL_STEPS}", f"evaluate.splits={SMALL_SPLITS}"
    assert cut() == [steps, splits, "evaluate.fractions=[0.1, 1.0]"]
    fits = {"fractions": [0.2, 1.0], "splits": 1}
    assert cut(train={"max_steps": SMALL_STEPS}, evaluate=fits) == []
    assert cut(train={"max_steps": SMALL_STEPS + 1}, evaluate=fits) == [steps]
    assert cut(optim={"warmup": SMALL_WARMUP}, evaluate=fits) == [steps]
    assert cut(optim={"warmup": SMALL_WARMUP + 1}, evaluate=fits) == [steps, f"optim.warmup={SMALL_WARMUP}"]
    assert cut(evaluate={**fits, "fractions": [1.0, 0.3, 0.02, 0.1]}) == [steps, "evaluate.fractions=[0.02, 1.0]"]
    assert cut(evaluate={**fits, "finetune": {"tune": 5}}) == [steps, "evaluate.finetune=null"]
    searching = {**fits, "probes": ["logistic", {"name": "mlp", "tune": 9}], "lightgbm": {"tune": 100}}
    assert cut(evaluate=searching) == [steps, "evaluate.probes.1.tune=0", "evaluate.lightgbm.tune=0"]
    searching["finetune"] = {"epochs": 3}
    raw = {"plugin": "toy", **CROPS, "evaluate": searching}
    small = resolve(raw, schema("toy"), "r.yaml")
    assert cuts("full", small) == []


def test_what_is_cut_resolves_and_needs_no_further_cut(shipping: Shipping) -> None:
    searching = {"probes": [{"name": "mlp", "tune": 9}], "lightgbm": {"tune": 100}, "finetune": {"epochs": 3}}
    (cell,) = expand(shipping(first={**CROPS, "evaluate": searching}), [], ["own"], 1, "small")[0]
    plain = cell.resolved.to_dict()
    assert (plain["train"]["max_steps"], plain["evaluate"]["splits"]) == (SMALL_STEPS, SMALL_SPLITS)
    assert (plain["evaluate"]["finetune"], plain["evaluate"]["lightgbm"]["tune"]) == (None, 0)
    assert plain["evaluate"]["probes"][0]["tune"] == 0
    assert plain["evaluate"]["lightgbm"]["rounds"] == 2000, "the control keeps its rounds"
    assert cuts("small", cell.resolved) == []
