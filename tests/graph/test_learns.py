"""On a planted graph, pretraining beats the untrained encoder, and shuffled labels land at chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sslplug import discovery
from sslplug.contracts import Task
from sslplug.evaluation import EvaluateOptions, embed, judge
from sslplug.evaluation.logistic import Logistic, LogisticOptions
from sslplug.evaluation.trees import LightGbm, LightGbmOptions
from sslplug.stages.recipes import chosen, schema
from sslplug.stages.session import Session, data_context, open_session
from sslplug.training.optim import OptimOptions, make_optimizer

GRACE = ["data=sbm", "data.num_splits=10", "data.noise=6", "data.train_share=0.03"]


@pytest.fixture(scope="module")
def trained() -> Session:
    """GRACE on the stochastic block model, 60 steps by hand."""
    from sslplug.contracts import Progress
    from sslplug.randomness import Rng

    resolved = chosen(discovery.load("graph"), None, GRACE, schema("graph"))
    session = open_session(resolved, schema("graph"), data_context(None, 0, False), torch.device("cpu"))
    method = session.composed.method
    options = resolved.sections["optim"]
    assert isinstance(options, OptimOptions)
    optimizer = make_optimizer(method, options)
    method.train()
    for step in range(60):
        batch = session.composed.batches_of(step)[0]
        optimizer.zero_grad()
        sum(method(batch, Rng.root(0).fork(step)).values()).backward()
        optimizer.step()
        method.after_step(Progress(step, 60, step + 1, 60))
    return session


def accuracies(session: Session, task: Task) -> dict[str, np.ndarray]:
    rows = session.composed.data.rows
    features = {
        "pretrained": embed(session.composed.method.encoder, rows(), "cpu"),
        "untrained": embed(session.composed.new_encoder(), rows(), "cpu"),
    }
    probes = [("logistic", Logistic(LogisticOptions(lowest=-1, highest=2)))]
    trees = LightGbm(LightGbmOptions(rounds=20))
    options = EvaluateOptions(controls=True)
    scores = judge([task], features, session.composed.data.raw_features, probes, trees, options, 0, lambda line: None)
    found: dict[str, list[float]] = {}
    for score in scores:
        if score.metric == "accuracy":
            found.setdefault(f"{score.probe} on {score.features}", []).append(score.value)
    return {name: np.array(values) for name, values in found.items()}


def test_pretraining_beats_the_untrained_encoder(trained: Session) -> None:
    found = accuracies(trained, trained.composed.tasks["node-class"])
    gain = found["logistic on pretrained"] - found["logistic on untrained"]
    assert gain.mean() > 0.05, f"gain over the untrained encoder {gain.mean():.3f}"
    assert (gain > 0).sum() >= 8, f"better on {(gain > 0).sum()} of 10 splits"


def test_shuffled_labels_land_at_chance(trained: Session) -> None:
    task = trained.composed.tasks["node-class"]
    shuffled = replace(task, labels=np.random.default_rng(0).permutation(task.labels))
    tested = sum(len(split.test) for split in shuffled.splits)
    largest = np.bincount(shuffled.labels).max() / len(shuffled.labels)
    for name, values in accuracies(trained, shuffled).items():
        # Splits share rows: take the spread of one split's test set, 4 standard errors.
        error = np.sqrt(largest * (1 - largest) / (tested / len(shuffled.splits)))
        assert values.mean() < largest + 4 * error, f"{name} reads labels it cannot know: {values.mean():.3f}"


def test_recipes_of_every_objective_share_the_views(trained: Session) -> None:
    """InfoNCE, VICReg, Barlow Twins, SwAV, BYOL and momentum contrast differ from GRACE in method and objective alone."""
    import importlib.resources

    import yaml

    folder = importlib.resources.files("sslplug_configs.graph")
    with importlib.resources.as_file(folder / "grace-cora.yaml") as file:
        grace = yaml.safe_load(Path(file).read_text())
    for name in ("vicreg", "barlow", "swav", "byol", "moco"):
        with importlib.resources.as_file(folder / f"{name}-cora.yaml") as file:
            other = yaml.safe_load(Path(file).read_text())
        assert {key: other[key] for key in ("data", "views", "encoder", "train")} == {
            key: grace[key] for key in ("data", "views", "encoder", "train")
        }
