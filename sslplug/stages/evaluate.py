"""The evaluation stage: frozen embeddings of a run, judged beside their controls, written to the run folder."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from sslplug.contracts import Task, tasks_of
from sslplug.errors import UsageError
from sslplug.evaluation import EvaluateOptions, Score, embed, finetune, judge
from sslplug.evaluation.fractions import shrink
from sslplug.evaluation.labelled import groups_of
from sslplug.evaluation.metrics import higher_is_better, measure, measure_without
from sslplug.evaluation.one_class import all_normal
from sslplug.evaluation.probe import CLASS_KINDS
from sslplug.evaluation.score import split_number
from sslplug.evaluation.trees import LightGbm
from sslplug.recipe import Resolved, dump, pick
from sslplug.reporting.progress import say
from sslplug.reporting.runfolder import at_work, read_metrics, read_run, update_json, write_text
from sslplug.reporting.sums import record
from sslplug.reporting.tensorboard import write_hparams, write_projector
from sslplug.stages.embedding_files import origin_of, write_levels
from sslplug.stages.projection import projection
from sslplug.stages.report import show
from sslplug.stages.session import Session, data_context, open_session, recipe_of_run
from sslplug.training import checkpoint
from sslplug.training.device import choose_device, repeatable


def evaluate(run: Path, *, overrides: Sequence[str], device: str, data_root: Path | None) -> None:
    """Judge a trained run anew from its folder; ``overrides`` may change its evaluate section alone.

    Raises UsageError for other overrides, RunFolderError for a folder without recipe, checkpoint or metrics.
    """
    for override in overrides:
        if not override.startswith("evaluate."):
            raise UsageError(
                f"--set {override}: a trained run keeps what it was trained with; only evaluate.* can change here. "
                "Train a new run with `sslplug train`."
            )
    resolved, schema = recipe_of_run(run, overrides)
    session = open_session(resolved, schema, data_context(data_root, resolved.seed, False), choose_device(device))
    found, complaints = checkpoint.newest(run / "checkpoints")
    for complaint in complaints:
        say(complaint)
    load_method(session, found)
    read_run(run)  # unfinished or damaged: say so before the work
    with at_work(run):
        judge_run(session, run)
        write_text(run / "recipe.yaml", dump(resolved))
    show([run])


def load_method(session: Session, found: checkpoint.Checkpoint) -> None:
    """Put a checkpoint's parameters into the session's method."""
    own = {name: tensor for name, tensor in found.model.items() if not name.startswith("best/")}
    checkpoint.load_model(session.composed.method, own, found.folder)


def judge_run(session: Session, folder: Path) -> None:
    """Embed every row with the trained and the untrained encoder, score all tasks, write scores, embeddings, TensorBoard."""
    resolved, composed = session.resolved, session.composed
    options = resolved.sections["evaluate"]
    assert isinstance(options, EvaluateOptions)  # the schema says so
    encoder = composed.method.encoder
    assert isinstance(encoder, torch.nn.Module)  # the Method contract
    began = time.perf_counter()
    with repeatable(session.device):
        features = {"pretrained": embed(encoder, composed.data.rows(), session.device)}
        origin = origin_of(checkpoint.model_tensors(encoder), dump(resolved))
        record(folder, write_levels(folder / "embeddings.parquet", features["pretrained"], composed.data, origin))
        if options.controls:
            features["untrained"] = embed(composed.new_encoder(), composed.data.rows(), session.device)
        probes = []
        for choice in options.probes:
            picked = pick(choice, "probe", session.schema)
            probes.append((picked.name, picked.component.build(picked.options)))
        scores = judge(
            list(composed.tasks.values()),
            features,
            composed.data.raw_features,
            probes,
            LightGbm(options.lightgbm),
            options,
            resolved.seed,
            say,
        )
        if options.finetune is not None:
            scores += _finetuned(session, options)
    rows = [{**asdict(score), "seed": resolved.seed} for score in scores]
    write_hparams(folder, hparams(resolved), headline(rows))
    _project(session, folder, features["pretrained"])
    # Last: scores in metrics.json say that the evaluation is whole.
    update_json(folder / "metrics.json", {"scores": rows, "evaluation_seconds": time.perf_counter() - began})


def _finetuned(session: Session, options: EvaluateOptions) -> list[Score]:
    """Encoder and head trained together on every task, split and fraction: from the trained encoder, and from the untrained."""
    assert options.finetune is not None  # the caller asks
    composed, seed = session.composed, session.resolved.seed
    trained = composed.method.encoder
    assert isinstance(trained, torch.nn.Module)  # the Method contract
    starts: dict[str, Callable[[], torch.nn.Module]] = {"pretrained": lambda: copy.deepcopy(trained)}
    if options.controls:
        starts["untrained"] = composed.new_encoder
    views = list(composed.data.rows())
    scores: list[Score] = []
    for task in tasks_of(Task, composed.tasks).values():
        if task.kind not in CLASS_KINDS | {"regression"}:
            say(f"{task.name}: a {task.kind} task cannot be fine-tuned; its probes stand alone.")
            continue
        if all_normal(task):
            say(f"{task.name}: fine-tuning needs two classes, but training rows are all normal; its probes stand alone.")
            continue
        group = groups_of(task)
        for number in range(min(options.splits or len(task.splits), len(task.splits))):
            for fraction in options.fractions:
                split = shrink(task, number, fraction, seed)
                for features, start in starts.items():
                    began = time.perf_counter()
                    said = finetune(start(), views, task, split, options.finetune, seed, session.device)
                    labels = task.labels[split.test]
                    found = measure(task.kind, labels, said)
                    without = measure_without(task.kind, labels, said, group[split.test])
                    seconds = time.perf_counter() - began
                    scores += [
                        Score(
                            task.name, task.protocol, "finetune", features, metric, fraction, split_number(task, number, seed),
                            value, seconds,
                            higher_is_better(metric), seed, len(split.train), len(split.test), () if place else without,
                        )
                        for place, (metric, value) in enumerate(found.items())
                    ]  # fmt: skip
                    first, value = next(iter(found.items()))
                    share = f"{100 * fraction:g} % of the labels"
                    where = f"{task.name}, split {split_number(task, number, seed)}, {share}"
                    say(f"{where}: finetune on {features}, {first} {value:.4f}")
    return scores


def hparams(resolved: Resolved) -> dict[str, str | float | int]:
    """What the TensorBoard table of runs is sorted by."""
    picked = resolved.picked
    optim = resolved.sections["optim"].model_dump()
    return {
        "plugin": resolved.plugin,
        "recipe": resolved.name,
        "data": picked["data"].name,
        "views": picked["views"].name,
        "encoder": picked["encoder"].name,
        "method": picked["method"].name,
        "objective": picked["objective"].name if "objective" in picked else "none",
        "lr": float(optim["lr"]),
        "seed": resolved.seed,
    }


def headline(rows: Sequence[dict[str, object]]) -> dict[str, float]:
    """Mean over splits of every frozen-evaluation metric of the pretrained encoder: ``eval/<task>/<probe>/<metric>``."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["features"] == "pretrained" and row["fraction"] == 1.0:
            value = row["value"]
            assert isinstance(value, float)
            found.setdefault(f"eval/{row['task']}/{row['probe']}/{row['metric']}", []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _project(session: Session, folder: Path, levels: dict[str, np.ndarray]) -> None:
    found = projection(session.composed.tasks)
    if found is not None:
        level, rows, labels = found
        write_projector(folder, levels[level][rows], labels, int(read_metrics(folder)["steps"]))
