"""Neighbour sampling: real edges, the fanout, the full neighbourhood, fair draws."""

import pytest
import torch

from sslplug.contracts import View
from sslplug.errors import DataError, UsageError
from sslplug.randomness import Rng
from sslplug_graph.batch import Features, GraphBatch, Structure
from sslplug_graph.encoders import ENCODERS
from sslplug_graph.sampler import NeighbourSampler, distinct_places
from sslplug_graph.spec import GraphSpec

NODES = 200
INDEX = torch.unique(torch.randint(NODES, (2, 1500), generator=torch.Generator().manual_seed(1)), dim=1)
GRAPH = Structure(INDEX, NODES)


def sampler(*fanouts: int) -> NeighbourSampler:
    return NeighbourSampler(GRAPH.by_target.indptr, GRAPH.by_target.indices, fanouts)


def test_edges_are_real_distinct_and_within_the_fanout() -> None:
    seeds = torch.tensor([5, 3, 77])
    nodes, edges = sampler(4, 3)(seeds, Rng.root(0))
    assert torch.equal(nodes[:3], seeds)
    assert len(torch.unique(nodes)) == len(nodes)
    whole = {tuple(pair) for pair in INDEX.T.tolist()}
    found = [tuple(pair) for pair in nodes[edges].T.tolist()]
    assert set(found) <= whole
    assert len(set(found)) == len(found)
    kept = torch.bincount(edges[1], minlength=len(nodes))
    assert torch.equal(kept[:3], GRAPH.in_degree[seeds].clamp(max=4))
    assert int(kept[3:].max()) <= 3


def test_same_rng_same_neighbourhood_and_others_differ() -> None:
    seeds = torch.arange(20)
    first, again, other = (sampler(2, 2)(seeds, Rng.root(key))[1] for key in (0, 0, 1))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


@pytest.mark.parametrize(("name", "hops"), [("gcn", 3), ("sage", 2), ("gat", 2)])
def test_all_neighbours_give_the_full_batch_embedding(name: str, hops: int) -> None:
    x = torch.rand(NODES, 6, generator=torch.Generator().manual_seed(2))
    zeros = torch.zeros(NODES, dtype=torch.int64)
    whole = GraphBatch(Features(x), INDEX, NODES, zeros, 1, torch.arange(NODES), zeros[:1])
    seeds = torch.tensor([9, 0, 150])
    nodes, edges = sampler(*[-1] * hops)(seeds, Rng.root(0))
    part = GraphBatch(Features(x[nodes]), edges, len(nodes), zeros[: len(nodes)], 1, nodes, zeros[:1], seeds=3)
    component = ENCODERS[name]
    encoder = component.build(component.options(widths=[8, 4]), GraphSpec(6, NODES, 0, 1, "node", False)).eval()
    torch.testing.assert_close(encoder(View(part))["node"], encoder(View(whole))["node"][seeds])


def test_every_subset_is_equally_likely() -> None:
    picked = distinct_places(torch.full((30_000,), 5), 2, torch.Generator().manual_seed(0)).sort(1).values
    assert bool((picked[:, 0] < picked[:, 1]).all())
    counts = torch.bincount(picked[:, 0] * 5 + picked[:, 1])
    counts = counts[counts > 0].double()
    assert len(counts) == 10
    # Chi-square with 9 degrees of freedom: above 27.9 once in a thousand.
    assert float(((counts - 3000) ** 2 / 3000).sum()) < 27.9


def test_refusals() -> None:
    with pytest.raises(UsageError, match="Fanouts"):
        sampler(0)
    with pytest.raises(DataError, match="twice"):
        sampler(2)(torch.tensor([1, 1]), Rng.root(0))
    with pytest.raises(DataError, match="expected 0"):
        sampler(2)(torch.tensor([200]), Rng.root(0))
