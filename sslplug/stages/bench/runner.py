"""Works through the cells of a comparison, several processes at a time: nothing twice, nothing lost, every death told."""

from __future__ import annotations

import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sslplug.reporting.runs_progress import Counts, RunsProgress
from sslplug.stages.bench.found import FoundRuns
from sslplug.stages.bench.job import Job, Place, command, start
from sslplug.stages.bench.matrix import Cell

_ATTEMPTS = 2
_WRONG_USE = 2
_LOOK = 0.1
_LOOK_ELSEWHERE = 2.0


@dataclass(frozen=True)
class Failure:
    """A cell that died as often as it may: its exit code, its last words, and its command."""

    cell: Cell
    code: int
    words: str
    command: str


@dataclass(frozen=True)
class Ended:
    """How a comparison's runs ended: how many were done before, how many now, which failed, how many are left over."""

    before: int
    done: int
    failed: tuple[Failure, ...]
    left: int


class Runner:
    """Starts cells, watches over them, and keeps count.

    A cell that another process works at is looked at again later: it is done then, or it is ours to do.
    """

    def __init__(
        self, cells: Sequence[Cell], found: FoundRuns, place: Place, jobs: int, stop: Callable[[], bool], shown: RunsProgress
    ) -> None:
        self._found, self._place, self._jobs, self._stop, self._shown = found, place, jobs, stop, shown
        self._total = len(cells)
        ready = [found.state(cell).word == "done" for cell in cells]
        self._before = self._done = sum(ready)
        self._queue = deque(cell for cell, done in zip(cells, ready, strict=True) if not done)
        self._elsewhere: deque[Cell] = deque()
        self._waited: set[str] = set()
        self._running: list[Job] = []
        self._failed: list[Failure] = []
        self._deaths: Counter[str] = Counter()
        self._seconds: list[tuple[Cell, float]] = []
        self._looked = time.monotonic()

    def run(self) -> Ended:
        """Until everything is done or failed, or a stop is asked for. Runs at work are asked to checkpoint before this returns."""
        try:
            if self._before:
                self._shown.tell(f"{self._before} of {self._total} runs are done already.", self._counts())
            while (self._queue or self._running or self._elsewhere) and not self._stop():
                self._fill()
                self._shown.show(self._counts())
                time.sleep(_LOOK)
                self._collect()
        finally:
            self._end()
            self._shown.finish()
        return Ended(self._before, self._done - self._before, tuple(self._failed), len(self._queue) + len(self._elsewhere))

    def _fill(self) -> None:
        """Start cells while there is room."""
        if self._elsewhere and time.monotonic() - self._looked >= _LOOK_ELSEWHERE:
            self._looked = time.monotonic()
            self._queue.extend(self._elsewhere)
            self._elsewhere.clear()
        while self._queue and len(self._running) < self._jobs and not self._stop():
            self._begin(self._queue.popleft())

    def _begin(self, cell: Cell) -> None:
        """Start one cell, unless somebody else has it or had it."""
        claim = self._place.claim(cell)
        state = self._found.state(cell) if claim is not None else None
        if claim is None or state is None or state.word == "busy":
            if claim is not None:
                claim.release()
            if cell.digest not in self._waited:
                self._waited.add(cell.digest)
                self._shown.tell(f"{cell.label}: another process is at work on it; waiting.", self._counts())
            self._elsewhere.append(cell)
            return
        if state.word == "done":
            claim.release()
            self._done += 1
            self._shown.tell(f"{cell.label}: done by another process.", self._counts())
            return
        self._running.append(start(cell, claim, self._place, state.folder))
        if state.folder is not None:
            self._shown.tell(f"{cell.label}: goes on from its checkpoint in {state.folder}.", self._counts())

    def _collect(self) -> None:
        """Take in what ended."""
        for job in [job for job in self._running if job.process.poll() is not None]:
            self._running.remove(job)
            code = job.process.returncode
            done = code == 0 and self._found.state(job.cell).word == "done"
            job.claim.release()
            if done:
                self._done += 1
                self._seconds.append((job.cell, job.seconds))
                self._shown.tell(f"{job.cell.label}: done in {job.seconds:.0f} s.", self._counts())
            else:
                self._died(job, code)

    def _died(self, job: Job, code: int) -> None:
        """Tell of a death; the first gets another try, unless the command itself was refused."""
        self._deaths[job.cell.digest] += 1
        again = self._deaths[job.cell.digest] < _ATTEMPTS and code != _WRONG_USE
        words = job.last_words()
        if again:
            self._queue.append(job.cell)
        else:
            self._failed.append(Failure(job.cell, code, words, command(self._place.train(job.cell))))
        self._shown.tell(
            f"{job.cell.label}: {_how(code)} after {job.seconds:.0f} s; "
            f"{'it is tried once more' if again else 'given up'}. Its last words, from {job.log}:\n{words}",
            self._counts(),
        )

    def _end(self) -> None:
        """Ask what still runs to checkpoint and stop, and wait for it; a second signal to this process kills it."""
        try:
            for job in self._running:
                job.process.terminate()
            for job in self._running:
                job.process.wait()
        finally:
            for job in self._running:
                job.process.kill()  # nothing happens to one that has ended
                if job.process.wait() == 0:
                    self._done += 1
                else:
                    self._queue.append(job.cell)
                job.claim.release()
            self._running.clear()

    def _counts(self) -> Counts:
        return Counts(self._total, self._done, len(self._running), len(self._failed), self._left())

    def _left(self) -> float | None:
        """Seconds to go: each cell costs what cells of its recipe did so far, else of its plugin, else any."""
        waiting = [*self._queue, *self._elsewhere]
        if not self._seconds:
            return None if waiting or self._running else 0.0
        total = sum(self._expected(cell) for cell in waiting)
        total += sum(max(self._expected(job.cell) - job.seconds, 0.0) for job in self._running)
        return total / self._jobs

    def _expected(self, cell: Cell) -> float:
        for same in (
            lambda other: (other.plugin, other.recipe) == (cell.plugin, cell.recipe),
            lambda other: other.plugin == cell.plugin,
            lambda other: True,
        ):
            known = [seconds for other, seconds in self._seconds if same(other)]
            if known:
                return sum(known) / len(known)
        return 0.0


def _how(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return "ended without scores" if code == 0 else f"died with exit code {code}"
