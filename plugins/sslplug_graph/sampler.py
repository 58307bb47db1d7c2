"""Neighbour sampling (Hamilton et al. 2017, GraphSAGE): a few random in-neighbours of each node, hop by hop.

Vectorised over the nodes of a hop; the cost does not grow with the degree of the nodes that are sampled.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng


def distinct_places(degrees: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """(n, count) int64: for each node ``count`` distinct places in 0..degree - 1, every subset equally likely.

    Needs degree >= count. Floyd's algorithm (Bentley and Floyd 1987), one step for all nodes at once: O(n count^2).
    """
    picked = degrees.new_empty(len(degrees), count)
    noise = torch.rand(len(degrees), count, generator=generator, dtype=torch.float64, device=degrees.device)
    for step in range(count):
        last = degrees - count + step
        place = torch.minimum((noise[:, step] * (last + 1)).long(), last)
        taken = (picked[:, :step] == place[:, None]).any(1)
        picked[:, step] = torch.where(taken, last, place)
    return picked


class NeighbourSampler:
    """``sampler(seeds, rng) -> (node_ids, edge_index)``: the sampled neighbourhood of the seeds.

    indptr, indices  the graph by target: node i's in-neighbours are ``indices[indptr[i]:indptr[i + 1]]``
    fanouts          in-neighbours kept per node at each hop, without replacement; all of them where a node has no more than
                     that, or where the fanout is -1

    node_ids (n,) int64 holds the seeds first, in their order, then the nodes of each hop; edge_index (2, e) int64 counts in
    node_ids. A node is expanded once, at the hop after the one that found it. With fanouts of -1, L hops give an L-layer
    encoder the embedding it would give on the whole graph; a GCN needs one hop more, because it divides by the degree of the
    outermost sources too.

    Raises UsageError for fanouts that are not positive or -1, DataError for repeated or unknown seeds.
    """

    def __init__(self, indptr: Tensor, indices: Tensor, fanouts: Sequence[int]) -> None:
        wrong = [fanout for fanout in fanouts if fanout < 1 and fanout != -1]
        if wrong or not fanouts:
            raise UsageError(f"Fanouts {list(fanouts)}; expected one or more positive numbers, or -1 for all neighbours.")
        self.indptr, self.indices, self.fanouts = indptr, indices, tuple(fanouts)

    @property
    def num_nodes(self) -> int:
        """Nodes of the whole graph."""
        return len(self.indptr) - 1

    def __call__(self, seeds: Tensor, rng: Rng) -> tuple[Tensor, Tensor]:
        """The neighbourhood of ``seeds`` (s,) int64; a pure function of seeds and rng."""
        if len(seeds) and not 0 <= int(seeds.min()) <= int(seeds.max()) < self.num_nodes:
            raise DataError(f"Seeds hold {int(seeds.min())}..{int(seeds.max())}; expected 0..{self.num_nodes - 1}.")
        local = torch.full((self.num_nodes,), -1, dtype=torch.int64, device=seeds.device)
        local[seeds] = torch.arange(len(seeds), device=seeds.device)
        if len(torch.unique(seeds)) != len(seeds):
            raise DataError("Seeds name a node twice; expected distinct nodes.")
        found, sources, targets, count = [seeds], [], [], len(seeds)
        frontier = seeds
        for hop, fanout in enumerate(self.fanouts):
            source, owner = self._neighbours(frontier, fanout, rng.fork(hop))
            sources.append(source)
            targets.append(local[frontier][owner])
            frontier = torch.unique(source[local[source] < 0])
            local[frontier] = torch.arange(count, count + len(frontier), device=seeds.device)
            count += len(frontier)
            found.append(frontier)
        return torch.cat(found), torch.stack([local[torch.cat(sources)], torch.cat(targets)])

    def _neighbours(self, nodes: Tensor, fanout: int, rng: Rng) -> tuple[Tensor, Tensor]:
        """Sampled in-neighbours of ``nodes`` and, for each, the place in ``nodes`` it is a neighbour of."""
        start = self.indptr[nodes]
        degrees = self.indptr[nodes + 1] - start
        many = degrees > fanout if fanout > 0 else torch.zeros_like(degrees, dtype=torch.bool)
        few, crowded = (~many).nonzero()[:, 0], many.nonzero()[:, 0]
        lengths = degrees[few]
        total = int(lengths.sum())
        shift = (start[few] - lengths.cumsum(0) + lengths).repeat_interleave(lengths, output_size=total)
        all_places = torch.arange(total, device=nodes.device) + shift
        owners = [few.repeat_interleave(lengths, output_size=total)]
        places = [all_places]
        if len(crowded):
            picked = distinct_places(degrees[crowded], fanout, rng.torch(nodes.device))
            places.append((start[crowded][:, None] + picked).flatten())
            owners.append(crowded.repeat_interleave(fanout))
        return self.indices[torch.cat(places)], torch.cat(owners)
