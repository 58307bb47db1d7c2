"""The conformance kit: every promise of a plugin as a check, with a readable id and a sentence that says how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sslplug.contracts import Plugin
from sslplug.discovery import load, recipes_of
from sslplug.testing import data_checks, encoder_checks, question_checks, recipe_checks, run_checks, view_checks
from sslplug.testing.material import Material, NotApplicable

Check = Callable[..., str]
"""``check(material, name) -> sentence``; an empty sentence is a pass. NotApplicable passes with its reason."""


@dataclass(frozen=True)
class Result:
    """What a check found. ``sentence``: found, expected, where, how to mend it; or why the check says nothing."""

    id: str
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Case:
    """A check that has not run yet, ``<table>/<component>/<promise>``."""

    id: str
    run: Callable[[], str]

    def result(self) -> Result:
        """Runs the check. Whatever it raises is a failure with the exception's words."""
        try:
            sentence = self.run()
        except NotApplicable as reason:
            return Result(self.id, True, f"not applicable: {reason}")
        except Exception as error:
            return Result(self.id, False, f"{self.id}: raised {type(error).__name__}: {error}")
        return Result(self.id, not sentence, f"{self.id}: {sentence}" if sentence else "")


def cases(plugin: Plugin | str) -> list[Case]:
    """Every check of a plugin, by name (through discovery) or as the object itself. Builds nothing."""
    found = load(plugin) if isinstance(plugin, str) else plugin
    return list(_cases(found))


def check_plugin(plugin: Plugin | str) -> list[Result]:
    """Runs every check of a plugin."""
    return [case.result() for case in cases(plugin)]


def _cases(plugin: Plugin) -> Iterator[Case]:
    material = Material(plugin)
    for promise, data_check in {**data_checks.CHECKS, **question_checks.CHECKS}.items():
        yield _case(f"data/{promise}", data_check, material)
    for name in plugin.views:
        for promise, check in view_checks.CHECKS.items():
            yield _case(f"views/{name}/{promise}", check, material, name)
    for name in plugin.encoders:
        for promise, check in encoder_checks.CHECKS.items():
            yield _case(f"encoder/{name}/{promise}", check, material, name)
    for name in recipes_of(plugin):
        for promise, check in recipe_checks.CHECKS.items():
            yield _case(f"recipe/{name}/{promise}", check, material, name)
    for promise, run_check in run_checks.CHECKS.items():
        if promise in plugin.traits:
            yield _case(f"run/{promise}", run_check, material)


def _case(id_: str, check: Check, material: Material, *names: str) -> Case:
    return Case(id_, lambda: check(material, *names))
