"""A TensorBoard event file written by the caller's own thread, so that a disk that refuses is heard by whoever writes.

The writers of TensorBoard and torch hand events to a thread: what the disk refuses there is printed as a traceback and reaches
nobody, and a flush that waits for a thread that has died waits for ever.
"""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sslplug.errors import RunFolderError

_numbers = itertools.count()


class EventFile:
    """``events.out.tfevents.<seconds>.<host>.<process>.<number><suffix>`` in a run folder, as TensorBoard's own writer names it.

    Every method raises RunFolderError where the disk refuses.
    """

    def __init__(self, folder: Path, suffix: str = "") -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        place = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._folder, self._path = folder, folder / f"events.out.tfevents.{place}{suffix}"
        try:
            self._file = self._path.open("xb")
        except OSError as error:
            raise self._refused(error) from error
        self._records: Any = RecordWriter(self._file)
        self._event: Any = Event
        self.add([Event(wall_time=time.time(), file_version="brain.Event:2")])

    def add(self, events: Iterable[Any]) -> None:
        """Events (protocol buffers) that have reached the operating system when this returns."""
        try:
            for event in events:
                self._records.write(event.SerializeToString())
            self._file.flush()
        except OSError as error:
            raise self._refused(error) from error

    def add_summaries(self, summaries: Iterable[Any], step: int | None = None, at: float | None = None) -> None:
        """Summaries (protocol buffers) of one step and time; now, where no time is given."""
        now = time.time() if at is None else at
        self.add(self._event(wall_time=now, step=step, summary=summary) for summary in summaries)

    def add_scalars(self, values: Mapping[str, float], step: int | None = None, at: float | None = None) -> None:
        """Named numbers of one step and time, as one event."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        named = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self.add_summaries([Summary(value=named)], step, at)

    def close(self) -> None:
        """May be called twice, and after a refusal: then nothing is left to say."""
        with suppress(OSError):  # every method before has flushed, or told
            self._file.close()

    def _refused(self, error: OSError) -> RunFolderError:
        return RunFolderError(
            f"{self._path}: cannot be written ({error.strerror}); free space or mend the folder's rights, then "
            f"`sslplug resume {self._folder}`."
        )
