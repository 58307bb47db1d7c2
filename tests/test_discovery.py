"""Discovery: fake distributions, whole and broken, beside each other on the path."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sslplug.discovery import GROUP, list_plugins, load, recipes_of, status
from sslplug.errors import PluginError

WHOLE = """
from sslplug.contracts import API, Component, Options, Plugin

class Nothing(Options):
    pass

PART = Component(Nothing, print, "One line.")
PLUGIN = Plugin(name={name!r}, api=API, summary="A toy of {name}.", data={{"a": PART}}, views={{"a": PART}}, encoders={{"a": PART}},
                default_recipe="first", recipes={module!r})
"""

Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """``install(name, code)`` puts a distribution with one package on the path; returns the package's name."""
    monkeypatch.delenv("SSLPLUG_DISABLE", raising=False)
    count = 0

    def make(
        name: str,
        code: str = WHOLE,
        *,
        distribution: str = "",
        target: str = "PLUGIN",
        recipes: tuple[str, ...] = ("first",),
    ) -> str:
        nonlocal count
        count += 1
        distribution = distribution or f"dist-{name}"
        module = f"fake_{tmp_path.name.replace('-', '_')}_{count}"
        site = tmp_path / f"site{count}"
        info = site / f"{distribution.replace('-', '_')}-1.{count}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.{count}\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {module}:{target}\n")
        package = site / module
        package.mkdir()
        (package / "__init__.py").write_text(code.format(name=name, module=module) if code == WHOLE else code)
        for recipe in recipes:
            (package / f"{recipe}.yaml").write_text("plugin: x\n")
        monkeypatch.syspath_prepend(str(site))
        return module

    return make


def refusal(name: str) -> str:
    with pytest.raises(PluginError) as caught:
        load(name)
    return str(caught.value)


def test_listing_reads_metadata_and_imports_nothing(install: Install) -> None:
    module = install("zoo", "raise RuntimeError('imported')")
    (found,) = [found for found in list_plugins() if found.name == "zoo"]
    assert (found.distribution, found.version, found.value, found.conflict) == ("dist-zoo", "1.1", f"{module}:PLUGIN", "")
    assert module not in sys.modules


def test_importing_and_listing_is_free_of_torch() -> None:
    code = "import sys; from sslplug.discovery import list_plugins; list_plugins(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_whole_plugin_loads_with_its_recipes(install: Install) -> None:
    install("zoo", recipes=("second", "first"))
    plugin = load("zoo")
    assert plugin.summary == "A toy of zoo."
    recipes = recipes_of(plugin)
    assert list(recipes) == ["first", "second"]
    assert recipes["first"].read_text() == "plugin: x\n"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_package", "its import failed with ModuleNotFoundError: No module named 'no_such_package'"),
        ("def broken(:\n", "its import failed with SyntaxError"),
        ("raise SystemExit(3)", "its import failed with SystemExit: 3"),
        ("raise RuntimeError('boom')", "its import failed with RuntimeError: boom"),
        ("OTHER = 1", "its import failed with AttributeError"),
        ("PLUGIN = {'name': 'bad'}", "it is a dict; expected a constant made by sslplug.contracts.Plugin(...)"),
        (
            WHOLE.replace("api=API", "api=99").replace("{{", "{").replace("}}", "}"),
            "it was written for api 99, this sslplug has api 1",
        ),
    ],
)
def test_a_broken_plugin_is_one_sentence_and_hurts_no_other(install: Install, code: str, reason: str) -> None:
    module = install("bad", code.replace("{name!r}", "'bad'").replace("{module!r}", "'x'"))
    install("good")
    said = refusal("bad")
    assert said.startswith(f"Plugin 'bad' (dist-bad 1.1, entry point bad = {module}:PLUGIN) cannot be used: ")
    assert reason in said
    states = {line.found.name: line for line in status()}
    assert (states["bad"].state, states["bad"].text) == ("broken", said)
    assert (states["good"].state, states["good"].text) == ("ok", "A toy of good.")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("name={name!r}", "name='else'", "it calls itself 'else'; expected Plugin(name='bad')"),
        ('data={{"a": PART}}', 'data={{"a": 3}}', "its data['a'] is a int; expected a sslplug.contracts.Component"),
        ('views={{"a": PART}}', "views={{}}", "it brings no views; expected at least one"),
        ('views={{"a": PART}}', "views=[]", "its views are a list; expected a mapping name -> Component"),
        ("    pass", "    name: str = ''", "its data['a'] has an option called 'name'; rename it"),
        ('default_recipe="first"', 'default_recipe="last"', "its default recipe 'last' is not among its recipes (first)"),
        ("recipes={module!r}", "recipes='no_such_folder'", "its recipe folder 'no_such_folder' cannot be read"),
    ],
)
def test_a_plugin_that_breaks_the_contract(install: Install, old: str, new: str, reason: str) -> None:
    assert old in WHOLE
    code = WHOLE.replace(old, new)
    module = install("bad", "")
    folder = Path(__import__(module).__file__ or "")
    folder.write_text(code.format(name="bad", module=module))
    del sys.modules[module]
    assert reason in refusal("bad")


def test_a_name_conflict_names_both_and_refuses(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    first = install("zoo", distribution="one")
    second = install("zoo", distribution="two")
    said = refusal("zoo")
    assert f"one 1.1, entry point zoo = {first}:PLUGIN" in said
    assert f"two 1.2, entry point zoo = {second}:PLUGIN" in said
    assert "uninstall one, or switch it off by its distribution: SSLPLUG_DISABLE=two." in said
    lines = [line for line in status() if line.found.name == "zoo"]
    assert [line.state for line in lines] == ["conflict", "conflict"]
    assert "two 1.2" in lines[0].text
    monkeypatch.setenv("SSLPLUG_DISABLE", "all third-party")
    assert {line.state for line in status() if line.found.name == "zoo"} == {"disabled"}


def test_unknown_names_get_the_nearest(install: Install) -> None:
    install("zebra")
    said = refusal("zebar")
    assert "There is no plugin named 'zebar'. Did you mean 'zebra'" in said
    assert "entry point in 'sslplug.plugins'" in said


def test_the_off_switch(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("zoo")
    install("own", distribution="sslplug")
    monkeypatch.setenv("SSLPLUG_DISABLE", "x, zoo")
    assert "is switched off by SSLPLUG_DISABLE='x, zoo'; unset the variable" in refusal("zoo")
    assert {line.found.name: line.state for line in status()}["zoo"] == "disabled"
    monkeypatch.setenv("SSLPLUG_DISABLE", "all third-party")
    assert "switched off" in refusal("zoo")
    assert load("own").name == "own"
