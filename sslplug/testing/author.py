"""The author's door to the kit: one line in a test file runs every check on a plugin, each as its own test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def conformance(plugin: Any) -> Callable[..., None]:
    """A parametrised pytest test with one case a check, for a plugin's name or a ``Plugin``.

    The cases are listed when pytest collects, from the plugin's tables alone; nothing is built before its test runs, and what
    several checks need is built once in a process. A failure is the check's sentence, without a traceback.
    """
    import pytest

    from sslplug.testing.checks import Case, cases

    @pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in cases(plugin)])
    def test(case: Case) -> None:
        result = case.result()
        if not result.passed:
            pytest.fail(f"{result.sentence}\nMend: {result.mend}", pytrace=False)

    test.conformance_of = plugin if isinstance(plugin, str) else plugin.name  # type: ignore[attr-defined]
    return test
