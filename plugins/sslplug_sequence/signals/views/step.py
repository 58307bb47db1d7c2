"""Every transform by name: what a list of transforms in a recipe may hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor

from sslplug.contracts.steps import AnyStep, step_names
from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Signals
from sslplug_sequence.signals.spec import SignalSpec
from sslplug_sequence.signals.views.hiding import ChannelMask, FrequencyMask, TimeAlteration, TimeMask
from sslplug_sequence.signals.views.mixing import BatchStandardise, Mixup, ResizedCrop
from sslplug_sequence.signals.views.noise import Jitter, Negate, Scaling, UniformNoise
from sslplug_sequence.signals.views.quantizing import RandomizedQuantization
from sslplug_sequence.signals.views.timing import ArrowOfTime, Crop, Permutation, TimeWarp
from sslplug_sequence.signals.views.transform import Transform
from sslplug_sequence.signals.views.turning import AxisSwitch, Rotation

_Any = Annotated[
    Jitter
    | Scaling
    | Negate
    | UniformNoise
    | Rotation
    | AxisSwitch
    | Permutation
    | TimeWarp
    | ArrowOfTime
    | Crop
    | TimeMask
    | ChannelMask
    | FrequencyMask
    | TimeAlteration
    | Mixup
    | ResizedCrop
    | BatchStandardise
    | RandomizedQuantization,
    Field(discriminator="name"),
]


class Step(AnyStep[_Any]):
    """A transform as a recipe writes it: ``{name: rotation, degrees: 30}``. The name says which options there are."""


NAMES: tuple[str, ...] = step_names(_Any)
"""What a step may be called."""


def steps(*transforms: Transform) -> list[Step]:
    """Transforms as a recipe's defaults."""
    return [Step.model_validate(transform) for transform in transforms]


def chain_of(written: Sequence[Step]) -> tuple[Transform, ...]:
    """The transforms of a recipe's list."""
    return tuple(step.root for step in written)


def apply(chain: Sequence[Transform], signals: Signals, numbers: Tensor, rng: Rng, spec: SignalSpec) -> Signals:
    """The signals changed by each transform in turn; the k-th takes its randomness from ``rng.fork(k)``."""
    for place, transform in enumerate(chain):
        signals = transform(signals, numbers, rng.fork(place), spec)
    return signals
