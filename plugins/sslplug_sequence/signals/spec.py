"""What the data tells views and encoders about itself. Nothing here comes from a label."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Statistics of the channels in the data's own unit over the allowed windows, all devices together: a number a channel.

    standardised  batches hold (x - mean) / std: views that act on physical quantities (rotation) undo it; std is 1 where a
                  channel does not vary. False: batches hold x itself
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    standardised: bool = False


@dataclass(frozen=True)
class SignalSpec:
    """Sizes and meaning of the signals.

    channels  names of the C channels;  devices: names of the D devices;  length: T samples;  rate: samples a second (Hz)
    triads    channel numbers that are x, y, z of one sensor: what rotation and axis switch act on
    scale     mean and standard deviation of each channel, and whether batches are standardised by them
    ragged    series may end before T (``Signals.visible``)
    bins      1 for raw samples. Spectrograms have C = sensors x bins channels: channel s * bins + f is bin f of sensor channel s
    """

    channels: tuple[str, ...]
    devices: tuple[str, ...]
    length: int
    rate: float
    triads: tuple[tuple[int, int, int], ...]
    scale: Scale
    ragged: bool = False
    bins: int = 1
