"""The verdict on simulated runs: a small, fixed part of tests/benchmarks/sim_verdict.py."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from scipy import stats

FOLDER = Path(__file__).parents[1] / "benchmarks"
RUNS = 80


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    """The benchmark as a module, which imports its neighbour."""
    for name in ("sim_statistics", "sim_verdict"):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules["sim_verdict"]


@pytest.mark.parametrize("number", [0, 5])
def test_luck_is_not_called_a_gain(simulation: ModuleType, number: int) -> None:
    setting = simulation.SETTINGS[number]
    found = simulation.summary(setting, simulation.found(setting, range(RUNS)))
    assert found["helps"] <= stats.binom.ppf(0.999, RUNS, 0.025) / RUNS
    assert found["interval holds"] >= 0.9


def test_a_planted_gain_is_found_in_the_model_that_has_it(simulation: ModuleType) -> None:
    setting = replace(simulation.SETTINGS[0], gain=0.1)
    found = simulation.summary(setting, simulation.found(setting, range(25)))
    assert found["right model"] > 0.8
    assert found["does not help"] == 0


def test_looking_at_the_best_without_counting_the_tries_would_cry_wolf(simulation: ModuleType) -> None:
    """What the rule is there for: the best of four models at two shares of labels, each claim as if it were the only one."""
    setting = simulation.SETTINGS[2]
    assert simulation.alone(setting, range(60)) > 0.05
    assert simulation.summary(setting, simulation.found(setting, range(60)))["helps"] < 0.05
