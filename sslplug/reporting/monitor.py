"""Where a run's numbers go: one JSON object a line in ``log.jsonl``, and a TensorBoard event file."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from sslplug.errors import RunFolderError
from sslplug.reporting.event_file import EventFile
from sslplug.reporting.runfolder import finite, write_text

_BUFFERED = 2000
_SECONDS = 5.0


class Monitor:
    """Sends scalars to the run folder. Opens nothing before the first number, so an idle rank leaves no file.

    resume_step  the checkpoint's step: what was logged after it happened in a future that is now repeated, and is dropped
    tensorboard  whether to write events too; they are buffered for a few seconds, the log line is not
    """

    def __init__(self, folder: Path, resume_step: int | None = None, tensorboard: bool = True) -> None:
        self._folder = folder
        self._resume_step = resume_step
        self._tensorboard = tensorboard
        self._log: IO[str] | None = None
        self._events: EventFile | None = None
        self._waiting: list[tuple[int, float, dict[str, float]]] = []
        self._flushed = time.monotonic()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Logs numbers under their names at a step. The line has reached the operating system when this returns.

        Raises RunFolderError where the disk refuses.
        """
        now = time.time()
        plain = {name: float(value) for name, value in values.items()}
        line = json.dumps({"step": step, "time": round(now, 3), **finite(plain)}, allow_nan=False)
        try:
            log = self._log or self._open()
            log.write(line + "\n")
            log.flush()
            if self._tensorboard:
                self._waiting.append((step, now, plain))
                if len(self._waiting) >= _BUFFERED or time.monotonic() - self._flushed > _SECONDS:
                    self._flush()
        except OSError as error:
            raise self._refused(error) from error

    def close(self) -> None:
        """Writes what is buffered and closes the files; may be called twice. Raises RunFolderError where the disk refuses."""
        log, self._log = self._log, None
        try:
            if self._waiting:
                self._flush()
            if log is not None:
                log.close()
        except OSError as error:
            raise self._refused(error) from error
        finally:
            self._waiting.clear()
            if self._events is not None:
                self._events.close()

    def _refused(self, error: OSError) -> RunFolderError:
        return RunFolderError(
            f"{self._folder / 'log.jsonl'}: cannot be written ({error.strerror}); free space, "
            f"then `sslplug resume {self._folder}`."
        )

    def _open(self) -> IO[str]:
        file = self._folder / "log.jsonl"
        if self._resume_step is not None and file.exists():
            write_text(file, _kept(file, self._resume_step))
        self._log = file.open("a", encoding="utf-8")
        return self._log

    def _flush(self) -> None:
        """Hands the buffered numbers to TensorBoard with the times at which they were logged: one event a call."""
        if self._events is None:
            self._events = EventFile(self._folder)
            if self._resume_step is not None:  # TensorBoard then forgets the steps that are repeated
                from tensorboard.compat.proto.event_pb2 import Event, SessionLog

                start = SessionLog(status=SessionLog.START)
                self._events.add([Event(wall_time=time.time(), step=self._resume_step + 1, session_log=start)])
        for step, at, values in self._waiting:
            self._events.add_scalars(values, step, at)
        self._waiting.clear()
        self._flushed = time.monotonic()


def _kept(file: Path, last: int) -> str:
    """The whole lines up to a step; a line torn by a crash is dropped too."""
    kept = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int) and entry["step"] <= last:
            kept.append(line + "\n")
    return "".join(kept)
