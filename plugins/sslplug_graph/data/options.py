"""What a recipe can say about graph data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sslplug.contracts import Options
from sslplug_graph.data.preprocessing import Scaling
from sslplug_graph.data.tudataset import NodeFeatures

Share = Annotated[float, Field(gt=0, lt=1)]


class Sampling(Options):
    """How training batches are made of one big graph."""

    mode: Literal["full", "neighbour"] = Field("full", description="full: the whole graph is the batch; neighbour: sampled")
    fanouts: tuple[Annotated[int, Field(ge=-1)], ...] = Field((10, 10), description="neighbours per hop, -1 for all")


class NodeOptions(Options):
    """One big graph with node classes."""

    features: Scaling = Field("row-normalised", description="row-normalised, raw or standardised node features")
    split: Literal["public", "random"] = Field(
        "random", description="the published split, where there is one, or random ones"
    )
    num_splits: int = Field(20, ge=1, description="number of random splits")
    train_share: Share = Field(0.1, description="share of labelled nodes for training the probe")
    val_share: Share = Field(0.1, description="share for choosing the probe's strength")
    link: bool = Field(False, description="hold links out of the graph and add the task of predicting them")
    sampling: Sampling = Field(default_factory=Sampling, description="how training batches are made")
    inference_piece: int = Field(0, ge=0, description="nodes of a layer computed at once in evaluation; 0: all")

    @model_validator(mode="after")
    def _shares_leave_a_test_part(self) -> NodeOptions:
        if self.train_share + self.val_share >= 1:
            raise ValueError("train_share + val_share must leave rows for the test part")
        return self


class PublicNodeOptions(NodeOptions):
    """A graph that comes with a public split."""

    split: Literal["public", "random"] = Field("public", description="the published split, or random ones")


class DigitsOptions(NodeOptions):
    """The digits graph."""

    features: Scaling = Field("raw", description="row-normalised, raw (pixels in 0..1) or standardised node features")
    neighbours: int = Field(10, ge=1, le=100, description="nearest neighbours each image is joined to")
    num_splits: int = Field(5, ge=1, description="number of random splits")


class GraphOptions(Options):
    """Many small graphs with graph classes."""

    folds: int = Field(10, ge=2, description="folds of the stratified cross-validation")
    repeats: int = Field(1, ge=1, description="how often the cross-validation is repeated with another shuffle")


class LabelGraphOptions(GraphOptions):
    """Graphs with node labels."""

    features: NodeFeatures = Field("labels", description="labels, attributes, labels+attributes, degree or constant")


class DegreeGraphOptions(GraphOptions):
    """Graphs without node labels."""

    features: Literal["degree", "constant"] = Field("degree", description="one-hot degree (at most 400), or a constant 1")


class GeneratedNodeOptions(NodeOptions):
    """A stochastic block model."""

    features: Scaling = Field("raw", description="how features are scaled")
    num_splits: int = Field(5, ge=1, description="number of random splits")
    nodes: int = Field(600, ge=20, description="nodes")
    classes: int = Field(4, ge=2, description="planted classes")
    width: int = Field(16, ge=1, description="columns of the node features")
    degree: float = Field(10.0, gt=0, description="mean degree, before duplicates are removed")
    homophily: float = Field(0.8, ge=0, le=1, description="share of links drawn within the class")
    noise: float = Field(3.0, ge=0, description="noise of the features, in units of the spread of class centres")


class GeneratedGraphOptions(GraphOptions):
    """Block model graphs: one community or two."""

    graphs: int = Field(200, ge=4, description="graphs")
    nodes: int = Field(24, ge=8, description="mean nodes a graph")
    degree: float = Field(5.0, gt=0, description="mean degree, before duplicates are removed")


class FileColumns(Options):
    """Names of the columns in a user's tables."""

    source: str = Field("source", description="edge table: start of the edge")
    target: str = Field("target", description="edge table: end of the edge")
    id: str = Field("id", description="node table: the node's id, a number or a word")
    label: str = Field("label", description="node table (one graph) or graph table (many): the class; may be missing")
    graph: str | None = Field(None, description="node table: the graph of each node; unset: one big graph")
    features: tuple[str, ...] = Field((), description="node table: feature columns; empty: all others")


class FileOptions(NodeOptions):
    """A user's own graph or graphs."""

    path: Path = Field(description="folder with edges.*, nodes.* and maybe graphs.* (.parquet or .csv), or a .npz")
    columns: FileColumns = Field(default_factory=FileColumns, description="names of columns")
    undirected: bool = Field(True, description="store every edge in both directions")
    features: Scaling = Field("standardised", description="how features are scaled")
    folds: int = Field(10, ge=2, description="many graphs: folds of the stratified cross-validation")
    repeats: int = Field(1, ge=1, description="many graphs: repeats of the cross-validation")
