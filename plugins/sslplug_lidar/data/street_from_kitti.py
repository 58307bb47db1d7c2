"""Real sweeps to pretrain on, simulated streets to be judged on: whether what is learned from a sensor carries over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sslplug.contracts import DataContext, Split
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, joined
from sslplug_lidar.data.generated import StreetOptions, street
from sslplug_lidar.data.kitti_sweeps import sweeps
from sslplug_lidar.tasks import point_task, shares_by_group


def build(options: StreetOptions, context: DataContext) -> CloudData:
    """The drives, splits and judged points of ``street``, none of them trained on, then the sweeps of ``kitti_sweeps``."""
    drives = street(options, Rng.root(context.seed).fork("street"))
    simulated = len(drives.lengths)
    clouds = joined(drives, sweeps(("odometry", "raw"), context))
    number = np.arange(len(clouds.lengths))
    clouds = replace(
        clouds,
        name="street (simulated), pretrained on KITTI sweeps",
        splits=(Split(number[simulated:], number[:0], number[:simulated]),),
    )

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        assert clouds.groups is not None  # drives are groups
        split = shares_by_group(clouds.groups[:simulated], options.val_share, options.test_share, rng)
        protocol = f"{options.test_share:.0%} of the drives test, pretrained on real sweeps alone"
        return {"point": point_task(clouds, [split], options.judged, protocol, rng, drawn=True)}

    return cloud_data(clouds, tasks, options, context)
