"""A run whose anomaly task has normal training rows alone: judged by the one-class probe, never fine-tuned."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sslplug.cli import run
from sslplug.contracts import Split, Task
from sslplug.stages.evaluate import judge_run
from sslplug.stages.session import data_context, open_session, recipe_of_run


def test_fine_tuning_is_left_out_with_a_sentence(toy: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = ("data.rows=160", "train.epochs=1", "evaluate.finetune.epochs=1")
    sets = [part for setting in settings for part in ("--set", setting)]
    assert run(["train", "--plugin", toy, "--runs", str(tmp_path), "--device", "cpu", "--no-evaluate", *sets]) == 0
    (folder,) = (file.parent for file in tmp_path.rglob("recipe.yaml"))
    resolved, schema = recipe_of_run(folder, ())
    session = open_session(resolved, schema, data_context(None, 0, False), torch.device("cpu"))
    (known,) = session.composed.tasks.values()
    labels = (known.labels == 1).astype(np.int64)
    train = np.flatnonzero(labels == 0)[:40]
    split = Split(train, np.empty(0, np.int64), np.setdiff1d(np.arange(len(labels)), train))
    odd = Task("odd", "anomaly", known.level, labels, [split], "normal rows")
    capfd.readouterr()
    judge_run(replace(session, composed=replace(session.composed, tasks={"odd": odd})), folder)
    scores = json.loads((folder / "metrics.json").read_text())["scores"]
    found = {(score["probe"], score["features"]) for score in scores}
    assert found == {("one_class", source) for source in ("pretrained", "untrained", "raw")}
    said = capfd.readouterr()
    assert "odd: fine-tuning needs two classes, but training rows are all normal" in said.out + said.err
