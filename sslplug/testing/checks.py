"""The conformance kit: every promise of a plugin as a check, with a readable id and a sentence that says how to mend it."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sslplug
from sslplug.contracts import Plugin
from sslplug.discovery import load, recipes_of
from sslplug.errors import PluginError
from sslplug.testing import (
    batch_checks,
    encoder_checks,
    plugin_checks,
    question_checks,
    rate_checks,
    recipe_checks,
    row_checks,
    run_checks,
    task_checks,
    view_checks,
)
from sslplug.testing.encoder_passes import EncoderPasses
from sslplug.testing.material import Material
from sslplug.testing.once import Broken, NotApplicable
from sslplug.testing.short_run import Runs

TABLES: Mapping[str, Mapping[str, Callable[..., str]]] = {
    "plugin": plugin_checks.CHECKS,
    "recipe": recipe_checks.CHECKS,
    "data": {**batch_checks.CHECKS, **row_checks.CHECKS, **task_checks.CHECKS, **question_checks.CHECKS},
    "views": {**view_checks.CHECKS, **rate_checks.CHECKS},
    "encoder": encoder_checks.CHECKS,
    "run": run_checks.CHECKS,
}
"""Every check, {table: {promise: function}}. A function gives a sentence of what it found and expected; an empty one is a
pass, and NotApplicable passes with its reason. Its docstring holds the promise and, after "Mend:", the cure."""


@dataclass(frozen=True)
class Result:
    """What a check found. ``sentence``: what was found, what was expected, where; or why the check says nothing.
    ``mend``: how to mend it, for every failure."""

    id: str
    passed: bool
    sentence: str
    mend: str = ""


@dataclass(frozen=True)
class Case:
    """A check that has not run yet: ``<table>/<promise>`` or ``<table>/<component>/<promise>``."""

    id: str
    run: Callable[[], str]
    mend: str

    def result(self) -> Result:
        """Runs the check. Whatever it raises is a failure with the exception's words and place."""
        try:
            sentence = self.run()
        except NotApplicable as reason:
            return Result(self.id, True, f"not applicable: {reason}")
        except Broken as error:
            sentence = str(error)
        except Exception as error:
            sentence = f"raised {type(error).__name__}: {error}{_place(error)}; expected it to run."
        return Result(self.id, False, f"{self.id}: {sentence}", self.mend) if sentence else Result(self.id, True, "")


def cases(plugin: Plugin | str) -> list[Case]:
    """Every check of a plugin, by name (through discovery) or as the object itself. Builds nothing."""
    return list(_cases(load(plugin) if isinstance(plugin, str) else plugin))


def check_plugin(plugin: Plugin | str) -> Iterator[Result]:
    """Runs every check of a plugin, one after the other as they are asked for."""
    for case in cases(plugin):
        yield case.result()


def says(check: Callable[..., str]) -> tuple[str, str]:
    """(promise, how to mend it) of a check, from its docstring."""
    promise, _, mend = (inspect.getdoc(check) or "").partition("\n\nMend: ")
    return " ".join(promise.split()), " ".join(mend.split())


def _cases(plugin: Plugin) -> Iterator[Case]:
    material = Material(plugin)
    given: Mapping[str, Any] = {"encoder": EncoderPasses(material), "run": Runs(material)}
    try:
        recipes = list(recipes_of(plugin))
    except PluginError:  # plugin/contract reports it
        recipes = []
    components = {"recipe": recipes, "views": list(plugin.views), "encoder": list(plugin.encoders)}
    for table, checks in TABLES.items():
        for name in components.get(table, [""]):
            for promise, check in checks.items():
                words = [table, *filter(None, [name]), promise]
                yield _case("/".join(words), check, given.get(table, material), *filter(None, [name]))


def _case(id_: str, check: Callable[..., str], *given: Any) -> Case:
    return Case(id_, lambda: check(*given), says(check)[1])


def _place(error: BaseException) -> str:
    """The innermost line outside sslplug and its libraries that led to the error, or nothing."""
    engine = Path(sslplug.__file__).parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if "site-packages" not in file.parts and engine not in file.parents and frame.filename[:1] != "<":
            return f" ({file.name}, line {frame.lineno})"
    return ""
