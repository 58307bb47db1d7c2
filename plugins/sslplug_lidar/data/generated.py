"""The embedded sets: simulated streets and single things cut from simulated sweeps. Synthetic: no real scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext
from sslplug.randomness import Rng
from sslplug_lidar.data.assemble import cloud_data
from sslplug_lidar.data.cloud_data import CloudData
from sslplug_lidar.data.cloud_set import CloudSet, pack
from sslplug_lidar.data.options import CloudOptions, SweepOptions
from sslplug_lidar.simulator.city import CLASSES
from sslplug_lidar.simulator.drive import Drive, drive
from sslplug_lidar.simulator.objects import OBJECTS
from sslplug_lidar.simulator.route import LEFT, RIGHT, STRAIGHT, route
from sslplug_lidar.simulator.shots import shots
from sslplug_lidar.simulator.spinning import Spinning, even_sensor
from sslplug_lidar.tasks import object_task, point_task, shares_by_class, shares_by_group


class ObjectOptions(CloudOptions):
    """Simulated single things."""

    objects: int = Field(1200, ge=80, description="how many things")
    least: int = Field(8, ge=1, description="things with fewer returns are not cut out")
    rings: int = Field(24, ge=4, description="beams of the sensor")
    azimuths: int = Field(512, ge=36, description="steps of a turn")
    reach: float = Field(40.0, gt=5, description="metres to the farthest thing")
    val_share: float = Field(0.2, ge=0, lt=1, description="share of things for validation")
    test_share: float = Field(0.4, gt=0, lt=1, description="share of things held out for test")


class StreetOptions(SweepOptions):
    """Simulated drives."""

    drives: int = Field(16, ge=4, description="how many drives, each in its own quarter of the city")
    sweeps: int = Field(5, ge=2, description="consecutive sweeps of a drive")
    interval: float = Field(0.2, gt=0, description="seconds from one sweep to the next")
    rings: int = Field(32, ge=4, description="beams of the sensor")
    azimuths: int = Field(360, ge=36, description="steps of a turn")
    reach: float = Field(45.0, gt=5, description="metres beyond which nothing comes back")
    traffic: float = Field(4.0, ge=0, description="moving things a hundred metres of lane")
    val_share: float = Field(0.2, ge=0, lt=1, description="share of drives for validation")
    test_share: float = Field(0.3, gt=0, lt=1, description="share of drives held out for test")


def build_objects(options: ObjectOptions, context: DataContext) -> CloudData:
    """Single things with their class; things of one sweep are strangers, so they are split one by one."""
    spinning = Spinning(even_sensor(options.rings, options.azimuths), farthest=options.reach)
    seen = shots(options.objects, options.least, spinning, Rng.root(context.seed).fork("objects"))
    offsets, xyz, features = pack([points[:, :4] for points in seen.points])
    clouds = CloudSet(
        "objects (simulated)",
        offsets,
        xyz,
        features,
        ("intensity",),
        labels=seen.label,
        classes=tuple(OBJECTS),
        notes=("generated: no real scan",),
    )

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        assert clouds.labels is not None  # made above
        split = shares_by_class(clouds.labels, options.val_share, options.test_share, rng)
        protocol = f"random {options.test_share:.0%} test, stratified"
        return {"object": object_task(clouds, [split], protocol, drawn=True)}

    return cloud_data(clouds, tasks, options, context)


def build_street(options: StreetOptions, context: DataContext) -> CloudData:
    """Drives with per-point classes; whole drives are held out."""
    clouds = street(options, Rng.root(context.seed).fork("street"))

    def tasks(clouds: CloudSet, rng: Rng) -> Mapping[str, Any]:
        assert clouds.groups is not None  # made above
        split = shares_by_group(clouds.groups, options.val_share, options.test_share, rng)
        protocol = f"{options.test_share:.0%} of the drives test"
        return {"point": point_task(clouds, [split], options.judged, protocol, rng, drawn=True)}

    return cloud_data(clouds, tasks, options, context)


def street(options: StreetOptions, rng: Rng) -> CloudSet:
    """Drives in quarters of the city that never meet, each with a random start, turn and speed."""
    spinning = Spinning(even_sensor(options.rings, options.azimuths), farthest=options.reach)
    city, made = rng.fork("city"), []
    for number in range(options.drives):
        draw = rng.fork("drive", number).numpy()
        turn = int(draw.choice([STRAIGHT, RIGHT, LEFT], p=[0.5, 0.25, 0.25]))
        path = route((20 * number, int(draw.integers(100))), int(draw.integers(4)), [turn])
        speed = draw.uniform(4.0, 10.0)
        reach = min(speed * options.interval * (options.sweeps - 1), path.length)
        begin = draw.uniform(0, path.length - reach)
        poses = path.at(begin + np.linspace(0, reach, options.sweeps))
        made.append(drive(poses, options.interval, city, rng.fork("traffic", number), spinning, options.traffic))
    return drives_as_clouds("street (simulated)", made, spinning)


def drives_as_clouds(name: str, drives: list[Drive], spinning: Spinning) -> CloudSet:
    """Simulated drives as one set, drive after drive; each drive is a group."""
    sweeps = [np.column_stack([returns.xyz, returns.intensity]) for made in drives for returns in made.returns]
    offsets, xyz, features = pack(sweeps)
    before = np.concatenate([np.r_[-1, np.arange(len(d.returns) - 1)] for d in drives])
    first = np.repeat(np.cumsum([0, *[len(d.returns) for d in drives[:-1]]]), [len(d.returns) for d in drives])
    return CloudSet(
        name,
        offsets,
        xyz,
        features,
        ("intensity",),
        point_labels=np.concatenate([label for d in drives for label in d.label]).astype(np.int64),
        point_classes=CLASSES,
        before=np.where(before < 0, -1, before + first),
        poses=np.concatenate([d.poses for d in drives]),
        flow=np.concatenate([flow for d in drives for flow in d.flow]).astype(np.float32),
        groups=np.repeat(np.arange(len(drives)), [len(d.returns) for d in drives]),
        sensor=spinning.sensor,
        notes=("generated: no real scan",),
    )
