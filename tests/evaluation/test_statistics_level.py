"""The engine's rule on simulated splits, folds and seeds: a small, fixed part of tests/benchmarks/sim_statistics.py."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from scipy import stats

RUNS = 120
FILE = Path(__file__).parents[1] / "benchmarks" / "sim_statistics.py"


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sim_statistics", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sim_statistics"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name",
    [
        "(a) random 10/10/80, 600 rows",
        "(a) 27 labels of 1800, 2 splits",
        "(b) 10 folds, 200 rows",
        "(d) 5 seeds x 10 splits 10/10/80",
    ],
)
def test_equally_good_features_win_no_more_often_than_five_percent(simulation: ModuleType, name: str) -> None:
    (design,) = [one for one in simulation.DESIGNS if one.name == name]
    calls = simulation.rates(design, RUNS)
    assert calls["engine"] <= stats.binom.ppf(0.999, RUNS, 0.05) / RUNS
    if design.splits > 5:  # with fewer pairs Wilcoxon's test cannot reach 0.05
        assert calls["engine"] < calls["wilcoxon"]


def test_seeds_on_one_split(simulation: ModuleType) -> None:
    (design,) = [one for one in simulation.DESIGNS if one.name == "(c) 10 seeds, one split, few labels, given"]
    assert simulation.rates(design, 120)["engine"] <= stats.binom.ppf(0.999, 120, 0.05) / 120


def test_a_real_difference_is_found(simulation: ModuleType) -> None:
    """Where Nadeau and Bengio's factor of 8 finds none."""
    calls = simulation.rates(simulation.DESIGNS[1], 60, effect=0.5)
    assert calls["engine"] > 0.6
    assert calls["nadeau-bengio"] < 0.05
