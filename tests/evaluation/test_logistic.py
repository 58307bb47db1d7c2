import time

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier

from sslplug.evaluation.logistic import Logistic, LogisticOptions, OneVsRest, OneVsRestOptions, Rotated, one_vs_rest_path
from sslplug.evaluation.probe import Scaler, unit_rows


def clusters(n: int, width: int, classes: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    centres = rng.normal(size=(classes, width))
    return (centres[labels] + noise * rng.normal(size=(n, width))).astype(np.float32), labels


@pytest.mark.parametrize(("rows", "width"), [(200, 12), (40, 90)])
@pytest.mark.parametrize("power", [-3, 0, 3])
def test_multinomial_equals_scikit_learn(rows: int, width: int, power: int) -> None:
    x, y = clusters(rows, width, 4, 2.0)
    empty = x[:0], y[:0]
    probe = Logistic(LogisticOptions(lowest=power, highest=power))
    fit = probe.fit(x, y, *empty, "classification", 0)
    scaled = Scaler.of(x)(x)
    other = LogisticRegression(C=10.0**power, tol=1e-10, max_iter=20_000).fit(scaled, y)
    assert np.abs(fit.weights.T - other.coef_).max() < 1e-3 * max(1.0, np.abs(other.coef_).max())
    assert np.abs(fit(x).values - other.decision_function(scaled)).max() < 1e-3 * max(1.0, np.abs(fit(x).values).max())


@pytest.mark.parametrize("power", [-10, -4, 0, 5, 9])
def test_one_vs_rest_equals_liblinear(power: int) -> None:
    x, y = clusters(150, 30, 3, 2.5)
    probe = OneVsRest(OneVsRestOptions(lowest=power, highest=power))
    fit = probe.fit(x, y, x[:0], y[:0], "classification", 0)
    for number in range(3):
        other = LogisticRegression(C=2.0**power, solver="liblinear", tol=1e-10, max_iter=10_000)
        other.fit(unit_rows(x), y == number)
        assert np.abs(fit.weights[:, number] - other.coef_[0]).max() < 1e-3
        assert abs(fit.bias[number] - other.intercept_[0]) < 1e-3


def test_one_vs_rest_chooses_as_well_as_a_grid_search() -> None:
    x, y = clusters(300, 40, 4, 3.0)
    fit = OneVsRest(OneVsRestOptions()).fit(x[:150], y[:150], x[:0], y[:0], "classification", 0)
    search = GridSearchCV(
        OneVsRestClassifier(LogisticRegression(solver="liblinear")), {"estimator__C": 2.0 ** np.arange(-10, 10)}, cv=5
    ).fit(unit_rows(x[:150]), y[:150])
    ours = (fit(x[150:]).labels == y[150:]).mean()
    assert abs(ours - search.score(unit_rows(x[150:]), y[150:])) < 0.05


def test_warm_started_path_ends_where_a_cold_start_does() -> None:
    x, y = clusters(80, 10, 3, 2.0)
    rows = Rotated.of(x.astype(np.float64))
    signs = 2.0 * torch.nn.functional.one_hot(torch.from_numpy(y), 3).T.to(torch.float64) - 1.0
    masks = (torch.arange(80)[None] % 4 != torch.arange(4)[:, None]).to(torch.float64)
    path = one_vs_rest_path(rows, signs, masks, [0.01, 0.1, 1.0, 10.0], 1e-11)
    cold = one_vs_rest_path(rows, signs, masks, [10.0], 1e-11)
    assert torch.allclose(path[-1], cold[0], atol=1e-4)
    alone = one_vs_rest_path(rows, signs, masks[2:3], [10.0], 1e-11)
    assert torch.allclose(cold[0][2], alone[0][0], atol=1e-4)


def test_rotation_loses_nothing() -> None:
    for shape in ((50, 8), (8, 50), (20, 20)):
        x = np.random.default_rng(0).normal(size=shape)
        rows = Rotated.of(x)
        assert torch.allclose(rows.coordinates @ rows.basis.T, torch.from_numpy(x), atol=1e-10)


def test_strength_is_chosen_on_validation() -> None:
    """Training labels with heavy noise: strong fits memorise, so validation must pick a weak one."""
    rng = np.random.default_rng(0)
    x, y = clusters(400, 60, 2, 3.0)
    noisy = np.where(rng.random(400) < 0.35, 1 - y, y)
    probe = Logistic(LogisticOptions())
    chosen = probe.fit(x[:100], noisy[:100], x[100:250], y[100:250], "classification", 0)
    strong = Logistic(LogisticOptions(lowest=4, highest=4)).fit(x[:100], noisy[:100], x[:0], y[:0], "classification", 0)
    assert np.abs(chosen.weights).max() < 0.2 * np.abs(strong.weights).max()
    assert (chosen(x[250:]).labels == y[250:]).mean() > (strong(x[250:]).labels == y[250:]).mean()


@pytest.mark.parametrize("probe", [Logistic(LogisticOptions()), OneVsRest(OneVsRestOptions())])
def test_one_row_a_class_and_constant_columns(probe: Logistic | OneVsRest) -> None:
    x = np.concatenate([np.eye(3), np.ones((3, 1))], axis=1).astype(np.float32)
    fit = probe.fit(x, np.array([2, 5, 9]), x[:0], np.zeros(0, np.int64), "classification", 0)
    assert list(fit.classes) == [2, 5, 9]
    assert np.isfinite(fit(x).values).all()


def test_pool_takes_in_the_validation_rows() -> None:
    x, y = clusters(120, 10, 3, 1.0)
    options = OneVsRestOptions(lowest=0, highest=0, pool="train+val", cv="shuffle")
    joined = OneVsRest(options).fit(x[:60], y[:60], x[60:], y[60:], "classification", 0)
    whole = OneVsRest(options).fit(x, y, x[:0], y[:0], "classification", 0)
    assert np.allclose(joined.weights, whole.weights)


def test_same_arguments_same_model_and_fast_enough() -> None:
    x, y = clusters(270, 256, 7, 4.0)
    began = time.perf_counter()
    fits = [Logistic(LogisticOptions()).fit(x, y, x[:0], y[:0], "classification", 3) for _ in range(2)]
    assert np.array_equal(fits[0].weights, fits[1].weights)
    assert time.perf_counter() - began < 10  # about 0.4 s a fit on one core
