"""The command line: what each command calls, what it prints, how it exits. The stages are stood in for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sslplug import stages
from sslplug.cli import run
from sslplug.contracts import Component, Options
from sslplug.errors import DataError, Interrupted, RecipeError
from sslplug.recipe import Schema
from sslplug.testing import checks
from sslplug.testing.checks import Result

Calls = list[tuple[str, tuple[Any, ...], dict[str, Any]]]


class Width(Options):
    width: int = 3


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Records every call of a stage."""
    made: Calls = []
    answers: dict[str, Any] = {
        "train": [Path("runs/toy/first/1")],
        "resume": Path("runs/toy/first/1"),
        "embed": [Path("x.parquet")],
        "export": [Path("out/encoder.pt2")],
        "doctor": ["all is well"],
    }

    def stand_in(name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            made.append((name, arguments, named))
            return answers.get(name)

        return call

    for name in ("train", "resume", "evaluate", "embed", "export", "compare", "doctor"):
        monkeypatch.setattr(stages, name, stand_in(name))
    part = Component(Width, print, "One line.")
    tables = {"data": {"blobs": part, "files": part}, "views": {}, "encoder": {"gcn": part}}
    monkeypatch.setattr(stages, "schema", lambda plugin: Schema(plugin, tables, {}))
    return made


def failing(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise error

    monkeypatch.setattr(stages, name, fail)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([command, "--help"] for command in (
        "plugins", "info", "recipes", "train", "resume", "evaluate", "embed", "export", "compare", "check", "doctor"
    ))],
)  # fmt: skip
def test_help_of_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    assert "Usage: sslplug" in capsys.readouterr().out


def test_help_imports_neither_torch_nor_a_plugin(toy_plugin: str) -> None:
    code = (
        "import sys; from sslplug.cli import run; code = run(['train', '--help']); "
        "heavy = {name.partition('.')[0] for name in sys.modules} & "
        "{'torch', 'numpy', 'pydantic', 'rich', 'yaml', 'sslplug_graph'} | "
        "{name for name in sys.modules if name.startswith('sslplug.testing')}; print(code, sorted(heavy))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "0 []"


def test_train_passes_everything_on(calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--plugin", "toy", "--recipe", "first", "--data", "blobs", "--set", "optim.lr=1", "--set", "seed=2"]
    words += [
        "--seeds",
        "5",
        "--device",
        "cpu",
        "--runs",
        str(tmp_path),
        "--data-root",
        "/data",
        "--no-evaluate",
        "--download",
    ]
    assert run(words) == 0
    changes = ['data="blobs"', "optim.lr=1", "seed=2"]
    named = {"seeds": 5, "device": "cpu", "data_root": Path("/data"), "runs": tmp_path, "evaluate": False, "download": True}
    assert calls == [("train", ("toy", "first", changes), named)]
    assert capsys.readouterr().out == "runs/toy/first/1\n"


def test_train_alone_uses_the_defaults(calls: Calls) -> None:
    assert run(["train", "--plugin", "toy"]) == 0
    named = {"seeds": 1, "device": "auto", "data_root": None, "runs": Path("runs"), "evaluate": True, "download": False}
    assert calls == [("train", ("toy", None, []), named)]


def test_data_may_be_a_path(calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my: data").mkdir()
    assert run(["train", "--plugin", "toy", "--data", "my: data"]) == 0
    assert calls[0][1][2] == ["data.name=files", f'data.path="{tmp_path / "my: data"}"']


def test_data_that_is_neither(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--plugin", "toy", "--data", "blob"]) == 2
    said = capsys.readouterr().err
    assert "--data blob: plugin 'toy' has no data of this name and there is no such file. Did you mean 'blobs'?" in said
    assert not calls


@pytest.mark.parametrize(
    ("words", "name", "arguments", "named"),
    [
        (["resume", "r"], "resume", (Path("r"),), {"device": "auto", "evaluate": True, "data_root": None}),
        (
            ["evaluate", "r", "--set", "a=1"],
            "evaluate",
            (Path("r"),),
            {"overrides": ("a=1",), "device": "auto", "data_root": None},
        ),
        (["export", "r", "-o", "out"], "export", (Path("r"), Path("out")), {"data_root": None, "onnx": True}),
        (
            ["compare", "r", "s", "--logdir", "l", "--page", "p", "--into", "a", "--into", "b"],
            "compare",
            ((Path("r"), Path("s")), stages.Outputs(Path("l"), page=Path("p"), into=(Path("a"), Path("b")))),
            {},
        ),
        (["export", "r", "-o", "out", "--no-onnx"], "export", (Path("r"), Path("out")), {"data_root": None, "onnx": False}),
        (["doctor"], "doctor", (), {}),
    ],
)
def test_other_commands(calls: Calls, words: list[str], name: str, arguments: Sequence[Any], named: dict[str, Any]) -> None:
    assert run(words) == 0
    assert calls == [(name, arguments, named)]


def test_embed_reads_the_plugin_from_the_run(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("plugin: toy\n")
    assert run(["embed", str(tmp_path), "--data", "blobs", "-o", "x.parquet", "--set", "a=1"]) == 0
    named = {
        "data": None,
        "overrides": ['data="blobs"', "a=1"],
        "out": Path("x.parquet"),
        "device": "auto",
        "data_root": None,
    }
    assert calls == [("embed", (tmp_path,), named)]


def test_embed_reads_other_data_with_the_run_s_options(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text("plugin: toy\ndata: {name: files, columns: {id: key}, path: /old}\n")
    assert run(["embed", str(tmp_path), "--data", str(tmp_path), "-o", "x.parquet"]) == 0
    (tmp_path / "recipe.yaml").write_text("plugin: toy\ndata: {name: blobs, rows: 7}\n")
    assert run(["embed", str(tmp_path), "--data", "blobs", "-o", "x.parquet"]) == 0
    assert [call[2]["overrides"] for call in calls] == [[f'data.path="{tmp_path}"'], []]
    assert run(["embed", str(tmp_path / "none"), "--data", "blobs", "-o", "x.parquet"]) == 1
    assert "none: no recipe.yaml there; expected a run folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("table.csv: row 3 has no id."), 1, "Error: table.csv: row 3 has no id."),
        (RecipeError("a.yaml", [("seed", "is wrong.")]), 2, "Error: a.yaml: 1 problem\n  seed: is wrong."),
        (Interrupted("Stopped; go on with: sslplug resume r", 15), 143, "Error: Stopped; go on with: sslplug resume r"),
        (Interrupted("Stopped; go on with: sslplug resume r", 2), 130, "go on with"),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (MemoryError("Unable to allocate 9 TiB"), 1, "Error: there is not enough memory (Unable to allocate 9 TiB). Lower"),
        (
            RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 46397274912 bytes."
            ),
            1,
            "Error: there is not enough memory",
        ),
        (
            ZeroDivisionError("division by zero"),
            1,
            "a defect of sslplug or a plugin, ZeroDivisionError: division by zero. Run again",
        ),
    ],
)
def test_errors_exit_with_their_code_and_no_traceback(
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    failing(monkeypatch, "train", error)
    assert run(["train", "--plugin", "toy"]) == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


@pytest.mark.parametrize("words", [["--debug", "train", "--plugin", "toy"], ["train", "--plugin", "toy", "--debug"]])
def test_debug_shows_the_traceback(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    failing(monkeypatch, "train", DataError("bad"))
    assert run(words) == 1
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert shown.endswith("Error: bad\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "No such command 'trian'"),
        (["train"], "Missing option '--plugin'"),
        (["train", "--plugin", "toy", "--seeds", "0"], "0 is not in the range x>=1"),
        (["train", "--plugin", "toy", "--device", "tpu"], "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["compare"], "Missing argument 'RUNS...'"),
    ],
)
def test_wrong_use_exits_with_2(calls: Calls, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert run(words) == 2
    assert said in capsys.readouterr().err
    assert not calls


def test_check_fails_when_one_check_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    results = [Result("a/b", True, ""), Result("c/d", False, "c/d: found 3, expected 4.", "count again.")]
    monkeypatch.setattr(checks, "check_plugin", lambda plugin: results)
    assert run(["check", "toy"]) == 1
    shown = capsys.readouterr()
    assert "FAIL  c/d  found 3, expected 4.\n      mend: count again.\n" in shown.out
    assert "Plugin 'toy' fails 1 of 2 checks" in shown.err
    results.pop()
    assert run(["check", "toy"]) == 0
    assert capsys.readouterr().out.endswith("Plugin 'toy' passes all 1 checks.\n")


def test_plugins_and_recipes_of_an_installed_plugin(toy_plugin: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plugins"]) == 0
    assert any(
        line.startswith("toy ") and " ok " in line and "sslplug-toy 1.0" in line
        for line in capsys.readouterr().out.splitlines()
    )
    assert run(["recipes", "toy"]) == 0
    assert capsys.readouterr().out.startswith("toy          * crops-infonce")
    assert run(["recipes", "tyo"]) == 2
    assert "Did you mean 'toy'?" in capsys.readouterr().err


def test_info(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "toy"]) == 0
    shown = capsys.readouterr().out
    assert "encoder gcn  One line." in shown
    assert "    width: whole number = 3" in shown
    assert run(["info", "toy", "--json-schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["plugin"] == {"const": "toy"}


def test_a_closed_pipe_is_no_defect() -> None:
    code = "import sys; sys.stdin.read(); from sslplug.cli import main; sys.argv = ['sslplug', '--help']; main()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdin is not None
        child.stdout.close()
        child.stdin.close()
        assert child.stderr.read() == ""
        assert child.wait() == 1
