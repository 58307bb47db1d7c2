"""The named sets: sizes, splits, and that each is what its publisher describes. Most need the data root (SSLPLUG_DATA)."""

from __future__ import annotations

import json
import lzma
import os
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from sslplug.contracts import DataContext
from sslplug.errors import DataError
from sslplug_tabular.data import DATA

ROOT = os.environ.get("SSLPLUG_DATA")
published = pytest.mark.skipif(not ROOT, reason="SSLPLUG_DATA names no data root, so the published sets are not there")

SIZES = {  # rows, numeric, categorical, classes (0: regression), (train, val, test)
    "adult": (48_842, 6, 8, 2, (26_048, 6_513, 16_281)),
    "california": (20_640, 8, 0, 0, (13_209, 3_303, 4_128)),
    "jannis": (30_145, 54, 0, 4, (10_718, 2_680, 16_747)),
    "bank": (45_211, 6, 9, 2, None),
    "credit-g": (1_000, 7, 13, 2, None),
    "jungle": (44_819, 6, 0, 3, None),
    "blood": (748, 4, 0, 2, None),
    "car": (1_728, 0, 6, 4, None),
    "heart": (918, 5, 6, 2, None),
    "diabetes": (768, 8, 0, 2, None),
}


@cache  # nobody writes into what is built
def build(name: str, root: Path | None = None, **options: Any) -> Any:
    root = root or (None if ROOT is None else Path(ROOT))
    return DATA[name].build(DATA[name].options(**options), DataContext(root, Path("no cache"), 0))


@published
@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_the_published_ones(name: str) -> None:
    rows, numeric, categorical, classes, parts = SIZES[name]
    data = build(name)
    task = data.tasks["target"]
    split = task.splits[0]
    assert len(task.labels) == rows
    assert (len(data.spec.numeric), len(data.spec.categorical)) == (numeric, categorical)
    assert (task.num_classes if task.kind == "classification" else 0) == classes
    found = (len(split.train), len(split.val), len(split.test))
    assert found == parts if parts else abs(found[2] - 0.2 * rows) <= 1 and abs(found[1] - 0.16 * rows) <= 2
    raw = data.raw_features(task)
    assert raw.values.shape == (rows, numeric + categorical)
    assert raw.categorical == tuple(range(numeric, numeric + categorical))


@published
def test_adult_is_pandas_reading_of_the_files() -> None:
    assert ROOT is not None
    data = build("adult")
    read = [
        pd.read_csv(Path(ROOT) / f"tabular/adult/adult.{part}.xz", header=None, skipinitialspace=True, na_values="?").dropna(
            how="all"
        )
        for part in ("data", "test")
    ]
    frame = pd.concat(read, ignore_index=True)
    task, raw = data.tasks["target"], data.raw_features(data.tasks["target"]).values
    np.testing.assert_array_equal(raw[:, :6], frame[[0, 2, 4, 10, 11, 12]].to_numpy(float))
    np.testing.assert_array_equal(task.labels, frame[14].str.contains(">50K").astype(int))
    np.testing.assert_array_equal(np.isnan(raw[:, 7]), frame[3].isna())
    np.testing.assert_array_equal(np.isnan(raw[:, 6]), frame[1].isna())
    words = data.fitted["encoding"]["words"][0]["words"]
    known = raw[:, 6] >= 1
    assert [words[int(code) - 1] for code in raw[known, 6]] == frame[1][known].tolist()
    split = task.splits[0]
    assert split.test.tolist() == list(range(32_561, 48_842))
    assert (task.labels[split.test] == 1).sum() == 3_846
    np.testing.assert_array_equal(split.val, build("adult", split_seed=0).tasks["target"].splits[0].val)
    assert not np.array_equal(split.val, build("adult", split_seed=1).tasks["target"].splits[0].val)


@published
def test_california_keeps_its_split_and_its_unit() -> None:
    assert ROOT is not None
    folder = Path(ROOT) / "tabular/california_housing"
    task = build("california").tasks["target"]
    facts = build("california").description["targets"]["target"]
    assert facts["deviation"] == pytest.approx(np.load(folder / "y_train.npy").astype(float).std())
    for part in ("train", "val", "test"):
        labels = task.labels[getattr(task.splits[0], part)]
        np.testing.assert_allclose(labels * facts["deviation"] + facts["mean"], np.load(folder / f"y_{part}.npy"), rtol=1e-6)


@published
def test_jannis_says_that_it_is_not_comparable() -> None:
    data = build("jannis")
    assert any("not comparable" in note for note in data.description["notes"])
    assert np.bincount(data.tasks["target"].labels[data.tasks["target"].splits[0].test]).tolist() == [337, 5758, 2947, 7705]


@published
def test_bank_leaves_the_duration_out_unless_asked() -> None:
    assert ROOT is not None
    assert "duration" not in build("bank").spec.numeric
    data = build("bank", duration=True)
    with zipfile.ZipFile(Path(ROOT) / "tabular/bank_marketing/bank-additional.zip") as archive:
        frame = pd.read_csv(archive.open("bank-additional/bank-full.csv"), sep=";")
    place = data.spec.numeric.index("duration")
    np.testing.assert_array_equal(data.raw_features(data.tasks["target"]).values[:, place], frame["duration"])


@pytest.mark.parametrize(
    ("name", "loader"), [("wine", "load_wine"), ("digits", "load_digits"), ("diabetes_sklearn", "load_diabetes")]
)
def test_embedded_sets_need_no_root(name: str, loader: str) -> None:
    x, y = getattr(datasets, loader)(return_X_y=True)
    data = DATA[name].build(DATA[name].options(), DataContext(None, Path("no cache"), 0))
    task = data.tasks["target"]
    raw = data.raw_features(task).values
    kept = [number for number in range(x.shape[1]) if len(np.unique(x[task.splits[0].train, number])) > 1]
    np.testing.assert_array_equal(raw, x[:, kept])
    if task.kind == "classification":
        np.testing.assert_array_equal(task.labels, y)
    else:
        facts = data.description["targets"]["target"]
        np.testing.assert_allclose(task.labels * facts["deviation"] + facts["mean"], y)


def write_arrays(folder: Path, packed: bool = False, words: bool = False) -> None:
    folder.mkdir(parents=True)
    g = np.random.default_rng(0)
    for part, rows in (("train", 60), ("val", 20), ("test", 30)):
        arrays = {"N": g.normal(size=(rows, 4)).astype(np.float32), "y": g.integers(3, size=rows)}
        if words:
            arrays["C"] = g.choice(["u", "v"], size=(rows, 2))
        for letter, array in arrays.items():
            path = folder / f"{letter}_{part}.npy"
            if packed and letter != "y":
                with lzma.open(f"{path}.xz", "wb") as file:
                    np.save(file, array)
            np.save(path, array)
    (folder / "info.json").write_text(json.dumps({"task_type": "multiclass"}))


@pytest.mark.parametrize("name", ["helena", "higgs", "aloi"])
def test_sets_that_lie_as_split_arrays_are_read(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "tabular" / {"higgs": "higgs_small"}.get(name, name)
    write_arrays(folder, words=True)
    data = build(name, tmp_path)
    task = data.tasks["target"]
    assert data.spec.numeric == ("N0", "N1", "N2", "N3")
    assert data.spec.categorical == ("C0", "C1")
    assert [len(p) for p in (task.splits[0].train, task.splits[0].val, task.splits[0].test)] == [60, 20, 30]
    np.testing.assert_array_equal(data.raw_features(task).values[80:, :4], np.load(folder / "N_test.npy"))
    np.testing.assert_array_equal(task.labels[60:80], np.load(folder / "y_val.npy"))
    assert task.protocol == "published; inductive"


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "tabular/helena"
    write_arrays(folder)
    np.save(folder / "N_val.npy", np.zeros((19, 4), np.float32))
    with pytest.raises(DataError, match=r"N_val is \(19, 4\) for 20 targets"):
        build.__wrapped__("helena", tmp_path)
    (folder / "N_val.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"N_val\.npy: not a readable \.npy"):
        build.__wrapped__("helena", tmp_path)
    np.save(folder / "N_val.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"N_val\.npy: not a readable \.npy file of plain values"):
        build.__wrapped__("helena", tmp_path)
    (folder / "info.json").write_text("{}")
    with pytest.raises(DataError, match="no task_type"):
        build.__wrapped__("helena", tmp_path)
