"""Composition: the one file where recipe, plugin and engine meet. Everything else receives finished objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from sslplug import distributed
from sslplug.contracts import (
    AnyTask,
    Assembly,
    Choice,
    DataContext,
    DomainData,
    LabelledRows,
    Order,
    Plugin,
    Task,
    Views,
    tasks_of,
)
from sslplug.errors import UsageError
from sslplug.evaluation import PROBES, EvaluateOptions
from sslplug.methods import METHODS
from sslplug.objectives import OBJECTIVES
from sslplug.randomness import Rng
from sslplug.recipe import Picked, Resolved, Schema, pick
from sslplug.training.device import seed_dropout
from sslplug.training.loop import TrainOptions
from sslplug.training.optim import OptimOptions


@dataclass(frozen=True)
class Composed:
    """The finished objects of one run.

    tasks         the data's tasks as evaluation may use them: a task whose labels enter training keeps that split alone
    batches_of    epoch -> this rank's training batches
    new_encoder   a fresh encoder with the very parameters training starts from: the untrained control
    """

    data: DomainData
    tasks: Mapping[str, AnyTask]
    method: nn.Module
    batches_of: Callable[[int], Any]
    new_encoder: Callable[[], nn.Module]


def schema_of(plugin: Plugin) -> Schema:
    """What recipes of this plugin may say: the plugin's components beside the engine's."""
    return Schema(
        plugin=plugin.name,
        tables={
            "data": plugin.data,
            "views": plugin.views,
            "encoder": plugin.encoders,
            "decoder": plugin.decoders,
            "method": {**METHODS, **plugin.methods},
            "objective": {**OBJECTIVES, **plugin.objectives},
            "probe": PROBES,
        },
        sections={"optim": OptimOptions, "train": TrainOptions, "evaluate": EvaluateOptions},
    )


def recipe_tags(raw: Mapping[str, Any]) -> frozenset[str]:
    """Tags a recipe's sections bring beside its components: ``labels`` when training batches carry them."""
    section = raw.get("train")
    return frozenset({"labels"}) if isinstance(section, Mapping) and section.get("labels") else frozenset()


def build_data(resolved: Resolved, context: DataContext) -> DomainData:
    """The recipe's data."""
    picked = resolved.picked["data"]
    data: DomainData = picked.component.build(picked.options, context)
    return data


def build_encoder(resolved: Resolved, spec: Any, device: torch.device) -> nn.Module:
    """The recipe's encoder for data of this spec, with the parameters training starts from."""
    rng = Rng.root(resolved.seed).fork("encoder")
    return _seeded(rng, lambda: _build(resolved.picked["encoder"], spec)).to(device)


def compose(resolved: Resolved, schema: Schema, data: DomainData, device: torch.device) -> Composed:
    """All objects of a run. Parameters depend on the recipe's seed alone; global randomness is left as it was."""
    options = resolved.sections["train"]
    assert isinstance(options, TrainOptions)  # the schema says so
    labels = _labelled_rows(options, data)
    tasks = dict(data.tasks)
    if labels is not None:
        tasks[labels.task.name] = replace(labels.task, splits=(labels.task.splits[options.split],))
    new_encoder = partial(build_encoder, resolved, data.spec, device)
    encoder = new_encoder()
    method = _seeded(
        Rng.root(resolved.seed).fork("method"),
        lambda: _method(resolved.picked, encoder, schema, data, labels),
    )
    if options.batch_size % options.accumulate:
        raise UsageError(
            f"train.batch_size {options.batch_size} does not split into train.accumulate {options.accumulate} equal "
            "micro-batches; choose a multiple."
        )

    def batches_of(epoch: int) -> Any:
        return data.batches(
            Order(
                seed=resolved.seed,
                epoch=epoch,
                rank=distributed.rank(),
                world=distributed.world(),
                batch_size=options.batch_size // options.accumulate,
                labels=labels,
            )
        )

    return Composed(data, tasks, method.to(device), batches_of, new_encoder)


def _labelled_rows(options: TrainOptions, data: DomainData) -> LabelledRows | None:
    if options.labels is None:
        return None
    labelled = tasks_of(Task, data.tasks)
    if options.labels not in labelled:
        raise UsageError(
            f"train.labels: no labelled task {options.labels!r}; this data has {', '.join(sorted(labelled)) or 'none'}."
        )
    task = labelled[options.labels]
    if options.split >= len(task.splits):
        raise UsageError(
            f"train.split: {options.split}, but task {task.name!r} has {len(task.splits)} splits (0 is the first)."
        )
    return LabelledRows(task, task.splits[options.split].train)


def _method(
    picked: Mapping[str, Picked],
    encoder: nn.Module,
    schema: Schema,
    data: DomainData,
    labels: LabelledRows | None,
) -> nn.Module:
    """One method on finished parts; parts of a sum come back here with the shared encoder."""
    views, method, objective = picked["views"], picked["method"], picked.get("objective")
    encoder_choice = picked["encoder"]
    outputs = dict(views.component.outputs(views.options, data.spec))
    if labels is not None:
        outputs["label"] = 1 if labels.task.kind == "regression" else labels.task.num_classes
    made_views: Views = views.component.build(views.options, data.spec)

    def make_objective(dim: int) -> nn.Module:
        if objective is None:
            raise UsageError(f"Method {method.name!r} needs an objective; add the section objective to the recipe.")
        made: nn.Module = objective.component.build(objective.options, dim)
        return made

    def make_decoder(choice: Choice) -> nn.Module:
        picked = pick(choice, "decoder", schema)
        made: nn.Module = picked.component.build(picked.options, data.spec, encoder.dims)
        return made

    def make_part(part_views: Choice | None, part_method: Choice, part_objective: Choice | None) -> nn.Module:
        part = {"encoder": encoder_choice, "method": pick(part_method, "method", schema)}
        part["views"] = pick(part_views, "views", schema) if part_views else views
        if part_objective is not None:
            part["objective"] = pick(part_objective, "objective", schema)
        return _method(part, encoder, schema, data, labels)

    assembly = Assembly(
        spec=data.spec,
        level=data.level,
        views=made_views,
        encoder=encoder,
        another=lambda: _build(encoder_choice, data.spec),
        objective=make_objective,
        decoder=make_decoder,
        outputs=outputs,
        nested=make_part,
    )
    made: nn.Module = method.component.build(method.options, assembly)
    return made


def _build(picked: Picked, spec: Any) -> nn.Module:
    made: nn.Module = picked.component.build(picked.options, spec)
    return made


def _seeded(rng: Rng, make: Callable[[], nn.Module]) -> nn.Module:
    """Build with parameters drawn from ``rng``; torch's global state is restored."""
    with torch.random.fork_rng(devices=[]):
        seed_dropout(torch.device("cpu"), rng.key)
        return make()
