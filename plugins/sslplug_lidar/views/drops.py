"""Points left out: at random, by beams of the sensor, by sectors, boxes and range."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_lidar.geometry import ring_of, segment_sum
from sslplug_lidar.spec import CloudSpec
from sslplug_lidar.views.scene import Scene, rank_within
from sslplug_lidar.views.transform import Drop, Range, Share, between, middle


class _Span(Drop):
    """A drop whose share is drawn a cloud, uniform in a range."""

    drop: Range = Field((0.0, 0.2), description="share that is left out, drawn a cloud from this range")

    @model_validator(mode="after")
    def _ordered(self) -> _Span:
        if self.drop[0] > self.drop[1]:
            raise ValueError("drop: the first number must not be greater than the second")
        return self

    def drawn(self, scene: Scene, rng: Rng) -> Tensor:
        """(m,) the share of each point's cloud."""
        return between(rng.fork("share"), scene.clouds.index, *self.drop)[:, 0][scene.owner]

    def share(self, spec: CloudSpec) -> float:
        """The mean share."""
        return self.probability * middle(self.drop)


class PointDrop(_Span):
    """Each point is left out with its cloud's chance: input dropout, down to a random share (STRL, CrossPoint)."""

    name: Literal["point_drop"] = "point_drop"

    def kept(self, scene: Scene, rng: Rng, spec: CloudSpec) -> Tensor:
        """By a draw a point."""
        return rng.uniform(scene.clouds.point_ids())[:, 0] >= self.drawn(scene, rng)


class RangeDrop(_Span):
    """The farthest points are left out, as if the sensor had a shorter range."""

    name: Literal["range_drop"] = "range_drop"

    def kept(self, scene: Scene, rng: Rng, spec: CloudSpec) -> Tensor:
        """By rank of range."""
        rank = rank_within(scene.clouds, scene.unmoved().square().sum(1))
        return rank < (1 - self.drawn(scene, rng)) * scene.clouds.lengths[scene.owner]


class CuboidDrop(_Span):
    """The points of a random box are left out."""

    name: Literal["cuboid_drop"] = "cuboid_drop"
    aspect: tuple[float, float] = Field((0.75, 1.33), description="range of the box's sides beside the cloud's own")

    def kept(self, scene: Scene, rng: Rng, spec: CloudSpec) -> Tensor:
        """Points outside the box."""
        return box_rank(scene, rng, self.aspect) >= self.drawn(scene, rng) * scene.clouds.lengths[scene.owner]


class CuboidCrop(_Span):
    """Only the points of a random box around one of the points are kept (DepthContrast: at least half of the cloud)."""

    name: Literal["cuboid_crop"] = "cuboid_crop"
    drop: Range = Field((0.0, 0.5), description="share that is left out, drawn a cloud from this range")
    aspect: tuple[float, float] = Field((0.75, 1.33), description="range of the box's sides beside the cloud's own")

    def kept(self, scene: Scene, rng: Rng, spec: CloudSpec) -> Tensor:
        """Points in the box: the nearest ones in the distance whose balls are such boxes."""
        return box_rank(scene, rng, self.aspect) < (1 - self.drawn(scene, rng)) * scene.clouds.lengths[scene.owner]


class SectorCrop(_Span):
    """The points in a random range of directions, seen from the sensor, are left out; the share is that of the full turn."""

    name: Literal["sector_crop"] = "sector_crop"
    drop: Range = Field((0.0, 0.5), description="share of the turn that is left out, drawn a cloud from this range")

    def kept(self, scene: Scene, rng: Rng, spec: CloudSpec) -> Tensor:
        """By direction."""
        return direction(scene, rng) >= self.drawn(scene, rng)

    def check(self, spec: CloudSpec) -> None:
        """Refuses objects."""
        needs_sensor(self.name, spec)


class BeamDrop(Drop):
    """Whole beams of the sensor are left out."""

    name: Literal["beam_drop"] = "beam_drop"
    rate: Share = Field(0.25, description="chance of each beam to be left out")

    def check(self, spec: CloudSpec) -> None:
        """Refuses objects."""
        needs_sensor(self.name, spec)

    def kept(self, scene: Scene, rng: Rng, spec: CloudSpec) -> Tensor:
        """By the nearest beam's draw."""
        assert spec.sensor is not None  # checked when the views were built
        ring = ring_of(scene.unmoved(), spec.sensor)
        return (rng.uniform(scene.clouds.index, spec.sensor.rings) >= self.rate)[scene.owner, ring]

    def share(self, spec: CloudSpec) -> float:
        """Share of beams."""
        return self.probability * self.rate


class Sample(Drop):
    """At most so many points of each cloud, drawn without repetition."""

    name: Literal["sample"] = "sample"
    points: int = Field(1024, ge=1, description="most points of a cloud")

    def kept(self, scene: Scene, rng: Rng, spec: CloudSpec) -> Tensor:
        """By rank of a draw a point."""
        return rank_within(scene.clouds, rng.uniform(scene.clouds.point_ids())[:, 0]) < self.points

    def share(self, spec: CloudSpec) -> float:
        """What a cloud of the usual size loses."""
        return self.probability * max(0.0, 1 - self.points / max(spec.points, 1))


def box_rank(scene: Scene, rng: Rng, aspect: tuple[float, float]) -> Tensor:
    """(m,) the rank of each point by distance from a random point of its cloud, in a norm whose balls are boxes.

    The boxes' sides are those of the cloud (its deviation along each axis) times factors uniform in ``aspect``. So the points of
    rank below k are those of a box, and the share of points it holds is exact.
    """
    clouds, owner = scene.clouds, scene.owner
    n = len(clouds.index)
    place = (rng.fork("centre").uniform(clouds.index)[:, 0] * clouds.lengths).long()
    centre = (clouds.offsets[:-1] + place).clamp(max=len(clouds.xyz) - 1)
    count = clouds.lengths.clamp(min=1)[:, None]
    mean = segment_sum(clouds.xyz, owner, n) / count
    side = (segment_sum((clouds.xyz - mean[owner]).square(), owner, n) / count).sqrt().clamp(min=1e-6)
    side = side * between(rng.fork("aspect"), clouds.index, *aspect, width=3)
    away = ((clouds.xyz - clouds.xyz[centre][owner]) / side[owner]).abs().amax(1)
    return rank_within(clouds, away)


def direction(scene: Scene, rng: Rng) -> Tensor:
    """(m,) the azimuth of each point from a random direction of its cloud, as a share of the turn in [0, 1)."""
    xyz = scene.unmoved()
    turn = torch.atan2(xyz[:, 1], xyz[:, 0]) / (2 * math.pi)
    return (turn - rng.fork("direction").uniform(scene.clouds.index)[:, 0][scene.owner]) % 1.0


def needs_sensor(name: str, spec: CloudSpec) -> None:
    """Raises UsageError for clouds that no spinning sensor at their origin took."""
    if spec.sensor is None:
        raise UsageError(
            f"{name}: these clouds are objects without a sensor at the origin, so that they have neither beams nor directions; "
            "use point_drop, cuboid_drop or cuboid_crop."
        )
