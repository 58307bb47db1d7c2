import copy
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sslplug.contracts import Embedding, Split, Task, View
from sslplug.errors import DataError, NonFiniteError
from sslplug.evaluation.finetune import FinetuneOptions
from sslplug.evaluation.finetune import finetune as predictions
from sslplug.evaluation.logistic import Logistic, LogisticOptions
from sslplug.evaluation.metrics import measure
from sslplug.evaluation.ridge import Ridge, RidgeOptions


@dataclass(frozen=True)
class Cells:
    x: Tensor

    def to(self, device: torch.device | str) -> "Cells":
        return Cells(self.x.to(device))


class Encoder(nn.Module):
    """One tanh layer: a linear head on its random features cannot solve XOR of two of ten columns, training it can."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(10, width), nn.Dropout(0.1), nn.Tanh())
        self.dims = {"cell": width}

    def forward(self, view: View) -> Embedding:
        return Embedding({"cell": self.layer(view.data.x)})


def world(n: int = 900) -> tuple[np.ndarray, list[View]]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 10)).astype(np.float32)
    views = [View(Cells(torch.from_numpy(part))) for part in np.split(x, [200, 650])]
    return x, views


def split(n: int = 900) -> Split:
    order = np.random.default_rng(1).permutation(n)
    return Split(order[:500], order[500:600], order[600:])


def finetune(
    start: nn.Module, views: list[View], task: Task, part: Split, options: FinetuneOptions, seed: int, device: str
) -> dict[str, float]:
    return measure(task.kind, task.labels[part.test], predictions(start, views, task, part, options, seed, device))


def test_a_teacher_that_asks_for_no_gradient_is_trained_too() -> None:
    x, views = world()
    labels = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(np.int64)
    task = Task("xor", "classification", "cell", labels, [split()], "random")
    teacher = encoder().requires_grad_(False)
    before = copy.deepcopy(teacher.state_dict())
    predictions(teacher, views, task, split(), FinetuneOptions(lr=0.02, epochs=20), 0, "cpu")
    assert all(not torch.equal(before[name], tensor) for name, tensor in teacher.state_dict().items())


OPTIONS = FinetuneOptions(lr=0.02, epochs=120, patience=60)


def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder()


def test_the_encoder_itself_learns() -> None:
    x, views = world()
    labels = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(np.int64)
    task = Task("xor", "classification", "cell", labels, [split()], "random")
    still = finetune(encoder(), views, task, split(), FinetuneOptions(lr=1e-9, epochs=2), 0, "cpu")
    tuned = finetune(encoder(), views, task, split(), OPTIONS, 0, "cpu")
    assert still["accuracy"] < 0.65
    assert tuned["accuracy"] > 0.85
    assert list(tuned) == ["accuracy", "macro_f1", "auroc"]


def test_training_starts_at_the_linear_probe_and_is_never_worse_than_it_on_validation_rows() -> None:
    """A rate that does nothing leaves the probe's own predictions; one that ruins all is left behind for them."""
    x, views = world()
    start, parts = encoder(), split()
    with torch.no_grad():
        rows = torch.cat([start.eval()(view)["cell"] for view in views]).numpy()
    train, val = rows[parts.train], rows[parts.val]
    sign = Task("sign", "classification", "cell", (x[:, 2] > 0).astype(np.int64), [parts], "random")
    number = Task("number", "regression", "cell", 100.0 + 30.0 * x[:, 3], [parts], "random")
    probes = ((sign, Logistic(LogisticOptions())), (number, Ridge(RidgeOptions())))
    for task, probe in probes:
        labels = task.labels
        fitted = probe.fit(train, labels[parts.train], val, labels[parts.val], task.kind, 0)
        expected = fitted(rows[parts.test]).values
        still = predictions(copy.deepcopy(start), views, task, parts, FinetuneOptions(lr=1e-9, epochs=1), 0, "cpu")
        np.testing.assert_allclose(still.values, expected, rtol=1e-3, atol=1e-3)
        ruined = predictions(copy.deepcopy(start), views, task, parts, FinetuneOptions(lr=100.0, epochs=3), 0, "cpu")
        np.testing.assert_allclose(ruined.values, expected, rtol=1e-3, atol=1e-3)


def test_a_random_head_knows_nothing_of_the_probe_and_learns_all_the_same() -> None:
    """Its start is chance where the probe's is not; with the encoder it comes to what only both together can say."""
    x, views = world()
    sign = Task("sign", "classification", "cell", (x[:, 2] > 0).astype(np.int64), [split()], "random")
    still = FinetuneOptions(lr=1e-9, epochs=1)
    at = {
        head: finetune(encoder(), views, sign, split(), still.model_copy(update={"head": head}), 0, "cpu")["auroc"]
        for head in ("probe", "random")
    }
    assert at["probe"] > 0.8
    assert at["random"] < 0.7
    xor = Task("xor", "classification", "cell", ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(np.int64), [split()], "random")
    learned = OPTIONS.model_copy(update={"head": "random"})
    assert finetune(encoder(), views, xor, split(), learned, 0, "cpu")["accuracy"] > 0.85
    assert finetune(encoder(), views, sign, split(), learned, 0, "cpu")["accuracy"] > 0.9


def test_repeats_exactly_and_leaves_global_randomness_alone() -> None:
    x, views = world()
    task = Task("sign", "classification", "cell", (x[:, 2] > 0).astype(np.int64), [split()], "random")
    torch.manual_seed(3)
    state = torch.get_rng_state()
    short = FinetuneOptions(lr=0.02, epochs=5)
    start = encoder()
    state = torch.get_rng_state()
    first = finetune(copy.deepcopy(start), views, task, split(), short, 0, "cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert first == finetune(copy.deepcopy(start), views, task, split(), short, 0, "cpu")


def test_numbers_and_an_empty_validation_part() -> None:
    x, views = world()
    labels = 100.0 + 30.0 * x[:, 3]
    parts = split()
    task = Task("number", "regression", "cell", labels, [parts], "random")
    none = Split(parts.train, parts.val[:0], parts.test)
    found = finetune(encoder(), views, task, none, OPTIONS, 0, "cpu")
    assert found["r2"] > 0.9
    assert found["rmse"] < 10


def test_epochs_that_are_as_good_on_few_validation_rows_differ_by_their_loss() -> None:
    """Two validation rows are right after the first epoch by luck; the encoder goes on learning all the same."""
    x, views = world()
    labels = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(np.int64)
    task = Task("xor", "classification", "cell", labels, [split()], "random")
    parts = split()
    first = predictions(
        encoder(),
        views,
        task,
        Split(parts.train, parts.train, parts.val),
        OPTIONS.model_copy(update={"epochs": 1}),
        0,
        "cpu",
    )
    lucky = parts.val[first.labels == labels[parts.val]][:2]
    found = finetune(encoder(), views, task, Split(parts.train, lucky, parts.test), OPTIONS, 0, "cpu")
    assert found["accuracy"] > 0.8


def test_predictions_meet_their_own_rows() -> None:
    """Test rows in any order over several views: every one is scored against its own label."""
    x, views = world()
    labels = (x[:, 4] > 0).astype(np.int64)
    task = Task("sign", "classification", "cell", labels, [split()], "random")
    parts = split()
    backwards = Split(parts.train, parts.val, parts.test[::-1].copy())
    start = encoder()
    found = [finetune(copy.deepcopy(start), views, task, part, OPTIONS, 0, "cpu") for part in (parts, backwards)]
    assert found[0] == found[1]
    assert found[0]["accuracy"] > 0.9


def test_links_within_a_view_and_across_views() -> None:
    x, views = world()
    rng = np.random.default_rng(2)
    inside = np.stack([rng.integers(200, 650, 900), rng.integers(200, 650, 900)], axis=1)
    labels = (x[inside[:, 0], 0] * x[inside[:, 1], 0] > 0).astype(np.int64)
    task = Task("link", "link", "cell", labels, [split()], "random", members=inside)
    assert finetune(encoder(), views, task, split(), OPTIONS, 0, "cpu")["auroc"] > 0.85
    torn = inside.copy()
    torn[:, 1] = 0
    bad = Task("link", "link", "cell", labels, [split()], "random", members=torn)
    with pytest.raises(DataError, match="lie in different views"):
        finetune(encoder(), views, bad, split(), OPTIONS, 0, "cpu")


def test_shuffled_labels_stay_at_chance() -> None:
    x, views = world()
    labels = np.random.default_rng(4).permutation((x[:, 2] > 0).astype(np.int64))
    task = Task("noise", "classification", "cell", labels, [split()], "random")
    found = finetune(encoder(), views, task, split(), FinetuneOptions(lr=0.02, epochs=30), 0, "cpu")
    assert abs(found["accuracy"] - 0.5) < 4 * 0.5 / np.sqrt(300)


def test_clusters_and_missing_rows_are_refused() -> None:
    x, views = world()
    labels = (x[:, 2] > 0).astype(np.int64)
    with pytest.raises(DataError, match="clustering task cannot be fine-tuned"):
        finetune(encoder(), views, Task("c", "clustering", "cell", labels, [split()], "r"), split(), OPTIONS, 0, "cpu")
    task = Task("sign", "classification", "cell", labels, [split()], "random")
    with pytest.raises(DataError, match="the views hold 650 rows"):
        finetune(encoder(), views[:2], task, split(), OPTIONS, 0, "cpu")


def test_an_encoder_that_makes_no_numbers_or_another_level_is_refused() -> None:
    x, views = world()
    task = Task("sign", "classification", "cell", (x[:, 2] > 0).astype(np.int64), [split()], "random")
    broken = encoder()
    with torch.no_grad():
        broken.layer[0].weight.fill_(torch.nan)
    with pytest.raises(NonFiniteError, match="level 'cell'"):
        finetune(broken, views, task, split(), OPTIONS, 0, "cpu")
    other = Task("sign", "classification", "row", task.labels, [split()], "random")
    with pytest.raises(DataError, match="judges level 'row', but the given encoder made cell"):
        finetune(encoder(), views, other, split(), OPTIONS, 0, "cpu")


def test_search_chooses_on_validation_and_starts_every_setting_anew() -> None:
    """A useless learning rate is one of the candidates: search leaves it behind, and the test labels play no part."""
    x, views = world()
    labels = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(np.int64)
    parts = split()
    task = Task("xor", "classification", "cell", labels, [parts], "random")
    still = FinetuneOptions(lr=1e-9, epochs=100, patience=100)
    start = encoder()
    before = copy.deepcopy(start.state_dict())
    alone = finetune(copy.deepcopy(start), views, task, parts, still, 1, "cpu")
    searched = predictions(start, views, task, parts, still.model_copy(update={"tune": 6}), 1, "cpu")
    assert measure("classification", labels[parts.test], searched)["accuracy"] > alone["accuracy"] + 0.1
    assert all(torch.equal(before[name], value) for name, value in start.state_dict().items())
    other = labels.copy()
    other[parts.test] = 1 - other[parts.test]
    again = predictions(start, views, Task("xor", "classification", "cell", other, [parts], "random"), parts,
                        still.model_copy(update={"tune": 6}), 1, "cpu")  # fmt: skip
    assert np.array_equal(searched.values, again.values)
