"""Raw features: the table as boosted trees want it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pytest

from sslplug.contracts import DataContext, Task
from sslplug.errors import DataError
from sslplug_tabular.data import DATA
from sslplug_tabular.raw_features import raw_table


def build(made: pa.Table, **options: Any) -> Any:
    return DATA["memory"].build(DATA["memory"].options(target="y", **options), DataContext(None, Path(), 0, memory=made))


def table(rows: int = 600) -> tuple[pa.Table, np.ndarray]:
    """Classes depend on whether a word is in an arbitrary half of 40 words, and on nothing else."""
    g = np.random.default_rng(0)
    codes = g.integers(40, size=rows)
    half = g.permutation(40) < 20
    words = np.array([f"w{c:02d}" for c in codes], object)
    words[g.random(rows) < 0.05] = None
    made = {"a": np.where(g.random(rows) < 0.1, np.nan, 1e6 + g.normal(size=rows)), "w": words, "y": half[codes].astype(int)}
    return pa.table({name: pa.array(values, from_pandas=True) for name, values in made.items()}), words


def test_numbers_are_unscaled_and_missing_stays_missing() -> None:
    made, words = table()
    data = build(made)
    raw = data.raw_features(data.tasks["target"])
    np.testing.assert_array_equal(raw.values[:, 0], made["a"].to_numpy())
    np.testing.assert_array_equal(np.isnan(raw.values[:, 1]), [w is None for w in words])
    assert raw.categorical == (1,)
    assert raw.values.dtype == np.float64


def test_codes_are_whole_and_other_is_zero() -> None:
    raw = raw_table(np.empty((4, 0)), np.array([[0], [1], [2], [9]]))
    assert np.isnan(raw.values[0, 0])
    assert raw.values[1:, 0].tolist() == [0, 1, 8]
    assert raw.categorical == (0,)


def test_trees_use_the_codes_as_categories() -> None:
    """Native categories find the arbitrary half with one split a tree; the same codes as numbers need many."""
    made, _ = table()
    data = build(made)
    task = data.tasks["target"]
    raw, split = data.raw_features(task), data.tasks["target"].splits[0]
    parameters = {"objective": "binary", "num_leaves": 2, "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1}
    parameters |= {"min_data_per_group": 5, "cat_smooth": 1, "cat_l2": 1, "max_cat_to_onehot": 4}
    accuracy = {}
    for native in (True, False):
        columns = list(raw.categorical) if native else []
        fitted = lightgbm.train(
            parameters, lightgbm.Dataset(raw.values[split.train], task.labels[split.train], categorical_feature=columns), 5
        )
        known = split.test[~np.isnan(raw.values[split.test, 1])]
        accuracy[native] = ((np.asarray(fitted.predict(raw.values[known])) > 0.5) == task.labels[known]).mean()
    assert accuracy[True] > 0.95
    assert accuracy[False] < 0.9


def test_raw_features_do_not_depend_on_labels_or_scaler() -> None:
    made, _ = table()
    shuffled = made.set_column(2, "y", pa.array(np.random.default_rng(1).permutation(made["y"].to_numpy())))
    split = {"split": {"stratify": False}}
    one, other = build(made, **split), build(shuffled, scaler="standard", **split)
    np.testing.assert_array_equal(
        one.raw_features(one.tasks["target"]).values, other.raw_features(other.tasks["target"]).values
    )


def test_another_level_has_none() -> None:
    made, _ = table()
    data = build(made)
    task = data.tasks["target"]
    cell = Task("t", "classification", "cell", task.labels, task.splits, "p")
    with pytest.raises(DataError, match="judges 'cell' rows"):
        data.raw_features(cell)
