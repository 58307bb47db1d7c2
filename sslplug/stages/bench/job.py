"""One run as a process of its own: the command a person would type, its log, its end."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from sslplug.errors import RunFolderError
from sslplug.stages.bench.matrix import Cell

_LAST_WORDS = 6
_THREADS = {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"}


@dataclass(frozen=True)
class Place:
    """Where the runs of a comparison go, and what their commands share.

    runs     the folder of all runs; logs and locks of the cells lie in its ``.bench``
    options  ``--device`` and, where it was given, ``--data-root``, for ``sslplug train`` and ``sslplug resume``
    threads  how many a process computes with, unless the user's environment says
    """

    runs: Path
    options: tuple[str, ...]
    threads: int

    def train(self, cell: Cell) -> list[str]:
        """What follows ``sslplug`` to make a cell's run."""
        return ["train", *cell.options, "--runs", str(self.runs), *self.options]

    def resume(self, folder: Path) -> list[str]:
        """What follows ``sslplug`` to go on with a run."""
        return ["resume", str(folder), *self.options]

    def file(self, cell: Cell, kind: str) -> Path:
        """A cell's log or lock. Its name says which cell, and ends with a digest of all that its recipe says."""
        name = f"{cell.plugin},{cell.resolved.name},{cell.objective},seed{cell.resolved.seed},{cell.digest[:12]}.{kind}"
        return self.runs / ".bench" / name

    def claim(self, cell: Cell) -> FileLock | None:
        """A hold on the cell, so that nobody else starts it; None where another process has it."""
        file = self.file(cell, "lock")
        lock = FileLock(file, timeout=0)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            return None
        except OSError as error:
            raise RunFolderError(f"{file}: cannot be made ({error.strerror}); name another folder with --runs.") from error
        return lock


@dataclass
class Job:
    """A cell's process at work."""

    cell: Cell
    claim: FileLock
    process: subprocess.Popen[bytes]
    log: Path
    start: int
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has been at work."""
        return time.monotonic() - self.began

    def last_words(self) -> str:
        """The last lines that this process wrote."""
        with self.log.open("rb") as stream:
            stream.seek(self.start)
            said = stream.read().decode("utf-8", "replace").strip().splitlines()
        return "\n".join(f"    {line}" for line in said[-_LAST_WORDS:]) or "    (it said nothing)"


def start(cell: Cell, claim: FileLock, place: Place, folder: Path | None) -> Job:
    """Start a cell's run, or go on with it in ``folder``. What it says is added to the cell's log.

    The process has a session of its own: Ctrl-C in a terminal reaches whoever started it, who asks it to stop once.
    """
    log = place.file(cell, "log")
    words = place.train(cell) if folder is None else place.resume(folder)
    with log.open("ab") as stream:
        stream.write(f"$ {command(words)}\n".encode())
        stream.flush()
        began = stream.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "sslplug", *words],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=dict(os.environ) | ({} if _THREADS & os.environ.keys() else dict.fromkeys(_THREADS, str(place.threads))),
            start_new_session=True,
        )
    return Job(cell, claim, process, log, began)


def command(words: Sequence[str]) -> str:
    """What a person would type.

    >>> command(["train", "--plugin", "toy", "--set", 'data={"name": "clusters"}'])
    'sslplug train --plugin toy --set \\'data={"name": "clusters"}\\''
    """
    return shlex.join(["sslplug", *words])
