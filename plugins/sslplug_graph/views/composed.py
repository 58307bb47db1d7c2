"""Every transform by name, and views composed of them freely."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field

from sslplug.contracts import Options, Tags, View
from sslplug.randomness import Rng
from sslplug_graph.spec import GraphSpec
from sslplug_graph.views.adaptive import AdaptiveEdgeDrop, AdaptiveFeatureMask
from sslplug_graph.views.attribute_noise import AttributeNoise
from sslplug_graph.views.chain import Chains, chain_tags
from sslplug_graph.views.corruption import Corruption
from sslplug_graph.views.diffusion import Diffusion
from sslplug_graph.views.edges import EdgeAdd, EdgeDrop
from sslplug_graph.views.feature_mask import FeatureMask
from sslplug_graph.views.masking import NodeMask
from sslplug_graph.views.nodes import NodeDrop, Subgraph
from sslplug_graph.views.transform import Transform

_Change = (
    EdgeDrop
    | EdgeAdd
    | FeatureMask
    | NodeDrop
    | Subgraph
    | AttributeNoise
    | AdaptiveEdgeDrop
    | AdaptiveFeatureMask
    | Diffusion
)
Augmentation = Annotated[_Change, Field(discriminator="name")]


class OneOf(Transform):
    """One of several transforms, drawn anew for each batch."""

    moves_rows = True

    name: Literal["one_of"] = "one_of"
    of: list[Augmentation] = Field(min_length=1, description="the transforms to choose from, equally likely")

    def __call__(self, view: View, rng: Rng) -> View:
        """The view changed by the one that was drawn."""
        drawn = int(torch.randint(len(self.of), (), generator=rng.fork("choice").torch(), device="cpu"))
        return self.of[drawn](view, rng)


Step = Annotated[_Change | Corruption | NodeMask | OneOf, Field(discriminator="name")]


class ComposeOptions(Options):
    """Views as lists of transforms: ``[[{name: edge_drop, rate: 0.2}], [{name: diffusion}]]``."""

    views: list[list[Step]] = Field(
        [[EdgeDrop(rate=0.2), FeatureMask(rate=0.3)], [EdgeDrop(rate=0.4), FeatureMask(rate=0.4)]],
        min_length=1,
        description="one list of transforms a view, applied in order",
    )


def chains(options: ComposeOptions) -> tuple[tuple[Transform, ...], ...]:
    """One chain a view."""
    return tuple(tuple(chain) for chain in options.views)


def build(options: ComposeOptions, spec: GraphSpec) -> Chains:
    """The views."""
    return Chains(chains(options))


def provides(options: ComposeOptions) -> Tags:
    """What the chains bring."""
    return chain_tags(chains(options))


def outputs(options: ComposeOptions, spec: GraphSpec) -> dict[str, int]:
    """The width of masked features, if any chain masks."""
    return {"features": spec.num_features} if "masks" in provides(options) else {}
