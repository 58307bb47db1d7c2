import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from sslplug.errors import UsageError
from sslplug.evaluation import PROBES
from sslplug.evaluation.linear_adam import LinearAdam, LinearAdamOptions
from sslplug.evaluation.neighbours import Knn, KnnOptions
from sslplug.evaluation.probe import Scaler, stratified_folds
from sslplug.evaluation.ridge import Ridge, RidgeOptions
from sslplug.evaluation.svm import Svm, SvmOptions
from sslplug.evaluation.trees import LightGbm, LightGbmOptions


def clusters(n: int, width: int, classes: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    labels = np.arange(n) % classes
    return (rng.normal(size=(classes, width))[labels] + noise * rng.normal(size=(n, width))).astype(np.float32), labels


NOTHING = np.zeros((0, 8), np.float32), np.zeros(0, np.int64)


def test_folds_are_stratified_and_even() -> None:
    labels = np.array([0] * 20 + [1] * 10 + [2] * 3)
    fold = stratified_folds(labels, 5, 0)
    assert sorted(np.bincount(fold)) == [6, 6, 7, 7, 7]
    assert np.bincount(fold[labels == 0]).tolist() == [4] * 5
    assert np.array_equal(fold, stratified_folds(labels, 5, 0))
    assert not np.array_equal(fold, stratified_folds(labels, 5, 1))


def test_svm_agrees_with_scikit_learn() -> None:
    x, y = clusters(300, 8, 3, 1.5)
    fit = Svm(SvmOptions()).fit(x[:150], y[:150], *NOTHING, "classification", 0)
    search = GridSearchCV(SVC(), {"C": [1e-3, 1e-2, 1e-1, 1, 10, 100, 1000]}, cv=5).fit(x[:150], y[:150])
    assert abs((fit(x[150:]).labels == y[150:]).mean() - search.score(x[150:], y[150:])) < 0.04
    single = Svm(SvmOptions(strengths=(1.0,))).fit(x[:150], y[:150], *NOTHING, "classification", 0)
    assert (single(x).labels == SVC().fit(x[:150], y[:150]).predict(x)).mean() > 0.98  # ties of votes aside


def test_svm_two_classes_rank_by_their_margin() -> None:
    x, y = clusters(100, 8, 2, 1.0)
    fit = Svm(SvmOptions(kernel="linear", standardise=True)).fit(x[:60], y[:60], x[60:80], y[60:80], "anomaly", 0)
    assert fit(x[80:]).margin[y[80:] == 1].mean() > fit(x[80:]).margin[y[80:] == 0].mean()


@pytest.mark.parametrize(("rows", "width"), [(60, 8), (10, 8), (6, 8)])
def test_ridge_agrees_with_scikit_learn(rows: int, width: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, width))
    y = 5 + x @ rng.normal(size=width) + 0.1 * rng.normal(size=rows)
    fit = Ridge(RidgeOptions(lowest=1, highest=1)).fit(x, y, x[:0], y[:0], "regression", 0)
    scaled = Scaler.of(x)(x)
    assert np.allclose(fit(x).values, SklearnRidge(alpha=10.0).fit(scaled, y).predict(scaled), atol=1e-8)


def test_ridge_penalty_is_chosen_on_validation() -> None:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(200, 30)), rng.normal(size=200)
    pure = Ridge(RidgeOptions()).fit(x[:40], noise[:40], x[40:120], noise[40:120], "regression", 0)
    assert pure(x[120:]).values.std() < 0.3  # nothing to learn: the penalty must be large
    exact = x @ rng.normal(size=30)
    good = Ridge(RidgeOptions()).fit(x[:100], exact[:100], x[:0], exact[:0], "regression", 0)
    assert np.abs(good(x[100:]).values - exact[100:]).max() < 0.01


def test_knn_agrees_with_scikit_learn() -> None:
    x, y = clusters(400, 8, 4, 1.5)
    fit = Knn(KnnOptions(k=7, temperature=0.5)).fit(x[:200], y[:200], *NOTHING, "classification", 0)
    other = KNeighborsClassifier(7, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.5)).fit(x[:200], y[:200])
    assert np.allclose(fit(x[200:]).values, other.predict_proba(x[200:]), atol=1e-6)
    numbers = Knn(KnnOptions(k=1)).fit(x[:9], y[:9] * 1.5, *NOTHING, "regression", 0)
    assert np.allclose(numbers(x[:9]).values, y[:9] * 1.5)
    few = Knn(KnnOptions(k=50)).fit(x[:3], y[:3], *NOTHING, "classification", 0)
    assert np.isfinite(few(x).values).all()


def test_linear_adam_learns_and_keeps_the_best_validation_step() -> None:
    x, y = clusters(300, 8, 3, 0.7)
    split = (x[:60], y[:60], x[60:180], y[60:180], "classification", 0)
    last = LinearAdam(LinearAdamOptions(lr=0.05)).fit(*split)
    assert (last(x[180:]).labels == y[180:]).mean() > 0.9
    kept = LinearAdam(LinearAdamOptions(lr=3.0, epochs=60, select="validation", check_every=1)).fit(*split)
    end = LinearAdam(LinearAdamOptions(lr=3.0, epochs=60)).fit(*split)
    validation = [(fit(x[60:180]).labels == y[60:180]).mean() for fit in (kept, end)]
    assert validation[0] >= validation[1]
    with pytest.raises(UsageError, match="select: last"):
        LinearAdam(LinearAdamOptions(select="validation")).fit(x, y, *NOTHING, "classification", 0)


def test_linear_adam_is_torch_adam() -> None:
    """The hand-written gradient gives what autograd and torch.optim.Adam give on the same start."""
    import torch

    x, y = clusters(50, 8, 3, 0.7)
    probe = LinearAdam(LinearAdamOptions(epochs=25, weight_decay=0.01))
    fit = probe.fit(x, y, *NOTHING, "classification", 5)
    bound = (6.0 / (8 + 3)) ** 0.5
    weights = ((2.0 * torch.rand(8, 3, generator=torch.Generator().manual_seed(5)) - 1.0) * bound).requires_grad_()
    bias = torch.zeros(3, requires_grad=True)
    adam = torch.optim.Adam([weights, bias], lr=0.01, weight_decay=0.01)
    for _ in range(25):
        adam.zero_grad()
        torch.nn.functional.cross_entropy(torch.from_numpy(x) @ weights + bias, torch.from_numpy(y)).backward()
        adam.step()
    assert np.abs(fit.weights - weights.detach().numpy()).max() < 1e-4


@pytest.mark.parametrize("holdout", [True, False])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_trees_take_dense_and_sparse_rows(holdout: bool, form: type) -> None:
    x, y = clusters(400, 8, 3, 1.0)
    rows = form(np.maximum(x, 0.0))
    probe = LightGbm(LightGbmOptions(rounds=60))
    val = slice(200, 300) if holdout else slice(0, 0)
    fit = probe.fit(rows[:200], y[:200], rows[val], y[val], "classification", 0)
    assert (fit(rows[300:]).labels == y[300:]).mean() > 0.75
    again = probe.fit(rows[:200], y[:200], rows[val], y[val], "classification", 0)
    assert np.array_equal(fit(rows[300:]).values, again(rows[300:]).values)
    assert 1 <= fit.rounds <= 60


def test_trees_stop_early_and_on_the_right_rows() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4))
    step = np.where(x[:, 0] > 0, 3.0, -3.0)
    fit = LightGbm(LightGbmOptions()).fit(x[:300], step[:300], x[300:], step[300:], "regression", 0)
    assert np.abs(fit(x).values - step).mean() < 0.3
    noise = rng.normal(size=400)
    short = LightGbm(LightGbmOptions()).fit(x[:300], noise[:300], x[300:], noise[300:], "regression", 0)
    assert short.rounds < 100


def test_trees_on_tiny_and_unseen() -> None:
    x, y = clusters(8, 8, 2, 0.1)
    fit = LightGbm(LightGbmOptions()).fit(x, y, *NOTHING, "link", 0)
    assert (fit(x).labels == y).all()
    x, y = clusters(60, 8, 3, 0.3)
    seen = y[:30] != 2
    partial = LightGbm(LightGbmOptions()).fit(x[:30][seen], y[:30][seen], x[30:], y[30:], "classification", 0)
    assert list(partial(x).classes) == [0, 1]


def test_kmeans_finds_planted_clusters() -> None:
    from sklearn.metrics import adjusted_rand_score

    x, y = clusters(300, 8, 3, 0.1)
    probe = PROBES["kmeans"].build(PROBES["kmeans"].options())
    assert adjusted_rand_score(y, probe.cluster(x, 3, 0)) == pytest.approx(1.0)


@pytest.mark.parametrize("name", sorted(PROBES))
def test_every_probe_has_defaults_and_a_line(name: str) -> None:
    component = PROBES[name]
    options = component.options()
    assert component.summary
    assert component.build(options).kinds
    assert all(field.description for field in component.options.model_fields.values())


def test_trees_are_the_same_on_any_number_of_threads() -> None:
    x, y = clusters(200, 8, 3, 1.0)
    fits = [
        LightGbm(LightGbmOptions(rounds=4, num_threads=threads)).fit(
            x[:100], y[:100], x[100:150], y[100:150], "classification", 0
        )
        for threads in (1, 2)
    ]
    assert np.allclose(fits[0](x).values, fits[1](x).values, atol=1e-9)
