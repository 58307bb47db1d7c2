"""The wearable plugin's data sets: ``DATA`` is the table a recipe's ``data.name`` chooses from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug_sequence.signals.data import dsads, files, gait, memory, ucihar, uea
from sslplug_sequence.signals.data.options import SignalOptions

DATA: Mapping[str, Component] = MappingProxyType(
    {
        "gait": Component(
            gait.GaitOptions, gait.build, "generated: people resting, walking, on stairs; wrist, waist, ankle"
        ),
        "ucihar": Component(
            SignalOptions, ucihar.build, "UCI HAR: 10,299 windows of a phone at the waist, 30 people, 6 activities"
        ),
        "dsads": Component(SignalOptions, dsads.build, "DSADS: five body units at once, 8 people, 8 activities"),
        "uea": Component(uea.UeaOptions, uea.build, "series of the UEA and UCR archives with their given split"),
        "files": Component(
            files.FileOptions,
            files.build,
            "your own signals: a long table, arrays or .ts files",
            faults=files.faults_of_files,
        ),
        "memory": Component(memory.MemoryOptions, memory.build, "signals in memory: an array (windows, channels, time)"),
    }
)

__all__ = ["DATA"]
