"""Decoders of signals, by the name a recipe uses."""

from __future__ import annotations

from collections.abc import Mapping

from sslplug.contracts import Component
from sslplug_sequence.signals.decoders import signal

DECODERS: Mapping[str, Component] = {
    "signal": Component(signal.SignalDecoderOptions, signal.build, "from frames to the samples they stand for, linear"),
}
