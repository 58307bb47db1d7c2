"""The embedded default: scikit-learn's handwritten digits as a 10-nearest-neighbour graph. Real data, no file needed."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from sslplug_graph.data.graph_set import GraphSet, tidy_edges


def read_digits(neighbours: int = 10) -> GraphSet:
    """1,797 nodes (8 x 8 images); features: the 64 pixels, scaled from 0..16 to 0..1; label: the digit.

    Edges join each image to its ``neighbours`` nearest by Euclidean distance of the pixels, in both directions. The graph is
    thus made from the features and adds no information to them.
    """
    pixels, labels = load_digits(return_X_y=True)
    features = (pixels / 16).astype(np.float32)
    nodes = len(features)
    near = NearestNeighbors(n_neighbors=neighbours + 1).fit(pixels).kneighbors(pixels, return_distance=False)
    edges = tidy_edges(np.repeat(np.arange(nodes), neighbours + 1), near.ravel(), nodes, undirected=True)
    return GraphSet(
        name="digits",
        features=features,
        edges=edges,
        graph=np.zeros(nodes, np.int64),
        graphs=1,
        labels=labels.astype(np.int64),
        level="node",
        classes=tuple(str(digit) for digit in range(10)),
        notes=(f"the graph is built from the features: {neighbours} nearest neighbours, symmetrised",),
    )
