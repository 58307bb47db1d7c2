import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sslplug.errors import DataError
from sslplug_graph.batch import Features, GraphBatch, Structure
from sslplug_graph.data.graph_data import stored


def random_features(seed: int, rows: int, columns: int, density: float = 0.2) -> tuple[Features, torch.Tensor]:
    matrix = sparse.random(rows, columns, density, format="csr", dtype=np.float32, random_state=seed)
    return stored(matrix), torch.from_numpy(matrix.toarray())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 12), columns=st.integers(1, 9), picks=st.integers(0, 30))
def test_lazy_changes_equal_the_dense_ones(seed: int, rows: int, columns: int, picks: int) -> None:
    lazy, dense = random_features(seed, rows, columns)
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(rows, (picks,), generator=generator)
    mask = (torch.rand(columns, generator=generator) > 0.3).float()
    scale = torch.rand(picks, generator=generator)
    weight = torch.randn(columns, 4, generator=generator, requires_grad=True)
    twin = weight.detach().clone().requires_grad_()
    changed = lazy.scaled(mask).rows(index).row_scaled(scale)
    expected = (dense * mask)[index] * scale[:, None]
    torch.testing.assert_close(changed.dense(), expected)
    out, wanted = changed.matmul(weight), expected @ twin
    torch.testing.assert_close(out, wanted, atol=1e-5, rtol=1e-5)
    (out**2).sum().backward()
    (wanted**2).sum().backward()
    torch.testing.assert_close(weight.grad, twin.grad, atol=1e-4, rtol=1e-4)
    nodes = torch.rand(picks, generator=generator)
    torch.testing.assert_close(changed.column_mass(nodes), expected.abs().T @ nodes, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dense", [False, True])
def test_a_view_of_features_leaves_them_as_they_were(dense: bool) -> None:
    lazy, full = random_features(3, 9, 5)
    lazy = Features(full) if dense else lazy
    before = lazy.dense()
    lazy.scaled(torch.zeros(5)).rows(torch.tensor([1, 1])).row_scaled(torch.zeros(2)).dense().add_(1)
    lazy.dense().zero_()
    torch.testing.assert_close(lazy.dense(), before, atol=0, rtol=0)


def test_a_shuffle_maps_rows_and_a_neighbourhood_gathers_them() -> None:
    lazy, _ = random_features(1, 100, 7)
    assert lazy.rows(torch.randperm(100)).matrix is lazy.matrix
    small = lazy.rows(torch.tensor([4, 2]))
    assert small.row_map is None
    assert small.shape == (2, 7)
    assert small.matrix.shape == (2, 7)


def test_second_rows_compose_with_the_first() -> None:
    lazy, dense = random_features(2, 10, 6)
    first, second = torch.randperm(10), torch.tensor([0, 0, 9, 3, 5, 7])
    torch.testing.assert_close(lazy.rows(first).rows(second).dense(), dense[first][second])


def batch(**changes: object) -> GraphBatch:
    given = {
        "x": Features(torch.eye(3)),
        "edge_index": torch.tensor([[0, 1, 2, 1], [1, 0, 1, 2]]),
        "num_nodes": 3,
        "graph": torch.zeros(3, dtype=torch.int64),
        "num_graphs": 1,
        "node_ids": torch.arange(3),
        "graph_ids": torch.zeros(1, dtype=torch.int64),
    }
    return GraphBatch(**(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("edge_index", torch.tensor([[0, 3], [1, 0]]), "holds 3"),
        ("edge_index", torch.tensor([[0, -1], [1, 0]]), "holds -1"),
        ("edge_index", torch.zeros(2, 2), "float32"),
        ("graph", torch.ones(3, dtype=torch.int64), "holds 1"),
        ("node_ids", torch.arange(2), "node_ids"),
        ("edge_weight", torch.ones(3), "edge_weight"),
        ("x", Features(torch.eye(2)), "2 rows for 3 nodes"),
        ("seeds", 4, "0..3"),
    ],
)
def test_a_batch_refuses_to_be_wrong(field: str, value: object, words: str) -> None:
    with pytest.raises(DataError, match=words.replace(".", r"\.")):
        batch(**{field: value})


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), nodes=st.integers(1, 9), edges=st.integers(0, 30))
def test_structure_equals_scipy(seed: int, nodes: int, edges: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(nodes, (2, edges), generator=generator)
    weight = torch.rand(edges, generator=generator)
    structure = Structure(index, nodes)
    by_target, by_source = structure.by_target, structure.by_source
    wanted = sparse.coo_matrix((weight.numpy(), (index[1].numpy(), index[0].numpy())), shape=(nodes, nodes)).toarray()
    found = sparse.csr_matrix((weight[by_target.edge].numpy(), by_target.indices, by_target.indptr), shape=(nodes, nodes))
    turned = sparse.csr_matrix((weight[by_source.edge].numpy(), by_source.indices, by_source.indptr), shape=(nodes, nodes))
    np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-6)
    np.testing.assert_allclose(turned.toarray(), wanted.T, rtol=1e-6)
    assert torch.equal(by_target.edge[structure.transpose_order], by_source.edge)
    assert structure.in_degree.tolist() == torch.bincount(index[1], minlength=nodes).tolist()


def test_structure_is_shared_until_the_edges_change() -> None:
    from dataclasses import replace

    whole = batch()
    assert replace(whole, x=whole.x.scaled(torch.zeros(3))).structure is whole.structure
    fewer = replace(whole, edge_index=whole.edge_index[:, :2])
    assert fewer.structure is not whole.structure
    assert fewer.structure.in_degree.tolist() == [1, 1, 0]
    assert whole.to("cpu").structure is whole.structure
