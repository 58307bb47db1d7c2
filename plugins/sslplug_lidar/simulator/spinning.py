"""A spinning sensor: its beams are cast at a scene, and come back with noise, losses and intensity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sslplug_lidar.simulator.parts import Parts
from sslplug_lidar.simulator.rays import meet
from sslplug_lidar.spec import Sensor

GROUND = -1
"""The owner of returns from the ground plane."""
GROUND_REFLECTIVITY = 0.12


@dataclass(frozen=True)
class Spinning:
    """The sensor on its mast.

    sensor    where the beams point
    height    metres above the ground
    noise     metres of deviation of a range
    dropout   chance that a beam is lost for no reason; more are lost far away, at grazing incidence and on dark surfaces
    farthest  metres beyond which nothing comes back;  nearest  metres below which nothing is measured
    """

    sensor: Sensor
    height: float = 1.8
    noise: float = 0.02
    dropout: float = 0.03
    farthest: float = 50.0
    nearest: float = 1.5


@dataclass(frozen=True, eq=False)
class Returns:
    """What came back, in the sensor's axes (x forward, y left, z up), metres.

    xyz (p, 3) float64, intensity (p,) in 0..1, owner (p,) the thing that was met or GROUND, ring (p,), azimuth (p,) step
    """

    xyz: np.ndarray
    intensity: np.ndarray
    owner: np.ndarray
    ring: np.ndarray
    azimuth: np.ndarray


def even_sensor(rings: int, azimuths: int, lowest: float = -25.0, highest: float = 6.0) -> Sensor:
    """Beams at even steps between two elevations in degrees."""
    return Sensor(rings, tuple(float(v) for v in np.deg2rad(np.linspace(lowest, highest, rings))), azimuths)


def directions(sensor: Sensor) -> np.ndarray:
    """(rings, azimuths, 3) unit vectors; azimuth step 0 points forward, steps turn to the left."""
    elevation = np.asarray(sensor.elevations)[:, None]
    azimuth = 2 * np.pi * np.arange(sensor.azimuths)[None] / sensor.azimuths
    up = np.broadcast_to(np.sin(elevation), (sensor.rings, sensor.azimuths))
    return np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), up], -1)


def sweep(parts: Parts, position: np.ndarray, yaw: float, spinning: Spinning, draw: np.random.Generator) -> Returns:
    """One turn of the sensor at ``position`` (x, y on the ground) looking along ``yaw``; ``parts`` in the same world.

    All beams of a turn are cast at one moment: the sweep is already free of the distortion by the sensor's own motion.
    """
    sensor = spinning.sensor
    local = _seen_from(parts, position, yaw, spinning.height)
    beams = directions(sensor).reshape(-1, 3)
    ray, piece = _candidates(local, sensor, spinning.farthest)
    cos, sin = np.cos(local.yaw[piece]), np.sin(local.yaw[piece])
    offset = -local.centre[piece]
    along = beams[ray]
    distance, cosine = meet(local.kind[piece], _turned(offset, cos, sin), _turned(along, cos, sin), local.half[piece])
    met = np.isfinite(distance) & (draw.random(len(ray)) >= local.porosity[piece])
    ray, piece, distance, cosine = ray[met], piece[met], distance[met], cosine[met]
    down = np.flatnonzero(beams[:, 2] < -1e-9)
    ray = np.concatenate([ray, down])
    distance = np.concatenate([distance, spinning.height / -beams[down, 2]])
    cosine = np.concatenate([cosine, -beams[down, 2]])
    owner = np.concatenate([local.owner[piece], np.full(len(down), GROUND)])
    reflectivity = np.concatenate([local.reflectivity[piece], np.full(len(down), GROUND_REFLECTIVITY)])
    rough = np.concatenate([local.rough[piece], np.zeros(len(down))])
    order = np.lexsort((distance, ray))
    order = order[np.unique(ray[order], return_index=True)[1]]
    ray, distance, cosine = ray[order], distance[order], cosine[order]
    owner, reflectivity, rough = owner[order], reflectivity[order], rough[order]

    power = reflectivity * (0.15 + 0.85 * cosine) * np.exp(-distance / (1.5 * spinning.farthest))
    lost = spinning.dropout + np.exp(-power / 0.02) * (distance / spinning.farthest)
    measured = distance + draw.normal(0, 1, len(ray)) * np.hypot(spinning.noise, rough)
    kept = (draw.random(len(ray)) >= lost) & (measured <= spinning.farthest) & (measured >= spinning.nearest)
    intensity = np.clip(power + draw.normal(0, 0.015, len(ray)), 0, 1)[kept]
    ray, owner, measured = ray[kept], owner[kept], measured[kept]
    return Returns(beams[ray] * measured[:, None], intensity, owner, ray // sensor.azimuths, ray % sensor.azimuths)


def _turned(vectors: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """Vectors in axes that are turned by the angle: R(-angle) v."""
    x, y, z = vectors.T
    return np.stack([cos * x + sin * y, cos * y - sin * x, z], 1)


def _seen_from(parts: Parts, position: np.ndarray, yaw: float, height: float) -> Parts:
    """The pieces in the sensor's axes."""
    moved = parts.centre - np.array([position[0], position[1], height])
    n = len(parts)
    return Parts(
        parts.kind,
        _turned(moved, np.full(n, np.cos(yaw)), np.full(n, np.sin(yaw))),
        parts.yaw - yaw,
        parts.half,
        parts.reflectivity,
        parts.porosity,
        parts.rough,
        parts.owner,
    )


def _candidates(local: Parts, sensor: Sensor, farthest: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (ray, piece) that may meet: rays within the window of angles that a piece's bounding box spans."""
    cos, sin = np.cos(local.yaw), np.sin(local.yaw)
    corner = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])[None] * local.half[:, None, :2]
    x = local.centre[:, None, 0] + cos[:, None] * corner[..., 0] - sin[:, None] * corner[..., 1]
    y = local.centre[:, None, 1] + sin[:, None] * corner[..., 0] + cos[:, None] * corner[..., 1]
    middle = np.arctan2(local.centre[:, 1], local.centre[:, 0])
    off = (np.arctan2(y, x) - middle[:, None] + np.pi) % (2 * np.pi) - np.pi
    own = _turned(-local.centre, cos, sin)
    outside = np.maximum(np.abs(own[:, :2]) - local.half[:, :2], 0)
    near = np.hypot(outside[:, 0], outside[:, 1])
    around = near <= 0  # the sensor stands above or inside the box's outline
    step = 2 * np.pi / sensor.azimuths
    first = np.where(around, 0, np.ceil((middle + off.min(1)) / step - 1e-9)).astype(np.int64)
    last = np.where(around, sensor.azimuths - 1, np.floor((middle + off.max(1)) / step + 1e-9)).astype(np.int64)
    far = np.hypot(x, y).max(1)
    top, bottom = local.centre[:, 2] + local.half[:, 2], local.centre[:, 2] - local.half[:, 2]
    closest = np.maximum(near, 1e-6)
    highest = np.arctan2(top, np.where(top > 0, closest, far))
    lowest = np.arctan2(bottom, np.where(bottom < 0, closest, far))
    elevations = np.asarray(sensor.elevations)
    low, high = np.searchsorted(elevations, lowest - 1e-9), np.searchsorted(elevations, highest + 1e-9, side="right")
    tall, wide = np.maximum(high - low, 0), np.maximum(last - first + 1, 0)
    count = np.where(near <= farthest, tall * wide, 0)
    piece = np.repeat(np.arange(len(count)), count)
    within = np.arange(len(piece)) - np.repeat(np.cumsum(count) - count, count)
    ring = low[piece] + within // np.maximum(wide, 1)[piece]
    azimuth = (first[piece] + within % np.maximum(wide, 1)[piece]) % sensor.azimuths
    return ring * sensor.azimuths + azimuth, piece
