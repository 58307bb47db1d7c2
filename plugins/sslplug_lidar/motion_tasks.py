"""Data of consecutive sweeps with the tasks of motion and places: flow, registration, matches, places.

Every data component is built as before; where its sweeps follow each other with known poses or flow, these tasks join its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sslplug.contracts import Component, DataContext, MeasuredTask
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.flow.tasks import flow_tasks
from sslplug_lidar.places.tasks import place_tasks
from sslplug_lidar.registration.tasks import registration_tasks

DOUBTFUL_POSES = frozenset({"kitti_sweeps"})
"""Data whose poses do not fit its sweeps: they are judged against ICP on dense clouds as well, and flow against ICP alone.

The six sweeps of KITTI odometry 00 with the first six poses of the sequence: ICP from the given poses and ICP from no motion
agree to millimetres and leave a quarter of the distance between the clouds that the given poses leave, at 5/6 of their motion.
"""


def with_motion_tasks(name: str, component: Component) -> Component:
    """The data component with the tasks of motion and places that its sweeps can answer."""

    def build(options: Any, context: DataContext) -> CloudData:
        data: CloudData = component.build(options, context)
        data.tasks = {**data.tasks, **motion_tasks(data, name in DOUBTFUL_POSES)}
        return data

    return replace(component, build=build)


def motion_tasks(data: CloudData, doubtful: bool = False) -> Mapping[str, MeasuredTask]:
    """The tasks on the sweeps that are not trained on; on all where every sweep is, which the protocol says."""
    clouds = data.clouds
    if clouds.before is None:
        return {}
    later = np.flatnonzero(clouds.before >= 0)
    cases, told = np.setdiff1d(later, data.training), "held-out sweeps"
    if not len(cases):
        cases, told = later, "sweeps that are trained on without labels"
    tasks = flow_tasks(clouds, cases, told, reference="icp" if doubtful else "given")
    tasks |= registration_tasks(clouds, cases, told) | place_tasks(clouds, cases, told)
    if doubtful:
        tasks |= registration_tasks(clouds, cases, told, reference="icp")
    drawn = any(task.drawn for task in data.tasks.values())
    return {name: replace(task, drawn=drawn) for name, task in tasks.items()}
