"""Views as lists of transforms: the shared mechanism of pairs, any number of views, and negatives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import Field

from sslplug.contracts import Options, Tags, View
from sslplug.contracts.steps import check_chain, shares
from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Windows, clean_view
from sslplug_sequence.signals.spec import SignalSpec
from sslplug_sequence.signals.views.noise import Scaling, UniformNoise
from sslplug_sequence.signals.views.step import NAMES, Step, apply, chain_of, steps
from sslplug_sequence.signals.views.transform import Transform
from sslplug_sequence.signals.views.turning import Rotation


@dataclass(frozen=True)
class Chains:
    """``views(batch, rng)``: one view a chain, in order; every present window and device is a row of each.

    roles  the role of each view
    """

    chains: tuple[tuple[Transform, ...], ...]
    roles: tuple[str, ...]
    spec: SignalSpec

    def __post_init__(self) -> None:
        for chain in self.chains:
            check_chain(chain, self.spec)

    @property
    def rates(self) -> Mapping[str, float]:
        """{"<view>/<transform>": share}."""
        return shares(self.chains, self.spec)

    def __call__(self, batch: Windows, rng: Rng) -> list[View]:
        """The views of ``batch``."""
        clean = clean_view(batch)
        numbers = clean.ids["window"]
        views = []
        for number, (chain, role) in enumerate(zip(self.chains, self.roles, strict=True)):
            data = apply(chain, clean.data, numbers, rng.fork("view", number), self.spec)
            views.append(replace(clean, data=data, role=role))
        return views


class NoOptions(Options):
    """Nothing to choose."""


class PairOptions(Options):
    """Two views. SimCLR-HAR's best: rotation and scaling (Tang et al. 2020)."""

    first: list[Step] = Field(steps(Rotation(), Scaling()), description="transforms of the first view, in order")
    second: list[Step] | None = Field(None, description="transforms of the second view; unset: as the first")


class ComposeOptions(Options):
    """Any number of views."""

    views: list[list[Step]] = Field(
        [steps(Rotation(), Scaling()), steps(Rotation(), Scaling())],
        min_length=1,
        description=f"one list of transforms a view, in order; there are {', '.join(NAMES)} (their options: --json-schema)",
    )


class NegativeOptions(Options):
    """Views of the windows beside a corrupted one (CLAN, Wilkie et al. 2025)."""

    views: list[list[Step]] = Field(
        [[]], min_length=1, description="one list of transforms a view; none: the windows as they are"
    )
    negative: list[Step] = Field(
        steps(UniformNoise()), min_length=1, description="transforms of the view that is no view of the same"
    )


def pair_chains(options: PairOptions) -> tuple[tuple[Transform, ...], ...]:
    """The two lists."""
    return chain_of(options.first), chain_of(options.first if options.second is None else options.second)


def build_pairs(options: PairOptions, spec: SignalSpec) -> Chains:
    """Two views."""
    return Chains(pair_chains(options), ("", ""), spec)


def build_compose(options: ComposeOptions, spec: SignalSpec) -> Chains:
    """One view a list."""
    return Chains(tuple(chain_of(chain) for chain in options.views), ("",) * len(options.views), spec)


def build_identity(options: NoOptions, spec: SignalSpec) -> Chains:
    """The windows as they are."""
    return Chains(((),), ("",), spec)


def build_negatives(options: NegativeOptions, spec: SignalSpec) -> Chains:
    """The views, and last the negative one."""
    chains = (*(chain_of(chain) for chain in options.views), chain_of(options.negative))
    return Chains(chains, (*("",) * len(options.views), "negative"), spec)


def counted(views: int) -> Tags:
    """What so many views of the same windows bring."""
    return frozenset(name for name, least in (("pair", 2), ("many", 3)) if views >= least)


def compose_tags(options: ComposeOptions) -> Tags:
    """By the number of views."""
    return counted(len(options.views))


def negative_tags(options: NegativeOptions) -> Tags:
    """Negatives, and what the others are."""
    return counted(len(options.views)) | {"negatives"}
