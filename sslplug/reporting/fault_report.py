"""The faults of a user's data as a person reads them: by kind, some of each in words, the rest counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sslplug.contracts import Fault


@dataclass
class Kind:
    """Faults of one kind: how many there are, and the first of them."""

    count: int = 0
    shown: list[Fault] = field(default_factory=list)


class FaultReport:
    """Faults as they are found. Holds at most ``limit`` of a kind, however many there are.

    data   what was looked at, as the summary names it
    """

    def __init__(self, data: str, limit: int) -> None:
        self.data, self._limit = data, limit
        self.kinds: dict[tuple[str, bool], Kind] = {}

    def add(self, faults: Iterable[Fault]) -> None:
        """Takes faults in."""
        for fault in faults:
            kind = self.kinds.setdefault((fault.kind, fault.harmless), Kind())
            kind.count += 1
            if len(kind.shown) < self._limit:
                kind.shown.append(fault)

    @property
    def refused(self) -> int:
        """How many faults training refuses."""
        return sum(kind.count for (_, harmless), kind in self.kinds.items() if not harmless)

    @property
    def told(self) -> int:
        """How many faults training goes on with."""
        return sum(kind.count for (_, harmless), kind in self.kinds.items() if harmless)

    def lines(self) -> Iterator[str]:
        """What to print: what training refuses first, each kind under a heading, and the summary as the last line."""
        for (name, harmless), kind in sorted(self.kinds.items(), key=lambda item: item[0][1]):
            yield f"{name}: {kind.count}, {'training goes on' if harmless else 'training would refuse'}"
            for fault in kind.shown:
                yield f"  {fault}"
            if kind.count > len(kind.shown):
                yield f"  and {kind.count - len(kind.shown)} more of this kind"
        yield self.summary()

    def summary(self) -> str:
        """One line: whether training would start, and with how many faults."""
        told = f"{_faults(self.told)} that training goes on with" if self.told else ""
        if self.refused:
            rest = f", and {told}" if told else ""
            return f"{self.data}: training would refuse it for {_faults(self.refused)}{rest}."
        return f"{self.data}: training would start; {told or 'no fault'}."


def _faults(count: int) -> str:
    return "1 fault" if count == 1 else f"{count} faults"
