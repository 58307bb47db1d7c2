"""Generated graphs with planted classes (stochastic block model, Holland et al. 1983), for tests and for scaling curves."""

from __future__ import annotations

import numpy as np

from sslplug.randomness import Rng
from sslplug_graph.data.graph_set import GraphSet, isolated_note, tidy_edges
from sslplug_graph.data.tudataset import one_hot_degree


def block_model(
    nodes: int, classes: int, features: int, degree: float, homophily: float, noise: float, rng: Rng
) -> GraphSet:
    """One graph. A node's class is uniform; of its about ``degree`` links a share ``homophily`` is drawn within its class,
    the rest over all nodes. Features: the class's centre (standard normal) plus ``noise`` x standard normal.

    Linear in nodes and links: links are drawn, not tested pair by pair, so a million nodes take seconds.
    """
    generator = rng.fork("block-model").numpy()
    label = generator.integers(classes, size=nodes)
    members = np.argsort(label, kind="stable")
    sizes = np.bincount(label, minlength=classes)
    starts = np.cumsum(sizes) - sizes
    links = int(nodes * degree / 2)
    source = generator.integers(nodes, size=links)
    inside = generator.random(links) < homophily
    own = label[source]
    target = np.where(
        inside,
        members[starts[own] + (generator.random(links) * sizes[own]).astype(np.int64)],
        generator.integers(nodes, size=links),
    )
    centres = generator.standard_normal((classes, features), dtype=np.float32)
    values = centres[label] + noise * generator.standard_normal((nodes, features), dtype=np.float32)
    edges = tidy_edges(source, target, nodes, undirected=True)
    return GraphSet(
        name="sbm",
        features=values.astype(np.float32),
        edges=edges,
        graph=np.zeros(nodes, np.int64),
        graphs=1,
        labels=label.astype(np.int64),
        level="node",
        notes=("generated: stochastic block model", *isolated_note(edges, nodes)),
    )


def block_model_graphs(graphs: int, nodes: int, degree: float, rng: Rng) -> GraphSet:
    """``graphs`` graphs of about ``nodes`` nodes. Class 0: links anywhere; class 1: links within two equal communities.

    Both classes have the same expected number of links, so counting them tells nothing; node features are one-hot degrees.
    """
    generator = rng.fork("block-model-graphs").numpy()
    label = np.arange(graphs) % 2
    sizes = generator.integers(max(nodes - nodes // 4, 4), nodes + nodes // 4 + 1, size=graphs)
    graph = np.repeat(np.arange(graphs), sizes)
    starts = np.cumsum(sizes) - sizes
    links = np.repeat(np.arange(graphs), (sizes * degree / 2).astype(np.int64))
    half = sizes[links] // 2
    side = generator.integers(2, size=len(links))
    planted = label[links] == 1
    low = np.where(planted & (side == 1), half, 0)
    width = np.where(planted, np.where(side == 1, sizes[links] - half, half), sizes[links])
    ends = starts[links] + low + (generator.random((2, len(links))) * width).astype(np.int64)
    total = int(sizes.sum())
    edges = tidy_edges(ends[0], ends[1], total, undirected=True)
    return GraphSet(
        name="sbm-graphs",
        features=one_hot_degree(edges, total),
        edges=edges,
        graph=graph,
        graphs=graphs,
        labels=label.astype(np.int64),
        level="graph",
        classes=("one community", "two communities"),
        notes=("generated: block model graphs", "node features: degree", *isolated_note(edges, total)),
    )
