"""The embedded default: a generator of accelerations of people who rest, walk and climb stairs. Synthetic, seeded, no file.

A model, not recordings. Each person has a cadence, a vigour, a mix of gait harmonics and a way of wearing each device (its
tilt). A window of an activity is, in the body's frame (forward, sideways, up) and in g,

  gravity + sum over harmonics h of amplitude_h cos(2 pi h phase(t) + lag_h), forward and up at the step frequency,
  sideways at half of it, + slow sway + noise,

with a phase that wanders, turned into the device's frame by a tilt that differs from window to window and, for the wrist, swings
with the arm. Resting holds now and then a fidget as strong as a step; walking, up and down stairs differ in cadence, in the
weight of the upper harmonics (the impact) and in the lean, by less than people differ from each other. So raw samples tell a
linear model little, spectra and statistics much, and neither everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field

from sslplug.contracts import DataContext
from sslplug.randomness import Rng
from sslplug_sequence.signals.data.assemble import signal_data
from sslplug_sequence.signals.data.options import SignalOptions
from sslplug_sequence.signals.data.signal_data import SignalData
from sslplug_sequence.signals.data.window_set import WindowSet

CLASSES = ("resting", "walking", "upstairs", "downstairs")
DEVICES = ("wrist", "waist", "ankle")
HARMONICS = 4


class GaitOptions(SignalOptions):
    """How much is generated."""

    people: int = Field(20, ge=5, description="people; a fifth is tested, a fifth validates")
    windows: int = Field(12, ge=1, description="windows a person and activity")
    samples: int = Field(100, ge=32, description="samples a window")
    rate: float = Field(25.0, gt=5, description="samples a second")
    noise: float = Field(0.06, ge=0, description="deviation of the sensor's noise, in g")


@dataclass(frozen=True)
class Activity:
    """How an activity moves: step frequency and size relative to the person's walking, harmonics' weights, lean in radian."""

    cadence: float
    vigour: float
    harmonics: tuple[float, float, float, float]
    lean: float


ACTIVITIES = {
    "walking": Activity(1.0, 1.0, (1.0, 0.5, 0.25, 0.1), 0.05),
    "upstairs": Activity(0.82, 0.85, (1.0, 0.35, 0.12, 0.04), 0.2),
    "downstairs": Activity(1.04, 1.15, (1.0, 0.65, 0.5, 0.35), -0.05),
}
GAIN = {"wrist": (0.6, 0.5, 0.5), "waist": (0.35, 0.25, 0.6), "ankle": (1.1, 0.4, 1.0)}
"""Forward, sideways, up: how strongly a step shakes each place, relative to 0.5 g."""


def build(options: GaitOptions, context: DataContext) -> SignalData:
    """Windows of three devices at once; the people are split 3:1:1 for training, validation and test."""
    return signal_data(generate(options, Rng.root(context.seed).fork("gait")), options, context)


def generate(options: GaitOptions, rng: Rng) -> WindowSet:
    """The windows of all people, person by person, activity by activity."""
    count = len(CLASSES) * options.windows
    values = np.concatenate([_person(options, rng.fork("person", number)) for number in range(options.people)])
    who = np.repeat(np.arange(options.people), count)
    held = max(1, options.people // 5)
    order = rng.fork("parts").numpy().permutation(options.people)
    part = np.full(options.people, "train", dtype="<U5")
    part[order[:held]], part[order[held : 2 * held]] = "test", "val"
    return WindowSet(
        "gait (synthetic)",
        values,
        np.ones(values.shape[:2], bool),
        np.array([f"person {number}" for number in who]),
        ("acc_x", "acc_y", "acc_z"),
        DEVICES,
        options.rate,
        ((0, 1, 2),),
        np.tile(np.repeat(np.arange(len(CLASSES)), options.windows), options.people),
        CLASSES,
        parts=part[who],
        drawn=True,
        notes=("synthetic: made by a generator, no recording",),
    )


def _person(options: GaitOptions, rng: Rng) -> np.ndarray:
    """(activities x windows, devices, 3, samples) float32 of one person."""
    draw = rng.numpy()
    cadence, vigour = draw.normal(1.85, 0.1), draw.lognormal(0.0, 0.2)
    style = draw.lognormal(0.0, 0.2, HARMONICS)  # this person's own weights of the harmonics
    lags = draw.uniform(-np.pi, np.pi, (len(DEVICES), 3, HARMONICS))
    worn = draw.normal(0.0, 0.35, (len(DEVICES), 3))  # tilt of each device as this person wears it, radian
    made = []
    for name in CLASSES:
        motion = ACTIVITIES.get(name)
        n = options.windows
        body = (
            _resting(options, draw, n) if motion is None else _gait(options, draw, n, motion, cadence, vigour * style, lags)
        )
        lean = 0.0 if motion is None else motion.lean
        tilt = worn + draw.normal(0.0, 0.12, (n, len(DEVICES), 3))
        tilt[:, :, 1] += lean + draw.normal(0.0, 0.1, (n, 1))
        if motion is None:
            tilt += draw.normal(0.0, 0.4, (n, 1, 3))  # sitting and standing in many ways
        angles = np.repeat(tilt[..., None], options.samples, -1)
        if motion is not None:
            swing = draw.uniform(0.1, 0.5, (n, 1)) * vigour
            angles[:, 0, 1] += swing * np.sin(_phase(options, draw, n, cadence * motion.cadence / 2))
        made.append(np.einsum("ndijt,ndjt->ndit", rotations(angles), body))
    values = np.concatenate(made) + draw.normal(0.0, options.noise, (len(CLASSES) * options.windows, len(DEVICES), 3, 1))
    values = values + draw.normal(0.0, options.noise, values.shape)
    return np.asarray(values, np.float32)


def _phase(options: GaitOptions, draw: np.random.Generator, n: int, frequency: float) -> np.ndarray:
    """(n, samples) phase of a cycle, radian: the frequency varies by window and wanders within it."""
    own = frequency * draw.normal(1.0, 0.05, (n, 1))
    wander = draw.normal(0.0, 0.25 * np.sqrt(1 / options.rate), (n, options.samples)).cumsum(1)
    time = np.arange(options.samples) / options.rate
    phase: np.ndarray = 2 * np.pi * (own * time + draw.uniform(0, 1, (n, 1))) + wander
    return phase


def _gait(
    options: GaitOptions,
    draw: np.random.Generator,
    n: int,
    motion: Activity,
    cadence: float,
    style: np.ndarray,
    lags: np.ndarray,
) -> np.ndarray:
    """(n, devices, 3, samples) accelerations in the body's frame, in g, with gravity."""
    phase = _phase(options, draw, n, cadence * motion.cadence)
    weight = np.array(motion.harmonics) * style * draw.lognormal(0.0, 0.15, (n, HARMONICS))
    order = np.arange(1, HARMONICS + 1)
    body = np.zeros((n, len(DEVICES), 3, options.samples))
    body[:, :, 2] = 1.0
    for device, name in enumerate(DEVICES):
        for axis in range(3):
            cycle = phase / 2 if axis == 1 else phase
            waves = np.cos(cycle[:, None] * order[None, :, None] + lags[device, axis][None, :, None])
            body[:, device, axis] += 0.5 * motion.vigour * GAIN[name][axis] * (weight[:, :, None] * waves).sum(1)
    return body


def _resting(options: GaitOptions, draw: np.random.Generator, n: int) -> np.ndarray:
    """(n, devices, 3, samples): gravity, slow sway, and in a third of the windows a burst of fidgeting of one device."""
    time = np.arange(options.samples) / options.rate
    body = np.zeros((n, len(DEVICES), 3, options.samples))
    body[:, :, 2] = 1.0
    sway = np.sin(2 * np.pi * draw.uniform(0.1, 0.4, (n, 1, 3, 1)) * time + draw.uniform(0, 6.3, (n, 1, 3, 1)))
    body += draw.uniform(0.0, 0.04, (n, 1, 3, 1)) * sway
    fidgets = draw.random((n, len(DEVICES))) < 1 / 3
    centre, width = draw.uniform(time[0], time[-1], (n, 1, 1, 1)), draw.uniform(0.3, 1.2, (n, 1, 1, 1))
    burst = np.exp(-(((time - centre) / width) ** 2)) * np.sin(2 * np.pi * draw.uniform(1.0, 3.5, (n, 1, 3, 1)) * time)
    body += fidgets[:, :, None, None] * draw.uniform(0.1, 0.7, (n, 1, 3, 1)) * burst
    return body


def rotations(angles: np.ndarray) -> np.ndarray:
    """(n, D, 3, 3, T) rotation matrices about x, then y, then z, by (n, D, 3, T) angles in radian."""
    (cx, cy, cz), (sx, sy, sz) = (np.moveaxis(f(angles), 2, 0) for f in (np.cos, np.sin))
    rows = [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
    return np.stack([np.stack(row, axis=2) for row in rows], axis=2)
