"""Views as lists of transforms: pairs, any number of views, and the clouds as they are."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import Field

from sslplug.contracts import Options, Tags, View
from sslplug.contracts.steps import check_chain, shares
from sslplug.randomness import Rng
from sslplug_lidar.batch import Clouds
from sslplug_lidar.spec import CloudSpec
from sslplug_lidar.views.grouping import Grouping
from sslplug_lidar.views.groups import GroupOptions
from sslplug_lidar.views.moves import Flip, Rotation, Scale
from sslplug_lidar.views.scene import scene_of, view_of
from sslplug_lidar.views.step import NAMES, Step, apply_chain, chain_of, steps
from sslplug_lidar.views.transform import Transform


class Chains:
    """``views(batch, rng)``: one view a chain, in order, with ``params["motion"]`` (n, 4, 4), what moved each cloud.

    With ``groups``, views bring those that all of them hold.
    """

    def __init__(self, chains: tuple[tuple[Transform, ...], ...], spec: CloudSpec, groups: Grouping | None = None) -> None:
        for chain in chains:
            check_chain(chain, spec)
        self.chains, self.spec, self.groups = chains, spec, groups

    @property
    def rates(self) -> Mapping[str, float]:
        """{"<view>/<transform>": share}."""
        return shares(self.chains, self.spec)

    def __call__(self, batch: Clouds, rng: Rng) -> list[View]:
        """The views of ``batch``."""
        codes = {} if self.groups is None else self.groups.codes(batch)
        views, found = [], []
        for number, chain in enumerate(self.chains):
            scene = apply_chain(chain, scene_of(batch), rng.fork("view", number), self.spec)
            views.append(view_of(scene.clouds, {"motion": scene.motion}))
            found.append({level: code[scene.source] for level, code in codes.items()})
        return views if self.groups is None else self.groups.shared(views, found, rng.fork("groups"))


class Identity:
    """The clouds as they are, with the sweeps before them, as one view."""

    rates: Mapping[str, float] = {}

    def __call__(self, batch: Clouds, rng: Rng) -> list[View]:
        """One clean view."""
        return [view_of(batch)]


class Reordered:
    """The clouds as they are, and with their points from last to first: what encoders that claim "orderless" are held to."""

    rates: Mapping[str, float] = {}

    def __call__(self, batch: Clouds, rng: Rng) -> list[View]:
        """Both orders; nothing is random."""
        first, last = batch.offsets[:-1], batch.offsets[1:] - 1
        place = torch.arange(len(batch.xyz), device=batch.device)
        rows = (first + last).repeat_interleave(batch.lengths, output_size=len(place)) - place
        return [view_of(batch), view_of(batch.choose(rows, batch.offsets))]


class NoOptions(Options):
    """Nothing to choose."""


DEFAULT = steps(Rotation(), Flip(), Scale(low=0.8, high=1.25))


class PairOptions(Options):
    """Two views of each cloud."""

    first: list[Step] = Field(DEFAULT, description=f"transforms of the first view, in order: {', '.join(NAMES)}")
    second: list[Step] | None = Field(None, description="transforms of the second view; unset: as the first")


class GroupedOptions(PairOptions, GroupOptions):
    """Two views of each cloud, and the groups of points that both hold."""


class ComposeOptions(Options):
    """Any number of views of each cloud."""

    views: list[list[Step]] = Field(
        [DEFAULT, DEFAULT], min_length=1, description=f"one list of transforms a view, in order: {', '.join(NAMES)}"
    )


def pair_chains(options: PairOptions) -> tuple[tuple[Transform, ...], ...]:
    """The two lists."""
    return chain_of(options.first), chain_of(options.first if options.second is None else options.second)


def build_pairs(options: PairOptions, spec: CloudSpec) -> Chains:
    """Two views."""
    return Chains(pair_chains(options), spec)


def build_grouped(options: GroupedOptions, spec: CloudSpec) -> Chains:
    """Two views and their groups."""
    return Chains(pair_chains(options), spec, Grouping(options))


def build_compose(options: ComposeOptions, spec: CloudSpec) -> Chains:
    """One view a list."""
    return Chains(tuple(chain_of(chain) for chain in options.views), spec)


def build_identity(options: NoOptions, spec: CloudSpec) -> Identity:
    """The clouds as they are."""
    return Identity()


def build_reordered(options: NoOptions, spec: CloudSpec) -> Reordered:
    """The clouds in two orders."""
    return Reordered()


def compose_tags(options: ComposeOptions) -> Tags:
    """By the number of views."""
    return frozenset(name for name, least in (("pair", 2), ("many", 3)) if len(options.views) >= least)
