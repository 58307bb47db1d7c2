"""From clouds as read to the data of a run: thinned, tasks made, scale fitted on what may be trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sslplug.contracts import DataContext, RawFeatures, Task
from sslplug.randomness import Rng
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet
from sslplug_lidar.data.options import CloudOptions, SweepOptions
from sslplug_lidar.data.prepare import cropped, filled, finite, thinned
from sslplug_lidar.data.scale import Scale, fit
from sslplug_lidar.raw_features import raw_features

Tasks = Callable[[CloudSet, Rng], Mapping[str, Any]]
"""Tasks of prepared clouds; the draw is named by the data's seed."""


def no_tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
    """Nothing is asked."""
    return {}


def prepared(clouds: CloudSet, options: CloudOptions, rng: Rng) -> CloudSet:
    """Usable points within reach, thinned; without empty clouds."""
    kept = cropped(finite(clouds), options.nearest, options.farthest)
    return filled(thinned(kept, options.voxel, options.points, rng.fork("thin")))


def cloud_data(
    clouds: CloudSet,
    tasks: Tasks,
    options: CloudOptions,
    context: DataContext,
    raw: Callable[[CloudSet, Task], RawFeatures] = raw_features,
) -> CloudData:
    """The data of a run. Clouds of any split's test part are never trained on, nor is the scale fitted on them.

    ``context.fitted`` takes the place of fitting.
    """
    rng = Rng.root(context.seed)
    clouds = prepared(clouds, options, rng)
    asked = tasks(clouds, rng)
    allowed = np.ones(len(clouds.lengths), bool)
    owner = clouds.owner
    for task in asked.values():
        if not isinstance(task, Task):
            continue
        for split in task.splits:
            rows = split.test if task.members is None else task.members[split.test]
            allowed[rows if task.level == "cloud" else owner[rows]] = False
    for published in clouds.splits:
        allowed[published.test] = False
    pairs = isinstance(options, SweepOptions) and options.pairs and clouds.before is not None
    notes = list(clouds.notes)
    if pairs:
        assert clouds.before is not None  # pairs says so
        first = int((allowed & (clouds.before < 0)).sum())
        allowed &= clouds.before >= 0
        notes.append(f"{first} sweeps have no predecessor and are seen in training only as one")
    short = allowed & (clouds.lengths < options.shortest)
    if short.any():
        notes.append(f"{int(short.sum())} clouds have fewer than {options.shortest} points and are not trained on")
    training = np.flatnonzero(allowed & ~short)
    clouds = replace(clouds, notes=tuple(notes))
    scale = fit(clouds, training) if context.fitted is None else Scale.from_json(context.fitted, clouds)
    return CloudData(
        clouds,
        asked,
        training,
        scale,
        raw,
        pairs=pairs,
        preprocessing=options.model_dump(mode="json", include={"points", "voxel", "nearest", "farthest", "shortest"}),
    )
