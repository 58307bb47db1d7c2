"""Recipes: read, override, resolve, refuse with every problem at once, write out, describe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from sslplug.contracts import Choice, Component, Options, Role, tags
from sslplug.errors import RecipeError
from sslplug.recipe import Schema, apply_overrides, describe, dump, json_schema, pick, read_recipe, resolve
from sslplug.recipe_yaml import write_yaml


class Nothing(Options):
    """No options."""


class Width(Options):
    width: int = Field(64, ge=1, description="Units of the hidden layer.")
    dims: tuple[int, ...] = (1, 2)
    activation: Literal["relu", "elu"] = "relu"
    bias: bool = True
    rate: float | None = None


class Deep(Options):
    head: Annotated[Choice, Role("decoder")] = Choice(name="mlp")
    further: list[Annotated[Choice, Role("decoder")]] = []
    named: Mapping[str, Annotated[Choice, Role("decoder")]] = {}
    inner: Width = Width(width=7)


class Masked(Options):
    decoder: Annotated[Choice, Role("decoder")] = Choice(name="mlp")


class Part(Options):
    weight: float = 1.0
    method: Annotated[Choice, Role("method")]
    views: Annotated[Choice, Role("views")] | None = None
    objective: Annotated[Choice | None, Role("objective")] = None


class Sum(Options):
    parts: tuple[Part, ...]


class Blur(Options):
    name: Literal["blur"] = "blur"
    sigma: float = Field(1.0, ge=0)


class Flip(Options):
    name: Literal["flip"] = "flip"
    share: float = Field(0.5, ge=0, le=1)


class Chain(Options):
    steps: list[Annotated[Blur | Flip, Field(discriminator="name")]] = []


class Files(Options):
    path: Path
    many: bool = False


class Evaluate(Options):
    """How a run is judged."""

    probes: tuple[Annotated[Choice, Role("probe")], ...] = (Choice(name="logistic"),)


def build(*arguments: Any) -> None:
    """Never called: recipes are only words."""


def part(options: type[Options], provides: str = "", needs: str = "", refuses: str = "") -> Component:
    return Component(
        options, build, "One line.", tags(*provides.split()), tags(*needs.split()), refuses=tags(*refuses.split())
    )


SCHEMA = Schema(
    "toy",
    {
        "data": {"blobs": part(Nothing), "files": part(Files)},
        "views": {"drop": part(Nothing, "pair"), "mask": part(Width, "masks"), "slices": part(Nothing, "pair uneven")},
        "encoder": {"gcn": part(Width), "hider": part(Width, "hides"), "deep": part(Deep)},
        "decoder": {"mlp": part(Width)},
        "method": {
            "joint": part(Nothing, needs="pair score:views"),
            "masked": part(Masked, needs="masks hides score:prediction"),
            "sum": part(Sum),
            "bootstrap": part(Nothing, needs="pair"),
        },
        "objective": {
            "infonce": part(Width, "score:views"),
            "sce": part(Nothing, "score:prediction"),
            "supcon": part(Nothing, "score:views", "labels"),
            "barlow": part(Nothing, "score:views", refuses="uneven"),
        },
        "probe": {"logistic": part(Width)},
    },
    {"optim": Width, "train": Nothing, "evaluate": Evaluate},
)
GOOD: dict[str, Any] = {
    "plugin": "toy",
    "data": "blobs",
    "views": "drop",
    "encoder": {"name": "gcn", "width": 3},
    "method": "joint",
    "objective": "infonce",
}
SUM: dict[str, Any] = {
    "plugin": "toy",
    "data": "blobs",
    "views": "drop",
    "encoder": "hider",
    "method": {
        "name": "sum",
        "parts": [
            {"method": "joint", "objective": "infonce"},
            {"method": {"name": "masked", "decoder": {"name": "mlp", "width": 5}}, "views": "mask", "objective": "sce"},
        ],
    },
}


def problems(raw: Mapping[str, Any], granted: frozenset[str] = frozenset()) -> dict[str, str]:
    """{dotted path: sentence} of a recipe that must be refused; sentences about one place are joined."""
    with pytest.raises(RecipeError) as caught:
        resolve(raw, SCHEMA, "bad.yaml", granted)
    found: dict[str, str] = {}
    for path, sentence in caught.value.problems:
        found[path] = f"{found.get(path, '')} {sentence}".strip()
    return found


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    return file


class TestReading:
    def test_scalars_mean_what_they_look_like(self, tmp_path: Path) -> None:
        text = "a: 1e-3\nb: yes\nc: 2024-01-01\nd: 010\ne: true\nf: 1:30\ng: null\nh: -3\ni: .5\nj: 0x10\nk: 1_000\n"
        assert read_recipe(written(tmp_path, text)) == {
            "a": 0.001, "b": "yes", "c": "2024-01-01", "d": "010", "e": True, "f": "1:30", "g": None, "h": -3, "i": 0.5,
            "j": 16, "k": "1_000",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "where", "sentence"),
        [
            ("a: 1\nb: 2\na: 3\n", "line 3, column 1", "found the key 'a' twice (first on line 1)"),
            ("a:\n  b: 1\n  b: 2\n", "line 3, column 3", "found the key 'b' twice (first on line 2)"),
            ("a: [1, 2\nb: 3\n", "line 2", "no YAML that a recipe can hold"),
            ("a: !!python/object/apply:os.system ['true']\n", "line 1, column 4", "could not determine a constructor"),
            ("a: &x [1]\nb: *x\n", "line 2, column 4", "found an alias"),
            ("? [a, b]\n: 1\n", "line 1, column 3", "found a key that is not a word"),
            ("- a\n", "file", "holds a list; expected sections"),
            ("", "file", "holds nothing; expected sections"),
            ("a: " + "[" * 5000, "file", "nested too deeply"),
            ("a: \x00\n", "file", "no YAML text"),
        ],
    )
    def test_broken_yaml_names_the_line(self, tmp_path: Path, text: str, where: str, sentence: str) -> None:
        with pytest.raises(RecipeError) as caught:
            read_recipe(written(tmp_path, text))
        ((path, said),) = caught.value.problems
        assert path.startswith(where)
        assert sentence in said

    def test_missing_and_binary_files(self, tmp_path: Path) -> None:
        with pytest.raises(RecipeError, match="cannot be read: No such file"):
            read_recipe(tmp_path / "none.yaml")
        (tmp_path / "binary.yaml").write_bytes(b"a: \xff\n")
        with pytest.raises(RecipeError, match="byte 3 is not UTF-8"):
            read_recipe(tmp_path / "binary.yaml")

    plain = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
        max_leaves=8,
    )

    @given(st.dictionaries(st.text(min_size=1), plain, max_size=4))
    def test_what_is_written_reads_back(self, tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]) -> None:
        file = tmp_path_factory.getbasetemp() / "written.yaml"
        file.write_bytes(write_yaml(content).encode())
        assert read_recipe(file) == content

    def test_any_yaml_reader_reads_it_alike(self) -> None:
        content = {"a": "yes", "b": "1e-3", "c": 1e-05, "d": "2024-01-01", "e": "010", "f": [1, [2.5, None]]}
        assert yaml.safe_load(write_yaml(content)) == content


class TestOverrides:
    def test_every_form(self) -> None:
        raw = {"encoder": "gcn", "data": {"name": "blobs", "n": 3}, "parts": [{"w": 1}, {"w": 2}]}
        changed = apply_overrides(
            raw, ["encoder.width=8", "optim.lr=1e-3", "data=files", "seed=4", "parts.1.w=[5, 6]", "a.b.c=x=y", "flag=true"]
        )
        assert changed == {
            "encoder": {"name": "gcn", "width": 8}, "optim": {"lr": 0.001}, "data": "files", "seed": 4,
            "parts": [{"w": 1}, {"w": [5, 6]}], "a": {"b": {"c": "x=y"}}, "flag": True,
        }  # fmt: skip
        assert raw["encoder"] == "gcn"
        assert raw["parts"] == [{"w": 1}, {"w": 2}]

    def test_a_new_name_drops_the_old_options(self) -> None:
        raw = {"encoder": {"name": "gcn", "width": 3}}
        assert apply_overrides(raw, ["encoder.name=gat"]) == {"encoder": {"name": "gat"}}
        assert apply_overrides(raw, ["encoder.name=gcn"]) == raw

    def test_all_problems_at_once(self) -> None:
        with pytest.raises(RecipeError) as caught:
            apply_overrides({"a": 3, "l": [1]}, ["nonsense", "a.b=1", "x=[1", ".=2", "l.5=1"])
        paths = [path for path, _ in caught.value.problems]
        assert paths == ["--set nonsense", "--set a.b=1", "--set x=[1", "--set .=2", "--set l.5=1"]
        said = str(caught.value)
        assert "expected section.option=value" in said
        assert "a is 3, which has no option 'b'" in said
        assert "l is a list of 1; '5' is none of its positions" in said


class TestResolve:
    @pytest.mark.parametrize("raw", [GOOD, SUM, {**GOOD, "encoder": "deep", "seed": 3, "name": "my.run", "about": "Text."}])
    def test_round_trip(self, raw: dict[str, Any], tmp_path: Path) -> None:
        first = resolve(raw, SCHEMA, "a/grace.yaml")
        again = resolve(read_recipe(written(tmp_path, dump(first))), SCHEMA, "elsewhere.yaml")
        assert again == first
        assert again.to_dict() == first.to_dict()

    def test_defaults_are_written_out_also_nested(self) -> None:
        resolved = resolve(
            {**GOOD, "encoder": {"name": "deep", "further": ["mlp"], "named": {"x": "mlp"}}}, SCHEMA, "grace.yaml"
        )
        mlp = {"name": "mlp", "width": 64, "dims": [1, 2], "activation": "relu", "bias": True, "rate": None}
        plain = resolved.to_dict()
        assert plain["encoder"]["head"] == mlp
        assert plain["encoder"]["further"] == [mlp]
        assert plain["encoder"]["named"] == {"x": mlp}
        assert plain["encoder"]["inner"]["width"] == 7
        assert plain["evaluate"]["probes"] == [mlp | {"name": "logistic"}]
        assert (resolved.name, resolved.seed, resolved.plugin) == ("grace", 0, "toy")
        assert resolved.picked["encoder"].options.head.given()["width"] == 64  # type: ignore[attr-defined]

    def test_pick_builds_from_a_nested_choice(self) -> None:
        picked = pick(Choice.model_validate({"name": "mlp", "width": 9}), "decoder", SCHEMA)
        assert picked.component is SCHEMA.tables["decoder"]["mlp"]
        assert picked.options == Width(width=9)
        with pytest.raises(RecipeError, match=r"decoder.widht: unknown key. Did you mean 'width'\?"):
            pick(Choice.model_validate({"name": "mlp", "widht": 9}), "decoder", SCHEMA)

    def test_every_problem_at_once_with_path_and_nearest(self) -> None:
        found = problems(
            {
                **GOOD,
                "encodr": 1,
                "seed": "3",
                "name": "../up",
                "views": "dorp",
                "encoder": {
                    "name": "gcn",
                    "widht": 3,
                    "width": "200",
                    "activation": "relo",
                    "dims": [1, "a"],
                    "bias": "yes",
                },
                "optim": {"width": 0, "rate": "a"},
                "evaluate": {"probes": [{"name": "logistic", "width": 1.5}, "logistics"]},
            }
        )
        assert set(found) == {
            "encodr", "seed", "name", "views", "encoder.widht", "encoder.width", "encoder.activation", "encoder.dims.1",
            "encoder.bias", "optim.width", "optim.rate", "evaluate.probes.0.width", "evaluate.probes.1",
        }  # fmt: skip
        assert found["encodr"].startswith("unknown section. Did you mean 'encoder'?")
        assert found["seed"] == "found '3'; expected a whole number from 0 to 2**63 - 1."
        assert "names a folder" in found["name"]
        assert "no views component named 'dorp'. Did you mean 'drop'? Known: drop, mask, slices." in found["views"]
        assert found["encoder.widht"].startswith("unknown key. Did you mean 'width'?")
        assert found["encoder.width"] == "found '200' (text); expected a whole number."
        assert found["encoder.bias"] == "found 'yes' (text); expected true or false."
        assert "did you mean 'relu'?" in found["encoder.activation"]
        assert found["optim.width"] == "found 0; expected greater than or equal to 1."
        assert found["optim.rate"] == "found 'a' (text); expected a number."
        assert found["evaluate.probes.0.width"] == "found 1.5; expected a whole number."
        assert "Did you mean 'logistic'?" in found["evaluate.probes.1"]

    def test_missing_sections_and_options(self) -> None:
        found = problems({"data": {"name": "files"}, "encoder": 3, "method": {"width": 1}, "optim": 5})
        assert found["plugin"] == "is missing; add 'plugin: toy'."
        assert found["data.path"] == "is missing and has no default; give it a value."
        assert found["views"].startswith("is missing; choose a component")
        assert found["encoder"].startswith("found 3; expected a name, or a mapping with a name.")
        assert found["method"].startswith("names no component; add 'name: ...'.")
        assert found["optim"] == "found 5; expected a mapping of options."
        assert problems({**GOOD, "plugin": "other"})["plugin"] == "found 'other'; this recipe is read for plugin 'toy'."

    def test_models_of_a_list_are_told_apart_by_their_name(self) -> None:
        schema = Schema("toy", {"data": {"chain": Component(Chain, lambda options: None, "steps")}}, {})
        steps = [{"name": "flip", "share": 0.25}, {"name": "blur", "sigma": 2}]
        picked = pick(Choice(name="chain", steps=steps), "data", schema)
        assert picked.options == Chain(steps=[Flip(share=0.25), Blur(sigma=2.0)])
        wrong = [{"name": "flip", "sigma": 2}, {"name": "flop"}, {"name": "blur", "sigma": -1}]
        with pytest.raises(RecipeError) as caught:
            pick(Choice(name="chain", steps=wrong), "data", schema)
        lines = str(caught.value).splitlines()[1:]
        assert len(lines) == 3, lines
        assert "steps.0.sigma: unknown key" in lines[0]
        assert "steps.1: nothing here is named 'flop'. Did you mean 'flip'?" in lines[1]
        assert "steps.2" in lines[2]
        assert "sigma" in lines[2]

    def test_booleans_are_no_numbers_and_nan_is_refused(self) -> None:
        assert problems({**GOOD, "seed": True}).keys() == {"seed"}
        assert problems({**GOOD, "optim": {"width": True}}).keys() == {"optim.width"}
        assert "a finite number" in problems({**GOOD, "optim": {"rate": float("nan")}})["optim.rate"]

    def test_nested_choices_are_checked_where_they_stand(self) -> None:
        deep = {
            "name": "deep",
            "head": {"name": "mlp", "with": 1},
            "further": ["mlq"],
            "named": {"x": {"name": "mlp", "width": -1}},
        }
        found = problems({**GOOD, "encoder": {**deep, "inner": {"wide": 3}}})
        assert set(found) == {"encoder.head.with", "encoder.further.0", "encoder.named.x.width", "encoder.inner.wide"}


class TestFit:
    def test_a_misfit_names_who_what_and_a_combination_that_works(self) -> None:
        found = problems({**GOOD, "method": "masked"})["method"]
        assert "method 'masked' needs 'hides', which none of data 'blobs', views 'drop', encoder 'gcn'" in found
        assert "It comes with encoder: hider." in found
        advice = "This would work: views: mask, encoder: hider, objective: sce."
        assert advice in found
        resolve({**GOOD, "method": "masked", "views": "mask", "encoder": "hider", "objective": "sce"}, SCHEMA, "ok")

    def test_an_objective_that_is_missing_or_unused(self) -> None:
        without = {key: value for key, value in GOOD.items() if key != "objective"}
        assert (
            "It comes with objective: infonce, supcon, barlow. This would work: objective: infonce."
            in problems(without)["method"]
        )
        unused = problems({**GOOD, "method": "bootstrap"})
        assert unused["objective"].startswith("objective 'infonce' would never be used: method 'bootstrap'")
        resolve({**without, "method": "bootstrap"}, SCHEMA, "ok")

    def test_what_a_part_refuses_must_not_be_brought(self) -> None:
        found = problems({**GOOD, "views": "slices", "objective": "barlow"})
        assert found == {
            "objective": "objective 'barlow' cannot work with 'uneven', which views 'slices' brings with these options. "
            "This would work: views: drop."
        }
        resolve({**GOOD, "views": "slices"}, SCHEMA, "ok")
        resolve({**GOOD, "objective": "barlow"}, SCHEMA, "ok")

    def test_advice_brings_nothing_that_is_refused(self) -> None:
        found = problems({**GOOD, "views": "mask", "objective": "barlow"})["method"]
        assert found.endswith("This would work: views: drop.")
        parts = [{"method": "joint", "objective": "barlow"}]
        found = problems({**SUM, "views": "slices", "method": {"name": "sum", "parts": parts}})
        assert list(found) == ["method.parts.0.objective"]

    def test_a_misfit_is_told_beside_other_problems(self) -> None:
        found = problems({**GOOD, "method": "masked", "seed": -1, "optim": {"widht": 1}})
        assert set(found) == {"method", "seed", "optim.widht"}

    def test_labels_are_granted_by_the_train_section(self) -> None:
        raw = {**GOOD, "objective": "supcon"}
        assert "It comes with train.labels, set to a task." in problems(raw)["objective"]
        resolve(raw, SCHEMA, "ok", frozenset({"labels"}))

    def test_parts_of_a_sum_are_recipes_of_their_own(self) -> None:
        first, second = SUM["method"]["parts"]
        without_views = {key: value for key, value in second.items() if key != "views"}
        raw = {**SUM, "method": {"name": "sum", "parts": [{"method": "joint"}, without_views]}}
        found = problems(raw)
        assert set(found) == {"method.parts.0.method", "method.parts.1.method"}
        assert "This would work: method.parts.0.objective: infonce." in found["method.parts.0.method"]
        assert "This would work: method.parts.1.views: mask." in found["method.parts.1.method"]
        found = problems({**SUM, "objective": "sce"})
        assert "would never be used" in found["objective"]
        found = problems({**SUM, "method": {"name": "sum", "parts": [first, {"wieght": 2, "method": {"name": "maskd"}}]}})
        assert set(found) == {"method.parts.1.wieght", "method.parts.1.method"}


class TestDescription:
    def test_rows(self) -> None:
        rows = {(row.role, row.name): row for row in describe(SCHEMA)}
        assert rows["method", "joint"].needs == ("pair", "score:views")
        assert rows["views", "mask"].provides == ("masks",)
        options = {option.name: option for option in rows["encoder", "deep"].options}
        assert (options["head"].type, options["head"].default) == ("one decoder", "mlp")
        assert options["further"].type == "[one decoder, ...]"
        assert (options["inner"].default, options["inner.width"].default) == ("{width: 7}", "64")
        assert options["inner.width"].meaning == "Units of the hidden layer."
        assert {o.name: o.default for o in rows["data", "files"].options} == {"path": "required", "many": "false"}
        assert rows["evaluate", ""].summary == "How a run is judged."
        width = {option.name: option for option in rows["encoder", "gcn"].options}
        assert width["activation"].type == "relu | elu"
        assert width["rate"].type == "number | null"

    def test_json_schema_is_closed_and_keyed_by_name(self) -> None:
        schema = json_schema(SCHEMA)
        assert json.loads(json.dumps(schema)) == schema
        assert schema["additionalProperties"] is False
        definitions = schema["$defs"]
        encoders = definitions["choice-encoder"]["oneOf"]
        assert encoders[0] == {"enum": ["gcn", "hider", "deep"]}
        gcn = next(item for item in encoders[1:] if item["properties"]["name"] == {"const": "gcn"})
        assert gcn["additionalProperties"] is False
        assert gcn["properties"]["width"]["minimum"] == 1
        deep = next(item for item in encoders[1:] if item["properties"]["name"] == {"const": "deep"})
        assert deep["properties"]["head"]["$ref"] == "#/$defs/choice-decoder"
        assert deep["properties"]["further"]["items"]["$ref"] == "#/$defs/choice-decoder"
        assert deep["properties"]["named"]["additionalProperties"]["$ref"] == "#/$defs/choice-decoder"
        assert {"$ref": "#/$defs/choice-views"} in definitions["Part"]["properties"]["views"]["anyOf"]
        files = definitions["choice-data"]["oneOf"]
        assert files[0] == {"enum": ["blobs"]}
        assert "path" in files[-1]["required"]
        references = set(_references(schema))
        assert references <= {f"#/$defs/{name}" for name in definitions}


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [ref for item in value.values() for ref in _references(item)]
    return [ref for item in value for ref in _references(item)] if isinstance(value, list) else []
