"""Which rows train, validate and test, in each way of splitting; targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sslplug.contracts import DataContext, Order
from sslplug.randomness import Rng
from sslplug_tabular.data import DATA
from sslplug_tabular.tasks import TEST, TRAIN, VAL, Labels, random_parts

N = 200


def build(seed: int = 0, **options: Any) -> Any:
    g = np.random.default_rng(0)
    made = pa.table(
        {
            "a": g.normal(size=N),
            "y": g.choice(["p", "q", "r"], p=[0.7, 0.25, 0.05], size=N),
            "z": g.normal(size=N),
            "person": [f"p{v}" for v in g.integers(12, size=N)],
            "when": g.integers(0, 60, size=N).astype("datetime64[D]"),
            "part": (["train"] * 100 + ["val"] * 30 + ["test"] * 50 + [None] * 20),
        }
    )
    context = DataContext(None, Path(), seed, memory=made)
    return DATA["memory"].build(DATA["memory"].options(**{"target": "y"} | options), context)


@given(
    st.lists(st.integers(3, 60), min_size=2, max_size=6),
    st.floats(0, 0.4),
    st.floats(0.05, 0.5),
    st.booleans(),
    st.integers(0, 9),
)
def test_random_parts_have_their_shares(sizes: list[int], val: float, test: float, stratify: bool, seed: int) -> None:
    values = np.random.default_rng(seed).permutation(np.concatenate([np.repeat(np.arange(len(sizes)), sizes), [-1] * 7]))
    labels = Labels("y", values, tuple(map(str, range(len(sizes)))))
    part = random_parts(labels, len(values), val, test, stratify, Rng.root(seed)).part
    known = values >= 0
    assert (part[~known] == TRAIN).all()
    for value, share in ((VAL, val), (TEST, test)):
        assert abs((part[known] == value).sum() - share * known.sum()) <= 2
        if stratify:
            for number, size in enumerate(sizes):
                assert abs((part[values == number] == value).sum() - share * size) < 2.5


def test_a_split_is_a_function_of_its_seed() -> None:
    test = build(0).tasks["target"].splits[0].test
    np.testing.assert_array_equal(test, build(0).tasks["target"].splits[0].test)
    assert not np.array_equal(test, build(1).tasks["target"].splits[0].test)
    fixed = {"split": {"seed": 5}}
    np.testing.assert_array_equal(
        build(0, **fixed).tasks["target"].splits[0].test, build(1, **fixed).tasks["target"].splits[0].test
    )


def test_a_column_names_the_parts_and_rows_without_one_only_pretrain() -> None:
    data = build(split={"column": "part"})
    split = data.tasks["target"].splits[0]
    assert split.val.tolist() == list(range(100, 130))
    assert split.test.tolist() == list(range(130, 180))
    assert data.tasks["target"].protocol == "as column 'part' says; inductive"
    assert sum(b.n for b in data.batches(Order(0, 0))) == 120
    assert "part" not in (*data.spec.numeric, *data.spec.categorical)


def test_groups_stay_together() -> None:
    for seed in range(5):
        data = build(seed, split={"group": "person", "test_share": 0.3})
        task = data.tasks["target"]
        assert task.groups is not None
        parts = [set(task.groups[rows]) for rows in (task.splits[0].train, task.splits[0].val, task.splits[0].test)]
        assert all(parts)
        assert not parts[0] & parts[1] | parts[0] & parts[2] | parts[1] & parts[2]
        assert "person" not in data.spec.categorical


def test_the_future_tests() -> None:
    data = build(split={"time": "when"})
    split = data.tasks["target"].splits[0]
    when = np.random.default_rng(0)
    when.normal(size=N), when.choice(3, p=[0.7, 0.25, 0.05], size=N), when.normal(size=N), when.integers(12, size=N)
    days = when.integers(0, 60, size=N)
    assert days[split.train].max() < days[split.val].min()
    assert days[split.val].max() < days[split.test].min()
    assert 0.12 * N < len(split.test) < 0.28 * N
    assert "when" not in data.spec.numeric


def test_several_targets_share_a_split_and_are_no_features() -> None:
    data = build(target=["y", "z"])
    assert set(data.tasks) == {"y", "z"}
    assert [data.tasks[name].kind for name in "yz"] == ["classification", "regression"]
    np.testing.assert_array_equal(data.tasks["y"].splits[0].test, data.tasks["z"].splits[0].test)
    assert not {"y", "z"} & {*data.spec.numeric, *data.spec.categorical}
    assert data.tasks["y"].classes == ("p", "q", "r")


KINDS = {
    "whole numbers": ([1, 2, 10] * 20, "classification", ("1", "2", "10")),
    "whole floats beside missing": ([1.0, None, 0.0] * 20, "classification", ("0", "1")),
    "many whole numbers": (list(range(30)) * 2, "regression", ()),
    "fractions": ([0.5, 1.0, 2.0] * 20, "regression", ()),
    "numbers in words": (["0.5", "1", "?"] * 20, "regression", ()),
    "truth values": ([True, False, True] * 20, "classification", ("false", "true")),
}


@pytest.mark.parametrize("case", KINDS)
def test_what_a_target_is(case: str) -> None:
    values, kind, classes = KINDS[case]
    made = pa.table({"a": np.random.default_rng(0).normal(size=60), "y": values})
    options = DATA["memory"].options(target="y")
    task = DATA["memory"].build(options, DataContext(None, Path(), 0, memory=made)).tasks["target"]
    assert (task.kind, task.classes) == (kind, classes)


def test_the_kind_of_target_can_be_given() -> None:
    made = pa.table({"a": np.random.default_rng(0).normal(size=60), "y": list(range(30)) * 2})
    for kind in ("classification", "regression"):
        split = {"test_share": 0.5, "val_share": 0.0}
        options = DATA["memory"].options(target="y", target_kind=kind, split=split)
        task = DATA["memory"].build(options, DataContext(None, Path(), 0, memory=made))
        assert task.tasks["target"].kind == kind
