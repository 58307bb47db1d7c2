"""The scikit-learn face on the toy plugin: scikit-learn's own checks, pipelines, pickles, frames, and what is refused."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sslplug import SSLTransformer
from sslplug.contracts import DataContext
from sslplug.errors import DataError, PluginError, RecipeError, UsageError
from sslplug.testing.toy_data import Clusters, ClustersOptions
from sslplug.testing.toy_memory import MemoryOptions, build_memory

SMALL = ("encoder.hidden=8", "encoder.width=4", "method.projector.widths=[8, 4]")
pytestmark = pytest.mark.filterwarnings("ignore:Collapsed")
X = np.random.default_rng(0).normal(size=(60, 5))


def transformer(**given: Any) -> SSLTransformer:
    return SSLTransformer(**{"plugin": "toy", "epochs": 2, "overrides": SMALL, **given})


@parametrize_with_checks([transformer()])
def test_scikit_learns_own_checks(estimator: SSLTransformer, check: Any, toy_plugin: str) -> None:
    check(estimator)


def test_the_package_alone_is_light() -> None:
    code = (
        "import sys, sslplug; heavy = {'torch', 'sklearn', 'numpy'} & set(sys.modules); assert not heavy, heavy\n"
        "assert 'SSLTransformer' in dir(sslplug); assert sslplug.SSLTransformer.__name__ == 'SSLTransformer'\n"
        "try: sslplug.nothing\nexcept AttributeError as e: assert \"no attribute 'nothing'\" in str(e)\nelse: raise SystemExit(1)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


def test_in_a_pipeline_it_finds_the_clusters(toy_plugin: str, tmp_path: Path) -> None:
    """Cells that share nothing but the class: what the encoder learns from unlabelled rows serves a classifier."""
    clusters = Clusters(ClustersOptions(rows=240, width=1, cells=10, clusters=2, signal=1.5), DataContext(None, tmp_path, 0))
    rows, labels = clusters.cells[:, :, 0], clusters.tasks["cluster"].labels
    learner = SSLTransformer(plugin="toy", epochs=20, overrides=("optim.lr=0.003", "train.batch_size=80"))
    pipeline = make_pipeline(StandardScaler(), learner, LogisticRegression())
    scores = cross_val_score(pipeline, rows, labels, cv=3, error_score="raise")
    assert scores.mean() > 0.8
    assert not learner.__dict__.keys() - learner.get_params().keys()  # cross_val_score fits clones


def test_clone_and_parameters(toy_plugin: str) -> None:
    first = transformer(seed=3).fit(X)
    second = clone(first)
    assert second.get_params() == first.get_params()
    assert not hasattr(second, "trained_")
    np.testing.assert_array_equal(second.fit(X).transform(X), first.transform(X))
    other = second.set_params(seed=4).fit(X).transform(X)
    assert not np.allclose(other, first.transform(X))


def test_a_pickle_holds_all_it_needs(toy_plugin: str, tmp_path: Path) -> None:
    fitted = transformer().fit(X)
    wanted = fitted.transform(X[:7] + 1)
    (tmp_path / "pickle").write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "rows.npy", X[:7] + 1)
    code = (
        "import pickle, sys, numpy as np\n"
        "folder = sys.argv[1]; fitted = pickle.load(open(f'{folder}/pickle', 'rb'))\n"
        "np.save(f'{folder}/found.npy', fitted.transform(np.load(f'{folder}/rows.npy')))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), wanted, rtol=1e-5, atol=1e-6)


def test_new_rows_are_scaled_by_the_rows_that_were_fitted(toy_plugin: str) -> None:
    fitted = transformer().fit(X)
    np.testing.assert_array_equal(fitted.transform(X)[10:12], fitted.transform(X[10:12]))
    scale = json.loads(fitted.trained_.fitted)
    np.testing.assert_allclose(scale["mean"], X.mean(0))
    new = build_memory(MemoryOptions(), DataContext(None, Path(), 0, memory=X[:3] + 5, fitted=scale))
    np.testing.assert_allclose(new.cells[:, :, 0], (X[:3] + 5 - X.mean(0)) / X.std(0), rtol=1e-5)


def test_frames_and_tables_are_the_same_rows(toy_plugin: str) -> None:
    names = [f"x{number}" for number in range(5)]
    frame = pd.DataFrame(X, columns=names)
    table = pa.table(dict(zip(names, X.T, strict=True)))
    wanted = transformer().fit(X).transform(X)
    for rows in (frame, table, X.tolist()):
        fitted = transformer().fit(rows)
        np.testing.assert_array_equal(fitted.transform(rows), wanted)
        assert fitted.n_features_in_ == 5
    named = transformer().set_output(transform="pandas").fit(frame).transform(frame.set_index(np.arange(60) + 7))
    assert list(named.columns) == ["ssltransformer0", "ssltransformer1", "ssltransformer2", "ssltransformer3"]
    assert list(named.index) == list(range(7, 67))


def test_columns_that_do_not_match_are_named(toy_plugin: str) -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    for rows in (frame, pa.Table.from_pandas(frame)):
        fitted = transformer().fit(rows)
        with pytest.raises(ValueError, match=r"seen at fit time, yet now missing:\n- c") as caught:
            fitted.transform(frame.drop(columns="c"))
        assert isinstance(caught.value, DataError)
        with pytest.raises(ValueError, match=r"unseen at fit time:\n- z"):
            fitted.transform(frame.assign(z=1.0))
    with pytest.raises(DataError, match="X has 4 features, but SSLTransformer is expecting 5"):
        transformer().fit(X).transform(X[:, :4])
    with pytest.raises(DataError, match="'c' is no column of numbers"):
        transformer().fit(frame.assign(c="word"))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (pd.DataFrame({"a": [1.0]}), "1 sample"),
        (pd.DataFrame({"a": []}), "0 sample"),
        (pa.table({}), "0 sample"),
        (pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["a", "a"]), "Duplicate column names"),
        (pd.DataFrame({"a": [1, {"b": 2}, "c"]}), "cannot be read as a table"),
        (pd.DataFrame({"a": [1.0, np.nan, 3.0]}), "Row 1, column 'a': nan"),
        (np.array([[1.0, np.inf], [1.0, 2.0]]), "infinity"),
        (np.zeros((4, 3, 2)), "expected a numeric \\(n, f\\) array"),
    ],
)
def test_input_that_cannot_be_used(rows: Any, words: str, toy_plugin: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        transformer().fit(rows)
    assert isinstance(caught.value, DataError)


def test_wrong_parameters(toy_plugin: str) -> None:
    with pytest.raises(PluginError, match="There is no plugin named 'toi'"):
        transformer(plugin="toi").fit(X)
    with pytest.raises(UsageError, match="'graph' has no data component 'memory'"):
        transformer(plugin="graph").fit(X)
    with pytest.raises(UsageError, match="ships no recipe 'none'"):
        transformer(recipe="none").fit(X)
    with pytest.raises(RecipeError, match="width"):
        transformer(overrides=("encoder.widht=3",)).fit(X)


def test_quiet_and_without_traces_by_default(
    toy_plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    transformer().fit(X)  # torch's first optimiser in a process makes a cache folder of its own; that trace is not ours
    capfd.readouterr()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    transformer().fit(X).transform(X)
    assert list(tmp_path.iterdir()) == [tmp_path / "toy-site"]
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.random.get_rng_state(), state[0])
    assert (np.random.get_state()[1] == state[1]).all()


def test_verbose_and_kept_runs(toy_plugin: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fitted = transformer(runs=tmp_path / "runs", verbose=True).fit(X)
    assert "toy/crops-infonce: step 2 of 2" in capfd.readouterr().err
    (run,) = (tmp_path / "runs" / "toy" / "crops-infonce").iterdir()
    names = {file.name for file in run.iterdir()}
    assert {"recipe.yaml", "fitted.json", "metrics.json", "log.jsonl", "environment.json", "checkpoints"} <= names
    assert json.loads((run / "fitted.json").read_text()) == json.loads(fitted.trained_.fitted)
    assert json.loads((run / "metrics.json").read_text())["steps"] == fitted.trained_.steps == 2


def test_a_batch_larger_than_the_table_is_the_table(toy_plugin: str) -> None:
    fitted = transformer(overrides=(*SMALL, "train.batch_size=512", "train.accumulate=7")).fit(X)
    assert fitted.trained_.recipe["train"]["batch_size"] == 56
    assert fitted.trained_.recipe["data"] == {"name": "memory"}


def test_collapse_is_a_warning(toy_plugin: str) -> None:
    dull = ("objective.name=cosine", "optim.lr=0.01", "train.epochs=40")
    with pytest.warns(UserWarning, match="^Collapsed: "):
        transformer(epochs=None, overrides=(*SMALL, *dull)).fit(load_digits().data[:100, 20:30])
