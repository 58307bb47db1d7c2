"""The toy plugin keeps every promise: the three lines an author writes, and the names of the checks."""

from __future__ import annotations

from sslplug.testing import conformance
from sslplug.testing.checks import cases, check_plugin
from sslplug.testing.toy import TOY

test_conformance = conformance(TOY)


def test_ids_name_table_component_and_promise() -> None:
    ids = [case.id for case in cases(TOY)]
    assert len(set(ids)) == len(ids)
    assert {"data/ranks-join", "views/crops/rates", "encoder/towers/gradients", "run/beats-untrained"} <= set(ids)


def test_a_plugin_is_found_by_name(toy_plugin: str) -> None:
    assert [case.id for case in cases(toy_plugin)] == [case.id for case in cases(TOY)]


def test_checks_that_say_nothing_give_their_reason() -> None:
    results = {result.id: result for result in check_plugin(TOY)}
    assert results["views/halves/rates"].passed
    assert results["views/halves/rates"].sentence.startswith("not applicable")
    assert results["views/crops/rates"].sentence == ""
