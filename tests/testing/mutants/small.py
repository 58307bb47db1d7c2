"""The toy made small, and broken in one place: what every mutant starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from sslplug.contracts import Component, DataContext, Plugin
from sslplug.methods import METHODS
from sslplug.testing import toy_data
from sslplug.testing.toy import TOY

ROWS = 288
"""Rows of the small toy: three views of rows(), two of them of one shape."""

FEW, STEP = 16, 32
"""Instances of the small batches that encoders are checked on, and of a step of the short run. Views that misbehave only
above ``STEP`` are met by the checks that call them on a user's batch, and by nothing else."""


@dataclass(frozen=True)
class Mutant:
    """A plugin broken in one way.

    check   the check that must fail, by id
    words   a regular expression its sentence must hold
    also    further ids that fail of necessity
    """

    check: str
    plugin: Plugin
    words: str
    also: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """The check's table and promise."""
        parts = self.check.split("/")
        return f"{parts[0]}/{parts[-1]}"


def with_data(data: Callable[..., Any], **changes: Any) -> Plugin:
    """The small toy on other data."""

    def build(options: toy_data.ClustersOptions, context: DataContext) -> Any:
        """Broken on purpose."""
        return data(options.model_copy(update={"rows": ROWS, "splits": 2}), context)

    return replace(SMALL, data={"clusters": replace(TOY.data["clusters"], build=build)}, **changes)


def with_views(views: Callable[..., Any], **changes: Any) -> Plugin:
    """The small toy with other crops."""

    def build(options: Any, spec: Any) -> Any:
        """Broken on purpose."""
        return views(options)

    crops = replace(TOY.views["crops"], build=build, **changes)
    return replace(SMALL, views={**SMALL.views, "crops": crops})


def with_encoder(encoder: Callable[..., nn.Module], name: str = "odd") -> Plugin:
    """The small toy with another encoder beside its own, or in its place."""

    def build(options: Any, spec: Any) -> nn.Module:
        """Broken on purpose."""
        return encoder(options, spec)

    return replace(SMALL, encoders={**SMALL.encoders, name: replace(TOY.encoders["cells"], build=build)})


def with_method(wrapped: Callable[[nn.Module], nn.Module]) -> Plugin:
    """The small toy whose method ``joint`` is wrapped."""
    joint = METHODS["joint"]

    def build(options: Any, assembly: Any) -> nn.Module:
        """Broken on purpose."""
        return wrapped(joint.build(options, assembly))

    return replace(SMALL, methods={"joint": replace(joint, build=build)})


def with_objective(objective: Callable[[nn.Module], nn.Module], whole: Plugin) -> Plugin:
    """``whole`` whose objective ``infonce`` is wrapped."""
    from sslplug.objectives import OBJECTIVES

    right = OBJECTIVES["infonce"]

    def build(options: Any, dim: int) -> nn.Module:
        """Broken on purpose."""
        return objective(right.build(options, dim))

    wrong: Component = replace(right, build=build)
    return replace(whole, objectives={"infonce": wrong})


SMALL = replace(
    TOY,
    views={name: TOY.views[name] for name in ("crops", "reordered", "identity")},
    encoders={"cells": TOY.encoders["cells"]},
    traits=frozenset({"labels"}),
)
SMALL = with_data(toy_data.Clusters)
