"""Every transform by name: what a list of transforms in a recipe may hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from sslplug.contracts.steps import AnyStep, step_names
from sslplug.randomness import Rng
from sslplug_lidar.spec import CloudSpec
from sslplug_lidar.views.drops import BeamDrop, CuboidCrop, CuboidDrop, PointDrop, RangeDrop, Sample, SectorCrop
from sslplug_lidar.views.mixing import SectorMix
from sslplug_lidar.views.moves import Flip, Rotation, Scale, Tilt, Translation
from sslplug_lidar.views.noise import IntensityJitter, Jitter
from sslplug_lidar.views.scene import Scene
from sslplug_lidar.views.transform import Transform

_Any = Annotated[
    Rotation
    | Tilt
    | Flip
    | Scale
    | Translation
    | Jitter
    | IntensityJitter
    | PointDrop
    | RangeDrop
    | CuboidDrop
    | CuboidCrop
    | SectorCrop
    | BeamDrop
    | Sample
    | SectorMix,
    Field(discriminator="name"),
]


class Step(AnyStep[_Any]):
    """A transform as a recipe writes it: ``{name: rotation, axis: z}``. The name says which options there are."""


NAMES: tuple[str, ...] = step_names(_Any)
"""What a step may be called."""


def steps(*transforms: Transform) -> list[Step]:
    """Transforms as a recipe's defaults."""
    return [Step.model_validate(transform) for transform in transforms]


def chain_of(written: Sequence[Step]) -> tuple[Transform, ...]:
    """The transforms of a recipe's list."""
    return tuple(step.root for step in written)


def apply_chain(chain: Sequence[Transform], scene: Scene, rng: Rng, spec: CloudSpec) -> Scene:
    """The scene changed by each transform in turn; the k-th takes its randomness from ``rng.fork(k)``."""
    for place, transform in enumerate(chain):
        scene = transform(scene, rng.fork(place), spec)
    return scene
