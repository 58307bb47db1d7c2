"""Parametric things of the street, each about its own origin: x forward, z up from the ground it stands on. Synthetic.

Sizes are drawn around those of real things; none is a measurement of a real one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from sslplug_lidar.simulator.parts import BOX, CYLINDER, ELLIPSOID, Parts, joined, part

Draw = np.random.Generator


def car(draw: Draw) -> Parts:
    """Body, cabin of glass and four wheels; saloon, hatchback or estate."""
    length, width, height = draw.normal(4.3, 0.35), draw.normal(1.78, 0.07), draw.normal(1.5, 0.08)
    clearance, belt = 0.2, draw.uniform(0.55, 0.62) * height
    paint = draw.uniform(0.1, 0.7)
    back = draw.choice([0.02, 0.1, 0.2])  # how much boot is left behind the cabin, as a share of the length
    front = draw.uniform(0.2, 0.28)
    cabin = length * (1 - back - front)
    middle = -length / 2 + back * length + cabin / 2
    body = part(BOX, (0, 0, (clearance + belt) / 2), (length / 2, width / 2, (belt - clearance) / 2), paint)
    glass = part(
        BOX,
        (middle, 0, (belt + height - 0.06) / 2),
        (cabin / 2, 0.44 * width, (height - 0.06 - belt) / 2),
        0.15,
        porosity=0.5,
    )
    roof = part(BOX, (middle, 0, height - 0.03), (0.42 * cabin, 0.42 * width, 0.03), paint)
    return joined([body, glass, roof, *_wheels(0.31 * length, 0.45 * width, 0.32), *_plates(length / 2, 0.5)])


def van(draw: Draw) -> Parts:
    """A long high box with a short bonnet; delivery van or people carrier."""
    length, width, height = draw.normal(4.9, 0.35), draw.normal(1.92, 0.08), draw.uniform(1.65, 2.4)
    paint, bonnet = draw.uniform(0.2, 0.8), draw.uniform(0.6, 1.0)
    box = part(
        BOX,
        (-bonnet / 2, 0, (0.25 + height) / 2),
        ((length - bonnet) / 2, width / 2, (height - 0.25) / 2),
        paint,
        porosity=0.12,
    )
    nose = part(BOX, ((length - bonnet) / 2, 0, 0.65), (bonnet / 2, width / 2, 0.4), paint)
    return joined([box, nose, *_wheels(0.32 * length, 0.45 * width, 0.35), *_plates(length / 2, 0.55)])


def person(draw: Draw) -> Parts:
    """Legs in a stride, trunk, arms and head; some carry a bag."""
    height, cloth = draw.normal(1.7, 0.13), draw.uniform(0.1, 0.6)
    stride = draw.uniform(0.0, 0.25)
    girth = draw.uniform(0.85, 1.25)
    legs = [
        part(CYLINDER, (side * stride, side * 0.1, 0.24 * height), (0.08, 0.08, 0.24 * height), cloth * 0.8)
        for side in (-1, 1)
    ]
    trunk = part(ELLIPSOID, (0, 0, 0.65 * height), (0.14 * girth, 0.21 * girth, 0.2 * height), cloth)
    arms = [
        part(
            CYLINDER,
            (-side * 0.5 * stride, side * 0.26 * girth, 0.63 * height),
            (0.05, 0.05, 0.16 * height),
            cloth,
        )
        for side in (-1, 1)
    ]
    head = part(ELLIPSOID, (0, 0, 0.93 * height), (0.1, 0.08, 0.07 * height), 0.3)
    bag = [part(BOX, (-0.22, 0, 0.68 * height), (0.1, 0.15, 0.2), draw.uniform(0.1, 0.6))] if draw.random() < 0.4 else []
    return joined([*legs, trunk, *arms, head, *bag])


def cyclist(draw: Draw) -> Parts:
    """A bent rider on two thin wheels and a frame."""
    height, cloth, lean = draw.normal(1.68, 0.1), draw.uniform(0.1, 0.6), draw.uniform(0.0, 0.25)
    wheels = [part(ELLIPSOID, (x, 0, 0.34), (0.34, 0.03, 0.34), 0.2, porosity=0.75) for x in (-0.5, 0.5)]
    frame = part(BOX, (0, 0, 0.55), (0.45, 0.03, 0.2), 0.45, porosity=0.6)
    legs = [part(CYLINDER, (0.1 * side, 0.12 * side, 0.62), (0.09, 0.08, 0.3), cloth * 0.8) for side in (-1, 1)]
    trunk = part(ELLIPSOID, (lean / 2, 0, 0.9 + 0.2 * height), (0.16 + lean / 2, 0.2, 0.19 * height), cloth)
    head = part(ELLIPSOID, (lean, 0, 0.95 + 0.42 * height), (0.1, 0.08, 0.12), 0.3)
    bars = part(BOX, (0.42, 0, 1.0), (0.05, 0.25, 0.05), 0.4)
    return joined([*wheels, frame, *legs, trunk, head, bars])


def pole(draw: Draw) -> Parts:
    """A lamp post, thin or stout, with an arm far above."""
    height, radius = draw.uniform(4.0, 7.5), draw.uniform(0.06, 0.16)
    shaft = part(CYLINDER, (0, 0, height / 2), (radius, radius, height / 2), draw.uniform(0.2, 0.6))
    base = part(CYLINDER, (0, 0, 0.4), (1.6 * radius, 1.6 * radius, 0.4), 0.4)
    return joined([shaft, base, part(BOX, (0.7, 0, height), (0.7, 0.05, 0.05), 0.4)])


def sign(draw: Draw) -> Parts:
    """A thin post with a bright plate at head height or above."""
    bottom, size = draw.uniform(1.2, 2.3), draw.uniform(0.22, 0.45)
    post = part(CYLINDER, (0, 0, (bottom + 2 * size) / 2), (0.04, 0.04, (bottom + 2 * size) / 2), 0.45)
    plate = part(BOX, (0.05, 0, bottom + size), (0.015, size * draw.uniform(0.7, 1.3), size), draw.uniform(0.5, 1.0))
    return joined([post, plate])


def bush(draw: Draw) -> Parts:
    """A clump of leaves: blobs that let beams through."""
    spread, height = draw.uniform(0.25, 1.1), draw.uniform(0.8, 2.0)
    blobs = []
    for _ in range(int(draw.integers(4, 9))):
        z = draw.uniform(0.25, 0.75) * height
        x, y, up = (float(v) for v in draw.uniform(0.25, 0.55, 3) * (0.4 + 0.6 * spread))
        place = (float(draw.normal(0, 0.45) * spread), float(draw.normal(0, 0.45) * spread), float(z))
        blobs.append(part(ELLIPSOID, place, (x, y, up), draw.uniform(0.2, 0.5), draw.uniform(0, np.pi), 0.45, 0.05))
    return joined(blobs)


def tree(draw: Draw) -> Parts:
    """A trunk and a crown of blobs that let beams through."""
    height, radius = draw.uniform(1.4, 2.6), draw.uniform(0.09, 0.28)
    trunk = part(CYLINDER, (0, 0, height / 2), (radius, radius, height / 2), draw.uniform(0.15, 0.4), rough=0.02)
    crown = [
        part(
            ELLIPSOID,
            (float(draw.normal(0, 0.6)), float(draw.normal(0, 0.6)), height + draw.uniform(0.3, 2.0)),
            (draw.uniform(0.5, 1.3), draw.uniform(0.5, 1.3), draw.uniform(0.4, 0.9)),
            draw.uniform(0.2, 0.5),
            porosity=0.5,
            rough=0.05,
        )
        for _ in range(int(draw.integers(4, 8)))
    ]
    return joined([trunk, *crown])


OBJECTS: Mapping[str, Callable[[Draw], Parts]] = MappingProxyType(
    {
        "car": car,
        "van": van,
        "person": person,
        "cyclist": cyclist,
        "pole": pole,
        "sign": sign,
        "bush": bush,
        "tree": tree,
    }
)
"""Makers by class name; the order numbers the classes."""


def _wheels(axle: float, track: float, radius: float) -> list[Parts]:
    return [part(ELLIPSOID, (x * axle, y * track, radius), (radius, 0.1, radius), 0.06) for x in (-1, 1) for y in (-1, 1)]


def _plates(end: float, height: float) -> list[Parts]:
    return [part(BOX, (x * (end + 0.01), 0, height), (0.01, 0.26, 0.06), 0.95) for x in (-1, 1)]
