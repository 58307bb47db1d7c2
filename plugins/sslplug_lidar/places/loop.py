"""Drives that come back: the simulated city driven around a block twice, for retrieval of places. Synthetic: no real scan.

Every drive circles a block in a quarter of its own; every other drive comes back the other way round, in the other lane, so
that places are seen from behind. What moves and the sensor's noise differ between the laps; what stands is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext, Split
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet
from sslplug_lidar.data.generated import drives_as_clouds
from sslplug_lidar.data.options import SweepOptions
from sslplug_lidar.places.tasks import place_tasks
from sslplug_lidar.simulator.drive import drive
from sslplug_lidar.simulator.route import RIGHT, route
from sslplug_lidar.simulator.spinning import Spinning, even_sensor

LANES = 4.0
"""Metres between the two lanes of a road."""


class LoopOptions(SweepOptions):
    """Simulated drives around a block."""

    drives: int = Field(6, ge=2, description="how many drives, each in its own quarter of the city")
    spacing: float = Field(8.0, gt=0, description="metres from one sweep to the next")
    speed: float = Field(8.0, gt=0, description="metres a second")
    rings: int = Field(16, ge=4, description="beams of the sensor")
    azimuths: int = Field(180, ge=36, description="steps of a turn")
    reach: float = Field(40.0, gt=5, description="metres beyond which nothing comes back")
    traffic: float = Field(4.0, ge=0, description="moving things a hundred metres of lane")
    test_share: float = Field(0.5, gt=0, lt=1, description="share of drives held out for test")


def build(options: LoopOptions, context: DataContext) -> CloudData:
    """Drives with the task ``places``; the last ones are held out whole."""
    clouds = loops(options, Rng.root(context.seed).fork("loop"))

    def tasks(kept: CloudSet, rng: Rng) -> Mapping[str, Any]:
        told = f"{options.test_share:.0%} of the drives test, every other one comes back the other way"
        found = place_tasks(kept, kept.splits[0].test, told)
        if not found:
            raise UsageError(
                f"data.spacing {options.spacing:g} m: no held-out sweep comes within 5 m of an earlier one; lower it."
            )
        # The seed built the city, so runs with other seeds answer other questions.
        return {name: replace(task, drawn=True) for name, task in found.items()}

    return cloud_data(clouds, tasks, options, context)


def loops(options: LoopOptions, rng: Rng) -> CloudSet:
    """The drives, the held-out ones last."""
    spinning = Spinning(even_sensor(options.rings, options.azimuths), farthest=options.reach)
    interval = options.spacing / options.speed
    made = [
        drive(
            path(number, options.spacing, rng),
            interval,
            rng.fork("city"),
            rng.fork("traffic", number),
            spinning,
            options.traffic,
        )
        for number in range(options.drives)
    ]
    clouds = drives_as_clouds("loop (simulated)", made, spinning)
    first_test = options.drives - max(1, round(options.test_share * options.drives))
    number = np.arange(len(clouds.lengths))
    assert clouds.groups is not None  # drives are groups
    test = clouds.groups >= first_test
    return replace(clouds, splits=(Split(number[~test], number[:0], number[test]),))


def path(number: int, spacing: float, rng: Rng) -> np.ndarray:
    """(t, 3) x, y, yaw of two laps; odd drives come back the other way."""
    draw = rng.fork("path", number).numpy()
    lap = route((20 * number, int(draw.integers(100))), int(draw.integers(4)), [RIGHT] * 4)
    first = lap.at(np.arange(0, lap.length, spacing))
    second = lap.at(np.arange(draw.uniform(0.2, 0.8) * spacing, lap.length, spacing))
    if number % 2:
        x, y, yaw = second[::-1].T
        second = np.stack([x - LANES * np.sin(yaw), y + LANES * np.cos(yaw), yaw + np.pi], 1)
    return np.concatenate([first, second])
