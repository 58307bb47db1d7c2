"""From the parts that a user's files gave to a graph: what edges and graphs must hold to, and what is handled and said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sslplug.contracts import Faults, Reading
from sslplug_graph.data.graph_set import GraphSet, tidy_edges


@dataclass(frozen=True, eq=False)
class Parts:
    """Nodes and edges as read; letters as in :mod:`sslplug_graph.data.graph_set`.

    ends                  (2, E) int64 places of the nodes
    edge_file, edge_rows  where each edge stands;  node_file, node_rows: where each node stands
    nodes                 (N,) names of the nodes as the user wrote them
    """

    name: str
    features: np.ndarray
    ends: np.ndarray
    edge_file: str
    edge_rows: np.ndarray
    node_file: str
    node_rows: np.ndarray
    nodes: np.ndarray
    columns: tuple[str, ...] = ()
    edge_column: str | None = None

    def edges_wrong(
        self, kind: str, where: np.ndarray, what: str, expected: str, mend: str, harmless: bool = False
    ) -> Faults:
        """Faults of the edges where the mask (E,) is set; ``what`` takes the two nodes' names."""
        places = np.flatnonzero(where)

        def found(k: int) -> str:
            source, target = self.ends[:, places[k]]
            return what.format(repr(str(self.nodes[source])), repr(str(self.nodes[target])))

        return Faults(kind, self.edge_file, found, expected, mend, self.edge_rows[places], self.edge_column, harmless)


def whole_graph(
    parts: Parts,
    undirected: bool,
    labels: np.ndarray | None,
    classes: tuple[str, ...],
    graph: np.ndarray | None = None,
    graphs: Sequence[str] = (),
) -> Reading[GraphSet]:
    """The set of graphs. ``graph`` (N,) is the place in ``graphs`` of each node; None: one big graph."""
    n = len(parts.features)
    level = "node" if graph is None else "graph"
    owner = np.zeros(n, np.int64) if graph is None else graph
    source, target = parts.ends
    crossing = owner[source] != owner[target]
    if crossing.any():
        yield parts.edges_wrong(
            "edge-between-graphs",
            crossing,
            "an edge from {} to {}, nodes of two graphs",
            "both ends in one graph",
            "Mend the node's graph, or drop the edge: the edge joins nodes of two graphs.",
        )
    loops = source == target
    if loops.any():
        yield parts.edges_wrong(
            "self-loop", loops, "an edge from {} to {}, itself", "an edge between two nodes", "It is removed.", harmless=True
        )
    yield from _repeats(parts, loops | crossing, undirected)
    if graph is not None and len(graphs):
        sizes = np.bincount(owner, minlength=len(graphs))
        single = np.flatnonzero(sizes[owner] == 1)
        if len(single):
            yield Faults(
                "graph-of-one-node",
                parts.node_file,
                lambda k: f"node {str(parts.nodes[single[k]])!r}, alone in graph {graphs[owner[single[k]]]!r}",
                "graphs of several nodes",
                "It is kept; its embedding is that of its node.",
                parts.node_rows[single],
                harmless=True,
            )
    kept = ~crossing
    edges = tidy_edges(source[kept], target[kept], n, undirected)
    alone = np.ones(n, bool)
    alone[edges.ravel()] = False
    if not edges.size:
        yield Faults(
            "no-edge", parts.edge_file, "no edge", "edges between nodes", "Every node sees only itself.", harmless=True
        )
    elif alone.any():
        at = np.flatnonzero(alone)
        yield Faults(
            "isolated-node",
            parts.node_file,
            lambda k: f"node {str(parts.nodes[at[k]])!r} without an edge",
            "an edge for each node",
            "It is kept, and sees only itself.",
            parts.node_rows[at],
            harmless=True,
        )
    unlabelled = 0 if labels is None else int((labels < 0).sum())
    notes = (
        *(["edges made undirected"] if undirected else []),
        *([f"{unlabelled} rows have no label"] if unlabelled else []),
    )
    order = np.argsort(owner, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(n)
    if level == "graph":
        edges = tidy_edges(place[edges[0]], place[edges[1]], n, False)
    names = {"node": parts.nodes[order].tolist()} | ({} if graph is None else {"graph": list(graphs)})
    return GraphSet(
        parts.name,
        parts.features[order],
        edges,
        owner[order],
        1 if graph is None else len(graphs),
        labels,
        level,
        classes,
        None,
        notes,
        parts.columns,
        names,
    )


def _repeats(parts: Parts, apart: np.ndarray, undirected: bool) -> Reading[None]:
    """Edges that stand twice, and, in an undirected graph, edges that stand both ways."""
    n, (source, target) = len(parts.features), parts.ends
    where = np.flatnonzero(~apart)
    code = source[where] * n + target[where]
    _, first, place = np.unique(code, return_index=True, return_inverse=True)
    again = np.zeros(len(source), bool)
    again[where] = first[place] != np.arange(len(where))
    if again.any():
        yield parts.edges_wrong(
            "repeated-edge", again, "the edge from {} to {} again", "each edge once", "It counts once.", harmless=True
        )
    if not undirected or not len(first):
        return
    back = target[where] * n + source[where]
    earlier = np.searchsorted(code[first], back)  # codes of first places are sorted
    known = earlier < len(first)
    known[known] = code[first][earlier[known]] == back[known]
    if known.all():
        yield Faults(
            "edges-both-ways",
            parts.edge_file,
            "every edge in both directions",
            "each edge of an undirected graph once",
            "They are read alike.",
            harmless=True,
        )
    elif known.any():
        second = np.zeros(len(source), bool)
        second[where[known]] = first[np.minimum(earlier, len(first) - 1)][known] < np.arange(len(where))[known]
        yield parts.edges_wrong(
            "edge-both-ways",
            second & ~again,
            "the edge from {} to {}, which stands the other way round already",
            "each edge of an undirected graph once",
            "It counts once.",
            harmless=True,
        )
