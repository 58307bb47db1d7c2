"""The scikit-learn face on real tables: scikit-learn's own checks where missing values are data, frames of mixed columns."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sslplug import SSLTransformer
from sslplug.errors import DataError

SMALL = ("encoder={name: ft_transformer, width: 8, layers: 1, heads: 2, feedforward: 8}", "method.projector.widths=[8]")
pytestmark = pytest.mark.filterwarnings("ignore:Collapsed")


def transformer(**given: Any) -> SSLTransformer:
    return SSLTransformer(**{"recipe": "scarf", "epochs": 1, "overrides": SMALL, **given})


@pytest.fixture
def frame() -> pd.DataFrame:
    """Numbers, words, dates and truths, each with a missing value somewhere."""
    draw = np.random.default_rng(0)
    made = pd.DataFrame(
        {
            "age": draw.normal(40, 10, 80),
            "job": draw.choice(["baker", "smith", "miller"], 80),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(draw.integers(0, 900, 80), unit="D"),
            "member": draw.random(80) > 0.5,
        }
    )
    made.loc[3, ["age", "since"]] = None
    made.loc[5, "job"] = None
    return made


@parametrize_with_checks([transformer()])
def test_scikit_learns_own_checks(estimator: SSLTransformer, check: Any) -> None:
    check(estimator)


def test_missing_values_and_words_are_claimed() -> None:
    tags = get_tags(transformer()).input_tags
    assert (tags.allow_nan, tags.categorical, tags.string, tags.sparse) == (True, True, True, False)


def test_a_frame_of_mixed_columns(frame: pd.DataFrame) -> None:
    fitted = transformer().fit(frame)
    rows = fitted.transform(frame)
    assert rows.shape == (80, len(fitted.get_feature_names_out())) == (80, 8)
    np.testing.assert_allclose(fitted.transform(frame.iloc[3:6]), rows[3:6], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(fitted.transform(pa.Table.from_pandas(frame)), rows)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(frame), rows)
    # What was never seen shares one code; it is neither an error nor another category.
    new = [fitted.transform(frame.assign(job=word)) for word in ("tailor", "cook")]
    np.testing.assert_array_equal(*new)
    assert not np.allclose(new[0], fitted.transform(frame.assign(job="baker")))
    with pytest.raises(ValueError, match="missing:\n- job") as caught:
        fitted.transform(frame.drop(columns="job"))
    assert isinstance(caught.value, DataError)


def test_what_training_fitted_encodes_every_row(frame: pd.DataFrame) -> None:
    """Neither rows beside it nor their number change a row's embedding: nothing is fitted in transform."""
    fitted = transformer().fit(frame)
    np.testing.assert_allclose(fitted.transform(frame.tail(1)), fitted.transform(frame)[-1:], rtol=1e-4, atol=1e-6)
    beside = pd.concat([frame.assign(age=frame.age * 100), frame.tail(1)])
    np.testing.assert_allclose(fitted.transform(beside)[-1:], fitted.transform(frame)[-1:], rtol=1e-4, atol=1e-6)
    whole = frame.dropna()  # no number is missing: an encoder without vectors for gaps
    filled = transformer().fit(whole)
    assert np.isfinite(filled.transform(frame)).all()
    np.testing.assert_allclose(filled.transform(frame)[whole.index], filled.transform(whole), rtol=1e-4, atol=1e-6)


def test_arrays_with_gaps_and_words() -> None:
    numbers = np.random.default_rng(0).normal(size=(40, 3))
    numbers[2, 1] = np.nan
    assert np.isfinite(transformer().fit(numbers).transform(numbers)).all()
    words = np.array([["a", 1.5], ["b", 2.5], [None, 3.5], ["a", np.nan]] * 10, dtype=object)
    fitted = transformer().fit(words)
    rows = fitted.transform(words)
    np.testing.assert_array_equal(rows[0], rows[4])
    assert not np.allclose(rows[0], rows[1])
    with pytest.raises(DataError, match="row 2, column"):
        transformer().fit(np.array([[1.0, 2.0], [np.inf, 1.0], [3.0, 0.0]]))


def test_options_of_the_data_are_those_of_memory(frame: pd.DataFrame) -> None:
    fitted = transformer(overrides=(*SMALL, "data.types={member: ignore}", "data.scaler=standard")).fit(frame)
    flipped = frame.assign(member=~frame.member)
    np.testing.assert_array_equal(fitted.transform(frame), fitted.transform(flipped))
    assert fitted.trained_.recipe["data"]["scaler"] == "standard"


def test_a_pipeline_on_tumours() -> None:
    """Embeddings of a short pretraining carry what tells tumours apart, in folds whose test rows nothing was fitted on."""
    rows, labels = load_breast_cancer(return_X_y=True)
    wide = ("encoder={name: mlp, widths: [64, 64]}", "method.projector.widths=[64]", "train.batch_size=128")
    learner = transformer(epochs=20, overrides=wide)
    pipeline = make_pipeline(learner, StandardScaler(), LogisticRegression(max_iter=2000))
    assert cross_val_score(pipeline, rows, labels, cv=2, error_score="raise").mean() > 0.9
