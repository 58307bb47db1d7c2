"""Heads from the rows of events to what views ask about them: categories, numbers, time gaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, Options, View
from sslplug_sequence.events.spec import EventSpec


class FieldHeadOptions(Options):
    """The decoder of single events."""

    hidden: int = Field(64, ge=0, description="width of a hidden layer that all fields share; 0: none")


class FieldHeads(nn.Module):
    """A shared hidden layer and one linear head a field. A head is computed when its prediction is asked for."""

    def __init__(self, options: FieldHeadOptions, spec: EventSpec, width: int) -> None:
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(width, options.hidden), nn.GELU()) if options.hidden else nn.Identity()
        self.fields = tuple(spec.target_widths())
        inner = options.hidden or width
        self.heads = nn.ModuleDict({_key(name): nn.Linear(inner, size) for name, size in spec.target_widths().items()})

    def of(self, states: Tensor) -> Mapping[str, Tensor]:
        """{field: (k, width)} for (k, d) states, one hidden layer for all fields."""
        hidden = self.shared(states)
        return {name: self.heads[_key(name)](hidden) for name in self.fields}

    def forward(self, view: View, embedding: Embedding) -> Mapping[str, Tensor]:
        """{target: (k, width)} for the rows of each of the view's targets that is a field of events."""

        def predict(name: str) -> Tensor:
            rows, states = view.targets[name].rows, embedding["event"]
            out: Tensor = self.heads[_key(name)](self.shared(states if rows is None else states[rows]))
            return out

        return _WhenAsked({name for name in view.targets if name in self.fields}, predict)


class _WhenAsked(Mapping[str, Tensor]):
    """A mapping whose values are computed when they are read."""

    def __init__(self, names: set[str], make: Callable[[str], Tensor]) -> None:
        self._names, self._make = names, make

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _key(name: str) -> str:
    """ModuleDict refuses dots and the names of its own methods."""
    return f"of_{name}".replace(".", "_")


def build(options: FieldHeadOptions, spec: EventSpec, dims: Mapping[str, int]) -> FieldHeads:
    """Heads on the event level."""
    return FieldHeads(options, spec, dims["event"])
