"""Every check of the kit has a mutant, a toy plugin broken in one way: that check must fail, with its words, and no other."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from sslplug.contracts import Plugin
from sslplug.testing.checks import TABLES, check_plugin
from tests.testing.mutants import of_data, of_encoders, of_plugins, of_runs, of_tasks, of_views
from tests.testing.mutants.small import SMALL, Mutant, with_data

MUTANTS = [mutant for module in (of_plugins, of_data, of_tasks, of_views, of_encoders, of_runs) for mutant in module.MUTANTS]
KINDS = [f"{table}/{promise}" for table, checks in TABLES.items() for promise in checks]


def failures(plugin: Plugin) -> dict[str, str]:
    return {result.id: result.sentence for result in check_plugin(plugin) if not result.passed}


def judge(mutant: Mutant) -> None:
    results = {result.id: result for result in check_plugin(mutant.plugin) if not result.passed}
    assert set(results) == {mutant.check} | mutant.also, [result.sentence for result in results.values()]
    found = results[mutant.check]
    assert re.search(mutant.words, found.sentence), found.sentence
    assert found.mend


@pytest.mark.parametrize("mutant", [pytest.param(one, id=f"{one.kind}-{number}") for number, one in enumerate(MUTANTS)])
def test_exactly_the_broken_promise_fails(mutant: Mutant) -> None:
    judge(mutant)


@pytest.mark.parametrize("kind", of_plugins.WRITTEN)
def test_exactly_the_broken_promise_fails_of_files(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    mutant = of_plugins.WRITTEN[kind](tmp_path)
    assert mutant.kind == kind
    judge(mutant)


def test_every_check_has_a_mutant() -> None:
    caught = Counter([mutant.kind for mutant in MUTANTS] + list(of_plugins.WRITTEN))
    assert [kind for kind in KINDS if not caught[kind]] == []
    assert sorted(caught - Counter(KINDS * 10)) == []


def test_there_are_forty_kinds_at_least() -> None:
    assert len(set(KINDS)) == len(KINDS) >= 40


def test_what_all_mutants_start_from_is_sound() -> None:
    assert failures(SMALL) == {}


@pytest.mark.parametrize("data", [of_data.Centred, of_data.HeldOut, of_tasks.Further])
def test_the_sound_twin_of_broken_data_passes(data: type) -> None:
    assert failures(with_data(data)) == {}


def test_shared_memory_may_be_claimed() -> None:
    assert failures(with_data(of_data.SharedMemory, traits=frozenset({"labels", "shared-batches"}))) == {}


def test_missing_values_may_be_claimed() -> None:
    assert failures(with_data(of_data.Unknown, traits=frozenset({"labels", "missing-values"}))) == {}


def test_a_claim_that_nothing_can_hold_is_a_failure() -> None:
    found = failures(replace(SMALL, views={"crops": SMALL.views["crops"]}))
    assert list(found) == ["encoder/cells/permutation"]
    assert "expected a view set that provides 'reordered'" in found["encoder/cells/permutation"]
