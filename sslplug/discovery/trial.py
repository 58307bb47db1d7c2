"""A plugin imported in another process first: one that hangs, ends the process or changes what all share is found out there.

The process is a fork of this one, so that torch is not imported again; it is killed when its time is up. Where the system cannot
fork, nothing is tried, and an import has the guards of :func:`~sslplug.discovery.loading.import_and_check` alone.
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, Any

from sslplug.discovery.announced import Found
from sslplug.discovery.loading import import_and_check, refusal
from sslplug.errors import PluginError

LIMIT = "SSLPLUG_IMPORT_SECONDS"
SECONDS = 30.0
"""What an import may take where LIMIT says nothing else."""
SLOW = 2.0
"""Seconds above which ``sslplug plugins`` says how long the import takes."""


@dataclass(frozen=True)
class Verdict:
    """What a trial found: ``fault`` is empty, or the sentence of the refusal; ``seconds`` is what the import took."""

    fault: str
    summary: str
    seconds: float


def tried(found: Found) -> Verdict:
    """Imports and checks a plugin in a child process; this one stays as it was, whatever the import does.

    An import may do nothing but define: no output, no change of default types, threads, handlers of signals, working directory.
    """
    import sslplug.contracts  # noqa: F401 - and torch with it, here rather than in every child

    if not hasattr(os, "fork"):
        plugin = import_and_check(found)
        return Verdict("", plugin.summary, 0.0)
    limit = _limit()
    ear, mouth = os.pipe()
    with tempfile.TemporaryFile() as printed:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # else the child would hold its own copy of what waits there
        with warnings.catch_warnings():
            # Python warns of forks of processes with threads. The child only imports; if a lock that a thread held hangs it,
            # the limit ends it.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _child(found, mouth, printed)
        os.close(mouth)
        try:
            said = _heard(ear, time.monotonic() + limit)
        finally:
            os.close(ear)
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)  # and whatever the import started
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    advice = f"mend or uninstall {found.distribution}"
    if said is None:
        return Verdict(
            str(refusal(found, f"its import did not end within {limit:g} s", f"{advice}, or give it longer by {LIMIT}")),
            "",
            limit,
        )
    if not said:
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Verdict(str(refusal(found, f"its import ended the whole process ({how})", advice)), "", 0.0)
    return Verdict(**json.loads(said))


def _limit() -> float:
    word = os.environ.get(LIMIT, "")
    try:
        return float(word) if word else SECONDS
    except ValueError as error:
        raise PluginError(f"{LIMIT}={word!r} is no number of seconds; unset it, or give one such as 60.") from error


def _heard(ear: int, until: float) -> bytes | None:
    """What the child said: a line; nothing where it ended without one, None where its time is up."""
    said = b""
    while not said.endswith(b"\n"):
        ready, _, _ = select.select([ear], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return None
        piece = os.read(ear, 65536)
        if not piece:
            return b""
        said += piece
    return said


def _child(found: Found, mouth: int, printed: IO[bytes]) -> None:
    """All that the child does; it never returns."""
    try:
        os.setsid()
        faulthandler.disable()  # a crash is told by the parent
        for descriptor in (1, 2):
            os.dup2(printed.fileno() if descriptor == 1 else os.open(os.devnull, os.O_WRONLY), descriptor)
        # Python's own streams may be a test's or a notebook's; the import's go where they can be looked at.
        sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        verdict = _judged(found, printed)
        os.write(mouth, json.dumps(asdict(verdict)).encode() + b"\n")
    finally:
        os._exit(0)


def _judged(found: Found, printed: IO[bytes]) -> Verdict:
    """In the child: import, check, and look for what else has changed."""
    before, began = _shared(), time.perf_counter()
    try:
        plugin = import_and_check(found)
    except PluginError as error:
        return Verdict(str(error), "", 0.0)
    seconds = time.perf_counter() - began
    after = _shared()
    changed = [what for what in before if before[what] != after[what]]
    if changed:
        reason = f"its import changes {' and '.join(changed)}"
        return Verdict(
            str(refusal(found, reason, "expected an import that only defines: do it where it is needed")), "", 0.0
        )
    assert sys.stdout is not None  # _child opened it
    sys.stdout.flush()
    os.lseek(printed.fileno(), 0, os.SEEK_SET)
    words = os.read(printed.fileno(), 80).decode("utf-8", "replace")
    if words:
        reason = f"its import prints {words.splitlines()[0]!r}"
        return Verdict(str(refusal(found, reason, "expected silence: standard output is a command's answer")), "", 0.0)
    return Verdict("", plugin.summary, seconds)


def _shared() -> dict[str, Any]:
    """What all code of a process shares, and what an import must leave alone."""
    import torch

    return {
        "torch's default type": torch.get_default_dtype(),
        "torch's default device": torch.get_default_device(),
        "torch's number of threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "torch's gradient mode": torch.is_grad_enabled(),
        "torch's choice of deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "the handlers of SIGINT and SIGTERM": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "the working directory": os.getcwd(),
    }
