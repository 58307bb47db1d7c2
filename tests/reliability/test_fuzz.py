"""Random recipes and command lines: whatever is typed, the user reads a sentence, never a traceback, and the exit code says whose fault.

SSLPLUG_FUZZ is the number of examples of each test; `make reliability` asks for thousands.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import os
import resource
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sslplug import discovery
from sslplug.build import schema_of
from sslplug.cli import run
from sslplug.errors import SslplugError
from sslplug.recipe import read_recipe, resolve
from sslplug.recipe_yaml import write_yaml
from sslplug.stages.recipes import checked, chosen
from sslplug.testing.toy import TOY as TOY_PLUGIN

EXAMPLES = int(os.environ.get("SSLPLUG_FUZZ", "60"))
# No examples are kept: those of an earlier state of these strategies fit the next one badly.
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
OWN = ("graph", "tabular", "wearable", "events", "recsys", "lidar")

NUMBERS = st.sampled_from(
    [-(2**70), -1, 0, 1, 2, 3, 7, 1000, 17, 2**31, 2**40, 2**53, 2**63, 2**64, 10**30, -0.5, 0.0, 0.3, 1e-300, 1e300]
)
WORDS = st.one_of(
    st.sampled_from(
        ["", " ", "null", "name", "files", "joint", "infonce", "cells", "crops", "clusters", "..", "/", "~", "a/b", "{", "[x", "!!", "&a",
         "*a", "<<", "\0", "\ud800", "é", "\u202e", "x" * 5000, "__class__", "os.system", "1e5", "0x", "yes"]
    ),
    st.text(max_size=8),
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.floats(), WORDS)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)), max_leaves=6
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in plain data, the whole first."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


@st.composite
def mutated(draw: st.DrawFn, raw: dict[str, Any]) -> dict[str, Any]:
    """Some places of a recipe replaced, removed or grown."""
    made = copy.deepcopy(raw)
    for _ in range(draw(st.integers(1, 3))):
        found = [path for path in places(made) if path]
        if not found:
            break
        path = draw(st.sampled_from(found))
        holder = made
        for key in path[:-1]:
            holder = holder[key]
        what = draw(st.sampled_from(["retype", "retype", "retype", "replace", "remove", "grow"]))
        old = holder[path[-1]]
        if what == "retype" and isinstance(old, int | float):
            holder[path[-1]] = draw(NUMBERS if isinstance(old, int) else st.one_of(NUMBERS, st.floats()))
        elif what == "retype" and isinstance(old, str):
            holder[path[-1]] = draw(WORDS)
        elif what == "remove":
            del holder[path[-1]]
        elif what == "grow" and isinstance(holder, dict):
            holder[draw(WORDS)] = draw(VALUES)
        else:
            holder[path[-1]] = draw(VALUES)
    return made


def spoken(words: list[str]) -> tuple[int, str]:
    """The exit code and all that is printed."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # here a warning is an error; a user reads it, and the numbers are checked
        code = run(words)
    return code, said.getvalue()


def plain(code: int, said: str) -> None:
    assert code in (0, 1, 2), said
    assert "Traceback" not in said
    assert "defect" not in said, said


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """Three GB more than this process has: what is asked for beyond them is refused, and no machine is brought down."""
    importlib.import_module("sslplug.stages")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if Path("/proc").is_dir() else 0
    former = resource.getrlimit(resource.RLIMIT_AS)
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + 3 * 2**30, former[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, former)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch, toy_plugin: str, tmp_path: Path) -> Path:
    """Runs are opened whole (recipe, folder, data, model) and end there."""
    train = importlib.import_module("sslplug.stages.train")  # the package's word "train" is the function
    monkeypatch.setattr(train, "_train_session", lambda *arguments: None)
    monkeypatch.setattr(train, "judge_run", lambda *arguments: None)
    monkeypatch.setattr(train, "show", lambda *arguments: None)
    monkeypatch.chdir(tmp_path)
    return tmp_path


TOY = {
    "plugin": "toy", "name": "x", "about": "words", "seed": 3,
    "data": {"name": "clusters", "rows": 64, "splits": 1}, "views": {"name": "crops"},
    "encoder": {"name": "cells", "hidden": 8, "width": 4},
    "method": {"name": "joint", "projector": {"widths": [8, 4]}}, "objective": {"name": "infonce", "temperature": 0.5},
    "optim": {"name": "adamw", "lr": 0.01}, "train": {"epochs": 1, "batch_size": 32},
    "evaluate": {"probes": [{"name": "logistic"}], "fractions": [1.0]},
}  # fmt: skip


@given(raw=mutated(TOY))
@fuzzed
def test_mutated_recipes_are_opened_or_refused(no_training: Path, raw: dict[str, Any]) -> None:
    file = no_training / "fuzz.yaml"
    try:
        file.write_bytes(write_yaml(raw).encode("utf-8", "surrogatepass"))
    except Exception:  # what YAML cannot write nobody can have in a file
        return
    code, said = spoken(["train", "--plugin", "toy", "--recipe", str(file), "--no-evaluate", "--device", "cpu"])
    plain(code, said)


@pytest.fixture(scope="module")
def written_out() -> dict[str, Any]:
    """The toy's recipe with every default, so that there are many numbers to change."""
    schema = schema_of(TOY_PLUGIN)
    return resolve(TOY, schema, "toy.yaml").to_dict()


@given(data=st.data())
@fuzzed
def test_numbers_of_every_size_are_opened_or_refused(
    no_training: Path, written_out: dict[str, Any], data: st.DataObject
) -> None:
    """One or two numbers of an otherwise good recipe: these get as far as the model."""
    raw = copy.deepcopy(written_out)
    for _ in range(data.draw(st.integers(1, 2))):
        numbers = [path for path in places(raw) if isinstance(at(raw, path), int | float)]
        path = data.draw(st.sampled_from(numbers))
        old = at(raw, path)
        fitting = [
            n
            for n in SIZES
            if isinstance(n, bool) == isinstance(old, bool) and isinstance(n, float) == isinstance(old, float)
        ]
        at(raw, path[:-1])[path[-1]] = data.draw(st.sampled_from(fitting))
    file = no_training / "fuzz.yaml"
    file.write_text(write_yaml(raw))
    plain(*spoken(["train", "--plugin", "toy", "--recipe", str(file), "--no-evaluate", "--device", "cpu"]))


SIZES = (True, False, -1, 0, 1, 2, 3, 5, 17, 33, 1000, 2**31, 2**40, 2**53, 2**63, -0.5, 0.0, 1e-300, 0.5, 1.0, 1e300)


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@given(text=st.one_of(st.text(max_size=200), st.binary(max_size=200)))
@fuzzed
def test_any_text_is_refused_as_a_recipe(no_training: Path, text: str | bytes) -> None:
    file = no_training / "fuzz.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    code, said = spoken(["train", "--plugin", "toy", "--recipe", str(file)])
    plain(code, said)
    assert code == 2, said


@pytest.fixture(scope="module")
def shipped() -> dict[str, Any]:
    """{plugin: (loaded, schema, [raw recipes])} of our own plugins."""
    found = {}
    for name in OWN:
        loaded = discovery.load(name)
        raws = [read_recipe(file) for file in discovery.recipes_of(loaded).values()]
        found[name] = (loaded, schema_of(loaded), raws)
    return found


@given(data=st.data())
@fuzzed
def test_mutated_recipes_of_every_plugin_resolve_or_say_why(
    shipped: dict[str, Any], tmp_path: Path, data: st.DataObject
) -> None:
    loaded, schema, raws = shipped[data.draw(st.sampled_from(OWN))]
    raw = data.draw(mutated(data.draw(st.sampled_from(raws))))
    sets = data.draw(
        st.lists(
            st.builds("{}={}".format, st.sampled_from([".".join(map(str, p)) for p in places(raw) if p] or ["x"]), WORDS),
            max_size=2,
        )
    )
    file = tmp_path / "fuzz.yaml"
    try:
        file.write_bytes(write_yaml(raw).encode("utf-8", "surrogatepass"))
    except Exception:
        return
    try:
        resolved = chosen(loaded, str(file), sets, schema)
    except SslplugError:
        return
    again = checked(resolved.to_dict(), (), schema, "written out")
    assert again.to_dict() == resolved.to_dict()


COMMANDS = (
    "plugins",
    "info",
    "recipes",
    "train",
    "resume",
    "evaluate",
    "embed",
    "recommend",
    "export",
    "compare",
    "new-plugin",
    "zzz",
)
OPTIONS = (
    "--plugin", "--recipe", "--data", "--set", "--seeds", "--device", "--runs", "--no-evaluate", "--help", "--debugg", "-o", "--out",
    "--users", "-k", "--task", "--index", "--logdir", "--kind", "--folder", "--target", "--json-schema", "--version", "--",
)  # fmt: skip
ARGUMENTS = st.one_of(
    st.sampled_from(
        ["toy", "tyo", "cpu", "tpu", "1", "0", "-1", "nan", "a=b", "data.rows=64", "data.rows=-1", "train.epochs=x", "=", ".", "/", "here", "file",
         "x.yaml", "crops-infonce", "out.parquet", "data={", "optim.lr=1e999", "encoder.width=99999999999", "views=[1", "seed=-1"]
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6),
)  # fmt: skip


@given(
    words=st.lists(st.one_of(st.sampled_from(OPTIONS), ARGUMENTS, ARGUMENTS), max_size=7), command=st.sampled_from(COMMANDS)
)
@fuzzed
def test_any_command_line_ends_in_a_sentence(no_training: Path, words: list[str], command: str) -> None:
    (no_training / "here").mkdir(exist_ok=True)
    (no_training / "file").write_text("a: 1")
    plain(*spoken([command, *words]))
