"""Sparse products against dense matrices, gradients against finite differences."""

from dataclasses import replace

import pytest
import torch

from sslplug_graph.batch import Features, GraphBatch
from sslplug_graph.propagation import edge_dots, mean, product, symmetric, total


def random_batch(nodes: int = 9, edges: int = 30, seed: int = 0) -> GraphBatch:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(nodes, 5, generator=generator)
    index = torch.randint(nodes, (2, edges), generator=generator)
    weight = torch.rand(edges, generator=generator) * (torch.rand(edges, generator=generator) > 0.3)
    zeros = torch.zeros(nodes, dtype=torch.int64)
    return GraphBatch(Features(x), index, nodes, zeros, 1, torch.arange(nodes), zeros[:1], edge_weight=weight)


def adjacency(batch: GraphBatch) -> torch.Tensor:
    """(N, N) by definition: A[target, source] = sum of weights."""
    dense = torch.zeros(batch.num_nodes, batch.num_nodes)
    weight = torch.ones(batch.num_edges) if batch.edge_weight is None else batch.edge_weight
    for (source, target), w in zip(batch.edge_index.T.tolist(), weight.tolist()):
        dense[target, source] += w
    return dense


@pytest.mark.parametrize("weighted", [True, False])
def test_operators_are_their_matrices(weighted: bool) -> None:
    batch = random_batch()
    batch = batch if weighted else replace(batch, edge_weight=None)
    dense, rows = adjacency(batch), batch.x.dense()
    scale = (dense.sum(1) + 1).rsqrt()
    loops = torch.eye(len(dense))
    torch.testing.assert_close(symmetric(batch)(rows), (scale[:, None] * (dense + loops) * scale) @ rows)
    torch.testing.assert_close(total(batch, own=1.5)(rows), (dense + 1.5 * loops) @ rows)
    degree = dense.sum(1, keepdim=True)
    torch.testing.assert_close(mean(batch)(rows), torch.where(degree > 0, dense / degree, 0.0).nan_to_num() @ rows)


def test_part_is_a_slice_of_the_whole() -> None:
    batch = random_batch()
    operator, rows = symmetric(batch), batch.x.dense()
    torch.testing.assert_close(torch.cat([operator.part(rows, 0, 4), operator.part(rows, 4, 9)]), operator(rows))


def test_gradients_of_values_and_rows() -> None:
    batch = random_batch()
    values = torch.rand(batch.num_edges, dtype=torch.float64, requires_grad=True)
    rows = torch.rand(batch.num_nodes, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v, r: product(batch.structure, v, r), (values, rows))


def test_edge_dots_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = random_batch()
    a, b = torch.rand(9, 3), torch.rand(9, 3)
    source, target = batch.edge_index[:, batch.structure.by_target.edge]
    monkeypatch.setattr("sslplug_graph.propagation._ENTRIES_AT_ONCE", 7)
    torch.testing.assert_close(edge_dots(batch.structure, a, b), (a[target] * b[source]).sum(1))


def test_nodes_without_edges_stay_finite() -> None:
    batch = replace(random_batch(), edge_weight=torch.zeros(30))
    rows = batch.x.dense()
    torch.testing.assert_close(symmetric(batch)(rows), rows)
    assert not mean(batch)(rows).any()
