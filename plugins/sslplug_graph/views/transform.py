"""What every change of a view is: options, what is declared of it, and the change itself."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from sslplug.contracts import Options, Tags, View
from sslplug.randomness import Rng

Share = Annotated[float, Field(ge=0, le=1)]


class Transform(Options):
    """One change of a view. ``transform(view, rng) -> View`` never writes into what it gets.

    changes     what is changed, the key of the declared rate; "" where there is no rate
    moves_rows  whether rows may be dropped, so that views are matched by ids
    brings      tags of the views it makes: ``negatives``, ``masks``, ``target:features``
    """

    changes: ClassVar[str] = ""
    moves_rows: ClassVar[bool] = False
    brings: ClassVar[Tags] = frozenset()

    name: str

    @property
    def share(self) -> float:
        """The share that is changed, 1 where there is no rate."""
        return 1.0

    @abstractmethod
    def __call__(self, view: View, rng: Rng) -> View:
        """The changed view."""


class Rated(Transform):
    """A change of a share ``rate`` of something; none at rate 0, which draws nothing."""

    rate: float

    @property
    def share(self) -> float:
        """The rate."""
        return self.rate

    def __call__(self, view: View, rng: Rng) -> View:
        """The changed view."""
        return self.change(view, rng.torch(view.data.device)) if self.rate else view

    @abstractmethod
    def change(self, view: View, generator: torch.Generator) -> View:
        """The view changed at a rate above 0."""
