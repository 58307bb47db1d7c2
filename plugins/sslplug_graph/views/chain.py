"""Views as chains of transforms: view v is the batch, changed by each transform of chain v in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sslplug.contracts import Tags, View
from sslplug.randomness import Rng
from sslplug_graph.batch import GraphBatch
from sslplug_graph.views.transform import Transform


@dataclass(frozen=True)
class Chains:
    """``views(batch, rng)``: one view a chain, in order."""

    chains: tuple[tuple[Transform, ...], ...]

    @property
    def rates(self) -> Mapping[str, float]:
        """{"<view>/<what is changed>": share}."""
        return {
            f"{number}/{transform.changes}": transform.share
            for number, chain in enumerate(self.chains)
            for transform in chain
            if transform.changes
        }

    def __call__(self, batch: GraphBatch, rng: Rng) -> list[View]:
        """The views of ``batch``."""
        matched_by_ids = any(transform.moves_rows for chain in self.chains for transform in chain)
        ids = {"node": batch.node_ids[: batch.seeds], "graph": batch.graph_ids} if matched_by_ids else {}
        targets = {} if batch.labels is None else {"label": batch.labels}
        views = []
        for number, chain in enumerate(self.chains):
            view = View(batch, ids=ids, targets=targets)
            stream = rng.fork("view", number)
            for place, transform in enumerate(chain):
                view = transform(view, stream.fork(place))
            views.append(view)
        return views


def chain_tags(chains: tuple[tuple[Transform, ...], ...]) -> Tags:
    """What these views bring: a view that becomes a negative is no second view of the same instances."""
    brought = [frozenset[str]().union(*(transform.brings for transform in chain)) for chain in chains]
    alike = sum("negatives" not in tags for tags in brought)
    counted = {name for name, least in (("pair", 2), ("many", 3)) if alike >= least}
    return frozenset(counted).union(*brought)
