"""Clouds in memory: a list of arrays (p, 3 + f), one array (n, p, 3 + f), or a mapping with "clouds" and maybe "labels"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet
from sslplug_lidar.data.options import CloudOptions
from sslplug_lidar.data.own_arrays import from_arrays
from sslplug_lidar.data.prepare import centred
from sslplug_lidar.tasks import object_task, shares_by_class


class MemoryOptions(CloudOptions):
    """What the arrays do not say themselves."""

    centre: bool = Field(True, description="each cloud about its own centroid")
    unit_sphere: bool = Field(False, description="also scaled to the unit sphere")
    val_share: float = Field(0.2, ge=0, lt=1, description="share of the labelled clouds for validation")
    test_share: float = Field(0.2, gt=0, lt=1, description="share of the labelled clouds held out for test")


def build(options: MemoryOptions, context: DataContext) -> CloudData:
    """The clouds of ``context.memory``; every one must hold a point, so that rows are those that were given."""
    memory: Any = context.memory
    if memory is None:
        raise UsageError("data.name is 'memory', but there is nothing in memory; hand clouds over (DataContext.memory).")
    parts: Any = memory if isinstance(memory, Mapping) else {"clouds": memory}
    unknown = sorted(set(parts) - {"clouds", "labels"})
    if unknown or "clouds" not in parts:
        raise DataError(f"The mapping in memory has {', '.join(map(str, parts))}; expected clouds and maybe labels.")
    arrays = [np.asarray(cloud) for cloud in parts["clouds"]]
    label = None if context.fitted is not None or "labels" not in parts else np.asarray(parts["labels"])
    clouds = from_arrays("clouds in memory", arrays, label)
    usable = np.isfinite(clouds.xyz).all(1) & np.isfinite(clouds.features).all(1)
    empty = np.flatnonzero(np.bincount(clouds.owner[usable], minlength=len(arrays)) == 0)
    if len(empty):
        raise DataError(f"Clouds in memory: cloud {empty[0]} holds no usable point ({len(empty)} such); leave them out.")
    if options.centre or options.unit_sphere:
        clouds = centred(clouds.points(usable), options.unit_sphere)

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        if clouds.labels is None:
            return {}
        split = shares_by_class(clouds.labels, options.val_share, options.test_share, rng)
        return {"object": object_task(clouds, [split], f"random {options.test_share:.0%} test, stratified", drawn=True)}

    return cloud_data(clouds, tasks, options, context)
