"""From options to the data of a run: read, scale, hold out, split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sslplug.contracts import DataContext, Fault, Task, listed
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_graph.data.block_model import block_model, block_model_graphs
from sslplug_graph.data.catalogue import SOURCES
from sslplug_graph.data.digits import read_digits
from sslplug_graph.data.download import locate, prove
from sslplug_graph.data.files import Columns, read_files, reading
from sslplug_graph.data.graph_data import BigGraph, SmallGraphs
from sslplug_graph.data.graph_set import FloatMatrix, GraphSet
from sslplug_graph.data.npz_graphs import read_npz_graph
from sslplug_graph.data.options import (
    DegreeGraphOptions,
    DigitsOptions,
    FileOptions,
    GeneratedGraphOptions,
    GeneratedNodeOptions,
    LabelGraphOptions,
    NodeOptions,
)
from sslplug_graph.data.planetoid import read_planetoid
from sslplug_graph.data.preprocessing import Scaling, fit, scale
from sslplug_graph.data.tudataset import read_tudataset
from sslplug_graph.tasks import graph_task, link_task, node_task, random_splits


def named_nodes(key: str) -> Callable[[NodeOptions, DataContext], BigGraph]:
    """The builder of a named node-level set."""
    source = SOURCES[key]

    def build(options: NodeOptions, context: DataContext) -> BigGraph:
        folder = locate(source, context)
        if source.content is None:
            digests = {file: digest for file, digest in source.files.items() if digest is not None}
            return big_graph(read_planetoid(folder, key, digests, source.title), options, context)
        graphs = read_npz_graph(folder / next(iter(source.files)), source.title)
        prove(source, graphs.sha256, folder)
        return big_graph(graphs, options, context)

    return build


def named_graphs(key: str) -> Callable[[LabelGraphOptions | DegreeGraphOptions, DataContext], SmallGraphs]:
    """The builder of a named graph-level set."""
    source = SOURCES[key]

    def build(options: LabelGraphOptions | DegreeGraphOptions, context: DataContext) -> SmallGraphs:
        folder = locate(source, context)
        usual: Literal["labels", "degree"] = "degree" if key == "imdb-binary" else "labels"
        graphs = read_tudataset(folder, source.title, usual)
        prove(source, graphs.sha256, folder)
        if options.features != usual:
            graphs = read_tudataset(folder, source.title, options.features)
        return small_graphs(graphs, options.folds, options.repeats, context)

    return build


def build_digits(options: DigitsOptions, context: DataContext) -> BigGraph:
    """The digits graph."""
    return big_graph(read_digits(options.neighbours), options, context)


def build_block_model(options: GeneratedNodeOptions, context: DataContext) -> BigGraph:
    """One generated graph."""
    o = options
    made = block_model(o.nodes, o.classes, o.width, o.degree, o.homophily, o.noise, Rng.root(context.seed))
    return big_graph(made, options, context)


def build_block_model_graphs(options: GeneratedGraphOptions, context: DataContext) -> SmallGraphs:
    """Many generated graphs."""
    made = block_model_graphs(options.graphs, options.nodes, options.degree, Rng.root(context.seed))
    return small_graphs(made, options.folds, options.repeats, context)


def build_files(options: FileOptions, context: DataContext) -> BigGraph | SmallGraphs:
    """A user's own data; a relative path is looked up from here, then below the data root."""
    path, columns = _own(options, context)
    graphs = read_files(path, columns, options.undirected, labelled=context.fitted is None)
    if graphs.level == "node":
        return big_graph(graphs, options, context)
    return small_graphs(graphs, options.folds, options.repeats, context, scaling=options.features)


def faults_of_files(options: FileOptions, context: DataContext) -> Iterator[Fault]:
    """Everything wrong with a user's own files."""
    path, columns = _own(options, context)
    return listed(reading(path, columns, options.undirected, labelled=context.fitted is None))


def _own(options: FileOptions, context: DataContext) -> tuple[Path, Columns]:
    places = [options.path] + ([context.root / options.path] if context.root is not None else [])
    path = next((place for place in places if place.exists()), None)
    if path is None:
        raise DataError(f"data.path: {' and '.join(map(str, places))} do not exist; give a folder or a .npz file.")
    c, fitted = options.columns, context.fitted
    # Who embeds with a trained encoder asks for the features it was trained on, and for no label.
    features = c.features if fitted is None else tuple(fitted.get("columns", c.features))
    return path, Columns(c.source, c.target, c.id, c.label, c.graph, features)


def big_graph(graphs: GraphSet, options: NodeOptions, context: DataContext) -> BigGraph:
    """Scales features, makes the tasks and, for link prediction, takes the held-out links out of the graph."""
    rng, edges = Rng.root(context.seed), graphs.edges
    tasks: dict[str, Task] = {}
    if graphs.labels is not None and (graphs.labels >= 0).any():
        if options.split == "public":
            if graphs.public is None:
                raise UsageError(f"data.split is 'public', but {graphs.name} comes without a split; use 'random'.")
            splits, protocol = [graphs.public], "public"
        else:
            train, val = options.train_share, options.val_share
            splits = random_splits(graphs.labels, options.num_splits, train, val, rng)
            protocol = f"random {100 * train:g}/{100 * val:g}/{100 * (1 - train - val):g}"
        tasks["node-class"] = node_task(graphs.labels, splits, protocol, graphs.classes, drawn=options.split == "random")
    notes = list(graphs.notes)
    if options.link:
        links = link_task(edges, graphs.nodes, rng)
        tasks["link"], edges = links.task, links.edges
        notes.append("the link task's validation and test links are not in the graph, for every task of the run")
    description = describe(graphs, edges, notes, features=options.features, sampling=options.sampling.mode)
    fanouts = options.sampling.fanouts if options.sampling.mode == "neighbour" else None
    features, fitted = scaled(graphs, options.features, context)
    piece = options.inference_piece or None
    return BigGraph(features, edges, tasks, description, fanouts, fitted, piece, graphs.names)


def small_graphs(
    graphs: GraphSet,
    folds: int,
    repeats: int,
    context: DataContext,
    scaling: Scaling = "raw",
) -> SmallGraphs:
    """Makes the task and the batches of many graphs."""
    tasks: dict[str, Task] = {}
    if graphs.labels is not None and (graphs.labels >= 0).any():
        tasks["graph-class"] = graph_task(graphs.labels, folds, repeats, Rng.root(context.seed), graphs.classes)
    description = describe(graphs, graphs.edges, list(graphs.notes), features=scaling)
    features, fitted = scaled(graphs, scaling, context)
    return SmallGraphs(features, graphs.edges, graphs.graph, graphs.graphs, tasks, description, fitted, graphs.names)


def scaled(graphs: GraphSet, how: Scaling, context: DataContext) -> tuple[FloatMatrix, Mapping[str, Any]]:
    """Scaled features, and what scaled them: what the encoder's own data fitted, else what this data fits."""
    fitted = context.fitted
    if fitted is None:
        fitted = fit(graphs.features, how) | ({"columns": list(graphs.columns)} if graphs.columns else {})
    return scale(graphs.features, how, fitted), fitted


def describe(graphs: GraphSet, edges: np.ndarray, notes: list[str], **preprocessing: Any) -> dict[str, Any]:
    """What the run's record says about its data. ``sha256`` is that of the content as read."""
    sizes = {
        "nodes": graphs.nodes,
        "edges": int(edges.shape[1]),
        "graphs": graphs.graphs,
        "features": graphs.features.shape[1],
    }
    return {"name": graphs.name, **sizes, "preprocessing": preprocessing, "notes": notes, "sha256": graphs.sha256}
