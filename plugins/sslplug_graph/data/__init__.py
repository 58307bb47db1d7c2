"""The graph plugin's data sets: ``DATA`` is the table a recipe's ``data.name`` chooses from."""

from __future__ import annotations

from collections.abc import Mapping

from sslplug.contracts import Component
from sslplug_graph.data.builders import (
    build_block_model,
    build_block_model_graphs,
    build_digits,
    build_files,
    faults_of_files,
    named_graphs,
    named_nodes,
)
from sslplug_graph.data.options import (
    DegreeGraphOptions,
    DigitsOptions,
    FileOptions,
    GeneratedGraphOptions,
    GeneratedNodeOptions,
    LabelGraphOptions,
    NodeOptions,
    PublicNodeOptions,
)

DATA: Mapping[str, Component] = {
    "digits": Component(DigitsOptions, build_digits, "1,797 handwritten digits, 10 nearest neighbours; real and offline"),
    "cora": Component(PublicNodeOptions, named_nodes("cora"), "Cora: 2,708 papers, 5,278 citations, 7 classes"),
    "citeseer": Component(PublicNodeOptions, named_nodes("citeseer"), "CiteSeer: 3,327 papers, 4,552 citations, 6 classes"),
    "dblp": Component(NodeOptions, named_nodes("dblp"), "DBLP: 17,716 papers, 52,867 citations, 4 classes"),
    "photo": Component(NodeOptions, named_nodes("photo"), "Amazon Photo: 7,650 goods, 119,081 co-purchases, 8 classes"),
    "computers": Component(NodeOptions, named_nodes("computers"), "Amazon Computers: 13,752 goods, 245,861 co-purchases"),
    "cs": Component(NodeOptions, named_nodes("cs"), "Coauthor CS: 18,333 authors, 81,894 links, 15 classes"),
    "mutag": Component(LabelGraphOptions, named_graphs("mutag"), "MUTAG: 188 molecules, 2 classes"),
    "proteins": Component(LabelGraphOptions, named_graphs("proteins"), "PROTEINS: 1,113 proteins, 2 classes"),
    "nci1": Component(LabelGraphOptions, named_graphs("nci1"), "NCI1: 4,110 molecules, 2 classes"),
    "imdb-binary": Component(DegreeGraphOptions, named_graphs("imdb-binary"), "IMDB-BINARY: 1,000 networks of actors"),
    "sbm": Component(GeneratedNodeOptions, build_block_model, "generated: one graph with planted node classes"),
    "sbm-graphs": Component(GeneratedGraphOptions, build_block_model_graphs, "generated: many graphs with planted classes"),
    "files": Component(
        FileOptions, build_files, "your own graph or graphs: edge and node tables, or .npz", faults=faults_of_files
    ),
}

__all__ = ["DATA"]
