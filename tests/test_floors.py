"""Imports point down: read from the source, without importing it. Also file names and file lengths."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("errors", "randomness"),
    ("contracts", "recipe", "distributed", "scaffold"),
    ("objectives", "methods", "training", "evaluation", "diagnostics", "discovery", "reporting", "exporting"),
    ("build",),
    ("stages",),
    ("testing",),
    ("cli", "sklearn_face"),
    ("__main__",),
)
FLOOR = {package: number for number, packages in enumerate(FLOORS) for package in packages}
# On the second floor recipes and ranks are said in the words of the contracts.
SAME_FLOOR = {("recipe", "contracts"), ("distributed", "contracts")}
OPEN_TO_PLUGINS = ("contracts", "errors", "randomness")
FORBIDDEN_NAMES = ("utils", "common", "helpers", "base", "misc")
LONGEST_FILE = 400


@dataclass(frozen=True)
class Import:
    """``module`` (dotted) imported by ``file`` on ``line``."""

    file: Path
    line: int
    module: str


def imports(file: Path, source: str) -> Iterator[Import]:
    """Every absolute import in a source, wherever it stands; a relative one is written out from the file's package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(file, node.lineno, name.name)
        elif isinstance(node, ast.ImportFrom):
            package = list(file.with_suffix("").parts[: -node.level]) if node.level else []
            stem = ".".join([*package, *filter(None, [node.module])])
            if stem == "sslplug" or not node.module:
                for name in node.names:
                    yield Import(file, node.lineno, f"{stem}.{name.name}")
            else:
                yield Import(file, node.lineno, stem)


def package(dotted: str) -> str:
    """The floor word of a module of sslplug: its package, or the file's name; ``recipe_*`` files are one family."""
    parts = dotted.split(".")
    word = parts[1] if len(parts) > 1 else ""
    return "recipe" if word.startswith("recipe") else word


def engine_fault(found: Import) -> str:
    """Why an import inside ``sslplug/`` is wrong, or nothing."""
    own = package(".".join(found.file.with_suffix("").parts))
    top = found.module.split(".")[0]
    if top.startswith("sslplug_"):
        return f"the engine names the plugin package {top}"
    if top != "sslplug" or found.module == "sslplug" or found.module == "sslplug.__version__" or own == "__init__":
        return ""
    other = package(found.module)
    for word in (own, other):
        if word not in FLOOR:
            return f"{word!r} stands on no floor; add it to FLOORS in {Path(__file__).name}"
    if other == own or FLOOR[other] < FLOOR[own] or (own, other) in SAME_FLOOR:
        return ""
    return f"{own} (floor {FLOOR[own]}) may not import {other} (floor {FLOOR[other]})"


def plugin_fault(found: Import) -> str:
    """Why an import inside ``plugins/`` is wrong, or nothing."""
    own = found.file.parts[1]
    parts = found.module.split(".")
    if parts[0] == "sslplug" and (len(parts) < 2 or parts[1] not in OPEN_TO_PLUGINS):
        return f"a plugin may import only {', '.join(OPEN_TO_PLUGINS)} of sslplug, not {found.module}"
    if parts[0].startswith("sslplug_") and parts[0] != own:
        return f"the plugin {own} imports another, {parts[0]}"
    return ""


def sources(folder: str) -> list[Path]:
    return sorted(path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py"))


def faults(folder: str) -> list[str]:
    judge = engine_fault if folder == "sslplug" else plugin_fault
    return [
        f"{found.file}:{found.line}: {fault}"
        for file in sources(folder)
        for found in imports(file, (ROOT / file).read_text(encoding="utf-8"))
        if (fault := judge(found))
    ]


def test_engine_imports_point_down() -> None:
    assert sources("sslplug")
    assert not (found := faults("sslplug")), "\n".join(found)


def test_plugins_import_contracts_alone() -> None:
    assert sources("plugins")
    assert not (found := faults("plugins")), "\n".join(found)


def test_no_plugin_package_is_named_in_engine_code() -> None:
    """Not even in a string: names come from entry points. ``sslplug_<word>`` inside sslplug/ would be a special case."""
    named = [
        f"{file}:{node.lineno}: names {node.value!r}"
        for file in sources("sslplug")
        for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("sslplug_graph")
    ]
    assert not named, "\n".join(named)


def test_files_are_named_for_an_idea() -> None:
    named = [str(file) for folder in ("sslplug", "plugins") for file in sources(folder) if file.stem in FORBIDDEN_NAMES]
    assert not named, f"name these files for their one idea: {', '.join(named)}"


def test_files_are_short() -> None:
    lengths = {
        str(file): len((ROOT / file).read_text(encoding="utf-8").splitlines())
        for folder in ("sslplug", "plugins")
        for file in sources(folder)
    }
    long = {file: lines for file, lines in lengths.items() if lines > LONGEST_FILE}
    assert not long, f"split files above {LONGEST_FILE} lines by idea: {long}"


def judged(file: str, source: str) -> list[str]:
    path = Path(file)
    judge = engine_fault if path.parts[0] == "sslplug" else plugin_fault
    return [fault for found in imports(path, source) if (fault := judge(found))]


def test_the_judge_sees_what_is_wrong() -> None:
    assert judged("sslplug/contracts/view.py", "from sslplug.methods import METHODS")
    assert judged("sslplug/methods/joint.py", "from sslplug.objectives.infonce import x")
    assert judged("sslplug/methods/joint.py", "def f():\n    from sslplug.stages import train")
    assert judged("sslplug/methods/joint.py", "from sslplug import stages")
    assert judged("sslplug/methods/joint.py", "from ..stages import train")
    assert judged("sslplug/build.py", "import sslplug_graph.batch")
    assert judged("sslplug/stages/train.py", "from sslplug.cli import main")
    assert judged("sslplug/testing/checks.py", "from sslplug.cli import main")
    assert judged("sslplug/errors.py", "from sslplug.randomness import Rng")
    assert judged("plugins/sslplug_graph/batch.py", "from sslplug.methods import METHODS")
    assert judged("plugins/sslplug_graph/batch.py", "from sslplug_lidar import PLUGIN")
    assert judged("plugins/sslplug_graph/batch.py", "from sslplug.testing import conformance")


def test_the_judge_allows_what_is_right() -> None:
    assert not judged("sslplug/objectives/infonce.py", "from sslplug.distributed import gather\nimport sslplug.objectives.x")
    assert not judged(
        "sslplug/recipe_check.py", "from sslplug.contracts import Choice\nfrom sslplug.recipe_types import Schema"
    )
    assert not judged("sslplug/testing/material.py", "from sslplug.build import compose")
    assert not judged("sslplug/cli/check.py", "from sslplug.testing.checks import check_plugin")
    assert not judged("sslplug/cli/check.py", "from sslplug import __version__\nfrom sslplug.stages import train")
    assert not judged("plugins/sslplug_graph/batch.py", "from sslplug.contracts import View\nimport sslplug_graph.spec")
