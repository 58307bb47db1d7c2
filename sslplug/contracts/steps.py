"""Lists of named transforms, as recipes write them: ``- {name: rotation, degrees: 30}``. Which there are is a plugin's business."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from pydantic import ConfigDict, RootModel

S = TypeVar("S", contravariant=True)


class Changes(Protocol[S]):
    """A transform: its name, whether it fits the data's spec, and the share that it changes."""

    @property
    def name(self) -> str:
        """What recipes call it."""

    def check(self, spec: S) -> None:
        """Raises UsageError where data of this spec cannot be changed so."""

    def share(self, spec: S) -> float:
        """The share that is changed."""


T = TypeVar("T")


class AnyStep(RootModel[T], Generic[T]):
    """One transform of a union whose discriminator is ``name``: it says which options there are. To be subclassed once a plugin."""

    model_config = ConfigDict(frozen=True)

    def __repr__(self) -> str:
        """As a recipe writes it, without what is as by default."""
        root: Any = self.root
        written = root.model_dump(exclude_defaults=True) | {"name": root.name}
        return "{" + ", ".join(f"{key}: {written[key]}" for key in sorted(written, key=lambda key: key != "name")) + "}"

    __str__ = __repr__


def step_names(union: Any) -> tuple[str, ...]:
    """What a step may be called: the names of the transforms of ``Annotated[A | B, Field(discriminator="name")]``."""
    return tuple(kind.model_fields["name"].default for kind in typing.get_args(typing.get_args(union)[0]))


def check_chain(chain: Sequence[Changes[S]], spec: S) -> None:
    """Raises UsageError where a transform does not fit the data."""
    for transform in chain:
        transform.check(spec)


def shares(chains: Sequence[Sequence[Changes[S]]], spec: S) -> dict[str, float]:
    """{"<view>/<transform>": share that is changed}."""
    return {f"{number}/{step.name}": step.share(spec) for number, chain in enumerate(chains) for step in chain}
