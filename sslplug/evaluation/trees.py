"""LightGBM on raw features, on embeddings, or on both: the control every self-supervised number is printed beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import torch
from pydantic import Field

from sslplug.contracts import Kind, Options
from sslplug.evaluation.probe import CLASS_KINDS, Features, Prediction, stratified_folds

_SMALL = 4_000_000
_FEWEST_COLUMNS = 16


class LightGbmOptions(Options):
    """Gradient-boosted trees (Ke et al. 2017) with one fixed budget for every data set; nothing is tuned on test."""

    rounds: int = Field(default=300, ge=1, description="most boosting rounds")
    patience: int = Field(default=20, ge=1, description="rounds without a better validation loss before stopping")
    lr: float = Field(default=0.1, gt=0, description="learning rate")
    num_leaves: int = Field(default=31, ge=2, description="leaves a tree")
    min_child_samples: int = Field(
        default=20, ge=1, description="fewest rows a leaf; never more than a twentieth of the training rows"
    )
    feature_fraction: float = Field(
        default=0.3, gt=0, le=1, description="share of columns a tree may use; at least 16 columns"
    )
    bagging_fraction: float = Field(default=0.8, gt=0, le=1, description="share of rows a tree is grown on")
    lambda_l2: float = Field(default=1.0, ge=0, description="L2 penalty on leaf values")
    max_bin: int = Field(default=63, ge=2, le=255, description="histogram bins a column")
    holdout: float = Field(
        default=0.15, gt=0, lt=1, description="share of training rows for early stopping where there is no validation"
    )
    num_threads: int = Field(default=0, ge=0, description="threads; 0 = one for small data, else all of the process")


@dataclass(frozen=True)
class FittedTrees:
    """A fitted ensemble, cut at its best round."""

    booster: lightgbm.Booster
    rounds: int
    classes: np.ndarray | None

    def __call__(self, x: Features) -> Prediction:
        """Class probabilities of (n, f) rows, or numbers for regression."""
        values = np.asarray(self.booster.predict(x, num_iteration=self.rounds))
        if self.classes is None:
            return Prediction(values)
        if values.ndim == 1:
            values = np.stack([1.0 - values, values], axis=1)
        return Prediction(values, self.classes)


@dataclass(frozen=True)
class LightGbm:
    """See :class:`LightGbmOptions`. Takes dense rows or a scipy CSR matrix; the same seed gives the same trees.

    The number of rounds is chosen by the loss on the validation rows. Without any, a stratified part of the training rows is
    held out to choose it and the trees are grown again on all training rows; with fewer than 20 training rows nothing is
    held out and 100 rounds are grown.

    Small data (rows times columns below four million) is grown on one thread, where waiting for others costs more than it
    saves; the trees are the same on any number of threads.
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
            x_val, held = x_val[known], np.searchsorted(classes, y_val[known])
        parameters = self._parameters(x_train.shape, classes, seed)
        if len(held):
            booster, rounds = self._grow(parameters, x_train, target, x_val, held)
            return FittedTrees(booster, rounds, classes)
        rounds = min(100, self.options.rounds)
        if len(target) >= 20:
            inside = self._inside(target if classes is not None else np.zeros(len(target)), seed)
            _, rounds = self._grow(parameters, x_train[inside], target[inside], x_train[~inside], target[~inside])
        data = lightgbm.Dataset(x_train, target, params=parameters)
        return FittedTrees(lightgbm.train(parameters, data, rounds), rounds, classes)

    def _inside(self, strata: np.ndarray, seed: int) -> np.ndarray:
        """(n,) True for rows to grow on; every class keeps a row, so that no held-out class is unknown."""
        parts = max(2, round(1.0 / self.options.holdout))
        inside: np.ndarray = stratified_folds(strata, parts, seed) != 0
        for value in np.unique(strata):
            if not inside[strata == value].any():
                inside[np.flatnonzero(strata == value)[0]] = True
        return inside

    def _grow(
        self, parameters: dict[str, Any], x: Features, y: np.ndarray, x_held: Features, y_held: np.ndarray
    ) -> tuple[lightgbm.Booster, int]:
        data = lightgbm.Dataset(x, y, params=parameters)
        held = lightgbm.Dataset(x_held, y_held, reference=data, params=parameters)
        stop = lightgbm.early_stopping(self.options.patience, verbose=False)
        booster = lightgbm.train(parameters, data, self.options.rounds, valid_sets=[held], callbacks=[stop])
        return booster, max(1, booster.best_iteration)

    def _parameters(self, shape: tuple[int, int], classes: np.ndarray | None, seed: int) -> dict[str, Any]:
        options, (rows, columns) = self.options, shape
        threads = 1 if rows * columns < _SMALL else torch.get_num_threads()
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
            "feature_fraction": min(1.0, max(options.feature_fraction, _FEWEST_COLUMNS / columns)),
            "bagging_fraction": options.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": options.lambda_l2,
            "max_bin": options.max_bin,
            "min_data_in_bin": 1 if rows < 500 else 3,
            "seed": seed % (2**31 - 1),
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": options.num_threads or threads,
            "verbosity": -1,
            "feature_pre_filter": False,
        }
