"""The named data sets: where they lie under the data root, where they come from, and the digests that prove them.

``files`` are sha256 of the files as published. ``content`` is the digest of the graph once parsed (``GraphSet.sha256`` with
the set's default node features): it proves sets that exist in several equal encodings (re-packed archives, line ends).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One named set.

    title    the name the literature uses
    folder   below the data root and below the download cache
    files    {file name: published sha256, or None where only the content is checked}
    url      where each file lies, with ``{file}``; for a ``.zip`` all files lie in it
    content  sha256 of the parsed content, or None where the files' own digests are checked
    """

    title: str
    folder: str
    files: Mapping[str, str | None]
    url: str
    content: str | None = None


def _planetoid(title: str, stem: str, digests: str) -> Source:
    parts = ("allx", "ally", "graph", "test.index", "tx", "ty", "x", "y")
    files = {f"ind.{stem}.{part}": digest for part, digest in zip(parts, digests.split(), strict=True)}
    return Source(
        title,
        f"graph/planetoid/{title}/raw",
        files,
        "https://raw.githubusercontent.com/kimiyoung/planetoid/master/data/{file}",
    )


def _tu(title: str, content: str, *parts: str) -> Source:
    files = {f"{title}_{part}.txt": None for part in ("A", "graph_indicator", "graph_labels", *parts)}
    return Source(
        title, f"graph/tudataset/{title}/raw", files, f"https://www.chrsmrrs.com/graphkerneldatasets/{title}.zip", content
    )


_SHCHUR = "https://raw.githubusercontent.com/shchur/gnn-benchmark/master/data/npz/{file}"
_BOJCHEVSKI = "https://raw.githubusercontent.com/abojchevski/graph2gauss/master/data/{file}"

SOURCES: Mapping[str, Source] = {
    "cora": _planetoid(
        "Cora",
        "cora",
        """9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543
        2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71
        58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d
        297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875
        b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a
        41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad
        23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab
        94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1""",
    ),
    "citeseer": _planetoid(
        "CiteSeer",
        "citeseer",
        """2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668
        f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95
        d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7
        2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4
        539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21
        55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce
        d20de19150741e555de0ed037195630fc194114ebc7fd72ced62810148aa22f6
        8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924""",
    ),
    "photo": Source(
        "Photo",
        "graph/amazon/Photo/raw",
        {"amazon_electronics_photo.npz": None},
        _SHCHUR,
        "3ae85b79c222821d9367cc91af8f7104bf45f36392bd7c1d5e46c16a7a298daa",
    ),
    "computers": Source(
        "Computers",
        "graph/amazon/Computers/raw",
        {"amazon_electronics_computers.npz": None},
        _SHCHUR,
        "254adf5c2fa9da0efc9c1abd7fb05175332fa6dd409e5682638207f36f0a421a",
    ),
    "cs": Source(
        "CS",
        "graph/coauthor/CS/raw",
        {"ms_academic_cs.npz": None},
        _SHCHUR,
        "b51a829d9e19bed04b84a76d631b0259069e4c76b9433ca5218a8e7cb0ef0e1f",
    ),
    "dblp": Source(
        "DBLP",
        "graph/citation_full/dblp/raw",
        {"dblp.npz": None},
        _BOJCHEVSKI,
        "c29ee4159b5b84c71760bfa15f96812c58d6b1afa0bdc817d691b9c6f5d7e142",
    ),
    "mutag": _tu("MUTAG", "fc16c37db0166176500a2f2e61ef0db0d3eb4a29f079db092361166d6453572a", "node_labels"),
    "proteins": _tu(
        "PROTEINS", "9a22d10d2c21db4798bc6f1da366da55094208250406ac68541efbf4e0f9ad8f", "node_labels", "node_attributes"
    ),
    "nci1": _tu("NCI1", "d0da7fd0f44eba4efd20b49da43a49ce3484436ebd09291ee833b7fef84d5fb4", "node_labels"),
    "imdb-binary": _tu("IMDB-BINARY", "ca06b147ee572442f4d59cf914daaf05fd34940eb6b82598347fe443d564ba7e"),
}
