"""GraphCL's views (You et al. 2020): the graphs as they are beside one augmented view, or two augmented views."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sslplug.contracts import Options
from sslplug_graph.spec import GraphSpec
from sslplug_graph.views.attribute_noise import AttributeNoise
from sslplug_graph.views.chain import Chains
from sslplug_graph.views.composed import Augmentation, OneOf
from sslplug_graph.views.edges import EdgeDrop
from sslplug_graph.views.nodes import NodeDrop, Subgraph

Name = Literal["node_drop", "edge_drop", "subgraph", "attribute_noise"]


class GraphclOptions(Options):
    """Which augmentations, one of them drawn for each view and batch."""

    augmentations: list[Name] = Field(
        ["node_drop", "edge_drop", "subgraph", "attribute_noise"], min_length=1, description="equally likely choices"
    )
    both: bool = Field(False, description="augment both views; otherwise the first is the graph itself")
    rate: float = Field(0.1, ge=0, lt=1, description="share of nodes or edges changed, by all but subgraph")
    subgraph_rate: float = Field(0.8, ge=0, lt=1, description="share of nodes a random-walk subgraph leaves out")


def build(options: GraphclOptions, spec: GraphSpec) -> Chains:
    """The views."""
    every: dict[Name, Augmentation] = {
        "node_drop": NodeDrop(rate=options.rate),
        "edge_drop": EdgeDrop(rate=options.rate),
        "subgraph": Subgraph(rate=options.subgraph_rate),
        "attribute_noise": AttributeNoise(rate=options.rate),
    }
    drawn = OneOf(of=[every[name] for name in options.augmentations])
    return Chains(((drawn,) if options.both else (), (drawn,)))
