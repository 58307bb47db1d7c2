"""Signals: SIGTERM and Ctrl-C ask a run to finish its step and checkpoint; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether a signal came, and which."""

    def __init__(self) -> None:
        self.signal_number = 0

    def __call__(self) -> bool:
        """True once a signal came."""
        return self.signal_number != 0


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Catch SIGTERM and SIGINT while open; only the main thread may install handlers, other threads listen to nothing."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(number: int, frame: FrameType | None) -> None:
        if request():
            raise KeyboardInterrupt
        request.signal_number = number

    former = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
