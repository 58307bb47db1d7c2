"""LightGBM on raw features, on embeddings, or on both: the control every self-supervised number is printed beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import torch
from pydantic import Field

from sslplug.contracts import Kind, Options, RawFeatures
from sslplug.evaluation.metrics import selection_score
from sslplug.evaluation.probe import CLASS_KINDS, Features, Prediction, kept_inside, take
from sslplug.evaluation.search import Space, best_of, log_integer, log_uniform, settings, uniform, zero_or

_SMALL = 4_000_000


class LightGbmOptions(Options):
    """Gradient-boosted trees (Ke et al. 2017) with one fixed budget for every data set; nothing is tuned on test.

    ``tune`` adds a row of its own to the table: the best on validation of that many random settings.
    """

    rounds: int = Field(default=2000, ge=1, description="most boosting rounds")
    trees: int = Field(
        default=3000, ge=1, description="most trees in all: with more than two classes a round grows one each"
    )
    patience: int = Field(default=50, ge=1, description="rounds without a better validation loss before stopping")
    lr: float = Field(default=0.05, gt=0, description="learning rate")
    num_leaves: int = Field(default=31, ge=2, description="leaves a tree")
    min_child_samples: int = Field(
        default=20, ge=1, description="fewest rows a leaf; never more than a twentieth of the training rows"
    )
    feature_fraction: float = Field(
        default=0.3, gt=0, le=1, description="share of columns a tree may use; at least fewest_columns"
    )
    fewest_columns: int = Field(default=16, ge=1, description="fewest columns a tree may use")
    bagging_fraction: float = Field(default=0.8, gt=0, le=1, description="share of rows a tree is grown on")
    lambda_l1: float = Field(default=0.0, ge=0, description="L1 penalty on leaf values")
    lambda_l2: float = Field(default=1.0, ge=0, description="L2 penalty on leaf values")
    max_bin: int = Field(default=255, ge=2, le=255, description="histogram bins a column")
    holdout: float = Field(
        default=0.15, gt=0, lt=1, description="share of training rows for early stopping where there is no validation"
    )
    num_threads: int = Field(default=0, ge=0, description="threads; 0 = one for small data, else all of the process")
    tune: int = Field(default=0, ge=0, description="random settings tried, chosen on validation rows; 100 is a usual budget")


SPACE: Space = {
    "num_leaves": log_integer(7, 255),
    "lr": log_uniform(0.01, 0.2),
    "min_child_samples": log_integer(1, 100),
    "feature_fraction": uniform(0.4, 1.0),
    "bagging_fraction": uniform(0.5, 1.0),
    "lambda_l1": zero_or(log_uniform(1e-3, 10.0)),
    "lambda_l2": zero_or(log_uniform(1e-3, 10.0)),
}
"""What ``tune`` draws from, with up to 2000 rounds (20,000 trees), patience 50, 255 bins and no floor on a tree's columns."""

_TUNED = {"rounds": 2000, "trees": 20_000, "patience": 50, "max_bin": 255, "fewest_columns": 1}


@dataclass(frozen=True)
class FittedTrees:
    """A fitted ensemble, cut at its best round; 0 keeps all."""

    booster: lightgbm.Booster
    rounds: int
    classes: np.ndarray | None

    def __call__(self, x: Features) -> Prediction:
        """Class probabilities of (n, f) rows, or numbers for regression."""
        values = np.asarray(self.booster.predict(_matrix(x), num_iteration=self.rounds or None))
        if self.classes is None:
            return Prediction(values)
        if values.ndim == 1:
            values = np.stack([1.0 - values, values], axis=1)
        return Prediction(values, self.classes)


@dataclass(frozen=True)
class LightGbm:
    """See :class:`LightGbmOptions`. Takes dense rows, a scipy CSR matrix, or raw features, whose categories are given to it as
    categories and whose missing values as missing; the same seed gives the same trees.

    The number of rounds is chosen by the loss on the validation rows. Without any, a stratified part of the training rows is
    held out to choose it and the trees are grown again on all training rows; with fewer than 20 training rows nothing is
    held out and 100 rounds are grown.

    Small data (rows times columns below four million) is grown on one thread, where waiting for others costs more than it
    saves; the trees are the same on any number of threads.

    With ``tune`` the setting with the best primary metric on the validation rows (or the held-out part) is kept, ties by the
    loss there; the setting as written is one of the candidates.
    """

    options: LightGbmOptions
    kinds: frozenset[Kind] = CLASS_KINDS | {"regression"}

    def fit(
        self, x_train: Features, y_train: np.ndarray, x_val: Features, y_val: np.ndarray, kind: Kind, seed: int
    ) -> FittedTrees:
        """Fit on (n, f) rows."""
        if kind == "regression":
            classes = None
            target: np.ndarray = np.asarray(y_train, dtype=np.float64)
            held: np.ndarray = np.asarray(y_val, dtype=np.float64)
        else:
            classes, target = np.unique(y_train, return_inverse=True)
            known = np.isin(y_val, classes)
            x_val, held = take(x_val, known), np.searchsorted(classes, y_val[known])
        again = not len(held)
        x, y = x_train, target
        if again and len(target) >= 20:
            strata = target if classes is not None else np.zeros(len(target))
            inside = kept_inside(strata, max(2, round(1.0 / self.options.holdout)), seed)
            x, y, x_val, held = take(x_train, inside), target[inside], take(x_train, ~inside), target[~inside]
        if not len(held):  # too few rows to choose anything by
            return FittedTrees(self._grown(self.options, x, y, classes, seed, min(100, self.options.rounds)), 0, classes)

        def fit(options: LightGbmOptions) -> tuple[tuple[LightGbmOptions, FittedTrees], tuple[float, ...]]:
            booster, rounds, loss = self._stopped(options, x, y, x_val, held, classes, seed)
            fitted = FittedTrees(booster, rounds, classes)
            labels = held if classes is None else classes[held]
            return (options, fitted), (selection_score(kind, labels, fitted(x_val)), -loss)

        drawn = settings(self.options.model_copy(update=_TUNED), SPACE, self.options.tune, seed)[1:]
        options, fitted = best_of([self.options, *drawn], fit)
        if again:
            return FittedTrees(self._grown(options, x_train, target, classes, seed, fitted.rounds), fitted.rounds, classes)
        return fitted

    def untuned(self) -> LightGbm:
        """The same trees with the setting as written."""
        return LightGbm(self.options.model_copy(update={"tune": 0}))

    def _grown(
        self, options: LightGbmOptions, x: Features, y: np.ndarray, classes: np.ndarray | None, seed: int, rounds: int
    ) -> lightgbm.Booster:
        parameters = self._parameters(options, _matrix(x).shape, classes, seed)
        return lightgbm.train(parameters, _dataset(x, y, parameters), rounds)

    def _stopped(
        self,
        options: LightGbmOptions,
        x: Features,
        y: np.ndarray,
        x_held: Features,
        y_held: np.ndarray,
        classes: np.ndarray | None,
        seed: int,
    ) -> tuple[lightgbm.Booster, int, float]:
        """The booster, its best round on the held rows, and the loss there."""
        parameters = self._parameters(options, _matrix(x).shape, classes, seed)
        data = _dataset(x, y, parameters)
        held = lightgbm.Dataset(_matrix(x_held), y_held, reference=data, params=parameters)
        stop = lightgbm.early_stopping(options.patience, verbose=False)
        rounds = (
            options.rounds if classes is None or len(classes) == 2 else min(options.rounds, options.trees // len(classes))
        )
        booster = lightgbm.train(parameters, data, max(1, rounds), valid_sets=[held], callbacks=[stop])
        (loss,) = booster.best_score["valid_0"].values()
        return booster, max(1, booster.best_iteration), float(loss)

    def _parameters(
        self, options: LightGbmOptions, shape: Sequence[int], classes: np.ndarray | None, seed: int
    ) -> dict[str, Any]:
        rows, columns = shape
        if classes is None:
            aim: dict[str, Any] = {"objective": "regression", "metric": "l2"}
        elif len(classes) == 2:
            aim = {"objective": "binary", "metric": "binary_logloss"}
        else:
            aim = {"objective": "multiclass", "metric": "multi_logloss", "num_class": len(classes)}
        return aim | {
            "learning_rate": options.lr,
            "num_leaves": options.num_leaves,
            "min_data_in_leaf": max(1, min(options.min_child_samples, rows // 20)),
            "feature_fraction": min(1.0, max(options.feature_fraction, options.fewest_columns / columns)),
            "bagging_fraction": options.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l1": options.lambda_l1,
            "lambda_l2": options.lambda_l2,
            "max_bin": options.max_bin,
            "min_data_in_bin": 1 if rows < 500 else 3,
            "seed": seed % (2**31 - 1),
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": options.num_threads or threads_for(rows, columns),
            "verbosity": -1,
            "feature_pre_filter": False,
        }


def threads_for(rows: int, columns: int) -> int:
    """One for small data, where waiting for others costs more than it saves; else all of the process."""
    return 1 if rows * columns < _SMALL else torch.get_num_threads()


def _matrix(x: Features) -> Any:
    return x.values if isinstance(x, RawFeatures) else x


def _dataset(x: Features, y: np.ndarray, parameters: dict[str, Any]) -> lightgbm.Dataset:
    categorical = list(x.categorical) if isinstance(x, RawFeatures) else []
    return lightgbm.Dataset(_matrix(x), y, categorical_feature=categorical, params=parameters)
