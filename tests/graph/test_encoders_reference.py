"""Encoders against torch_geometric with the same weights in float64, and what every encoder must keep."""

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from sslplug.contracts import Embedding, View
from sslplug.randomness import Rng
from sslplug_graph.batch import CsrMatrix, Features, GraphBatch
from sslplug_graph.encoders import DECODERS, ENCODERS
from sslplug_graph.spec import GraphSpec
from sslplug_graph.views import VIEWS

with warnings.catch_warnings():  # its import calls what torch deprecates
    warnings.simplefilter("ignore")
    from torch_geometric.nn import GATConv, GCNConv, GINConv, SAGEConv

NODES, WIDTH = 40, 12
SPEC = GraphSpec(WIDTH, NODES, 0, 4, "graph", False)


def sparse(x: Tensor) -> CsrMatrix:
    row, col = x.nonzero(as_tuple=True)
    crow = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(row, minlength=len(x)).cumsum(0)])
    return CsrMatrix(crow, col, x[row, col], (x.shape[0], x.shape[1]))


def batch(stored_sparse: bool = False) -> GraphBatch:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(NODES, WIDTH, generator=generator)
    x = x * (torch.rand(NODES, WIDTH, generator=generator) > 0.5)
    graph = torch.arange(4).repeat_interleave(10)
    source = torch.randint(NODES, (160,), generator=generator)
    target = graph[source] * 10 + torch.randint(10, (160,), generator=generator)
    index = torch.unique(torch.stack([source, target])[:, source != target], dim=1)
    features = Features(sparse(x)) if stored_sparse else Features(x)
    return GraphBatch(features, index, NODES, graph, 4, torch.arange(NODES), torch.arange(4))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def made(name: str, **options: object) -> nn.Module:
    component = ENCODERS[name]
    encoder: nn.Module = component.build(component.options(**options), SPEC)
    for parameter in encoder.parameters():  # biases and tokens start at 0; other values show where they enter
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return encoder.double()


@pytest.mark.parametrize("widths", [[16, 6], [8, 14]])
def test_gcn_is_torch_geometrics(widths: list[int]) -> None:
    ours, given = made("gcn", widths=widths), batch()
    rows = given.x.dense().double()
    for number, weight in enumerate([ours.input.weight, *ours.weights]):
        layer = GCNConv(weight.shape[0], weight.shape[1]).double()
        layer.lin.weight.data, layer.bias.data = weight.data.T, ours.biases[number].data
        rows = layer(rows, given.edge_index).relu()
    # Features and degrees are float32 by contract, so agreement is to float32.
    torch.testing.assert_close(ours(View(given))["node"], rows, rtol=1e-6, atol=1e-6)


def test_gat_is_torch_geometrics() -> None:
    ours, given = made("gat", widths=[8, 12], heads=2, activation="elu"), batch()
    rows = given.x.dense().double()
    for layer, weight in zip(ours.layers, [ours.input.weight, *ours.weights]):
        theirs = GATConv(weight.shape[0], weight.shape[1] // 2, heads=2).double()
        theirs.lin.weight.data, theirs.bias.data = weight.data.T, layer.bias.data
        theirs.att_src.data, theirs.att_dst.data = layer.source.data[None], layer.target.data[None]
        rows = nn.functional.elu(theirs(rows, given.edge_index))
    torch.testing.assert_close(ours(View(given))["node"], rows, rtol=1e-6, atol=1e-6)


def test_gin_is_torch_geometrics() -> None:
    ours, given = made("gin", widths=[8, 8], norm="none", concat=False), batch()
    rows = given.x.dense().double()
    for layer, weight in zip(ours.layers, [ours.input.weight, *(w.weight.T for w in ours.weights)]):
        first = nn.Linear(weight.shape[0], weight.shape[1]).double()
        first.weight.data, first.bias.data = weight.data.T, layer.bias.data
        rows = GINConv(nn.Sequential(first, nn.ReLU(), layer.second))(rows, given.edge_index).relu()
    out = ours(View(given))
    torch.testing.assert_close(out["node"], rows, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(out["graph"], rows.view(4, 10, -1).sum(1), rtol=1e-6, atol=1e-6)


def test_sage_is_torch_geometrics() -> None:
    ours, given = made("sage", widths=[7]), batch()
    theirs = SAGEConv(WIDTH, 7).double()
    neighbours, own = ours.input.weight.data.chunk(2, 1)
    theirs.lin_l.weight.data, theirs.lin_r.weight.data, theirs.lin_l.bias.data = neighbours.T, own.T, ours.biases[0].data
    expected = theirs(given.x.dense().double(), given.edge_index).relu()
    torch.testing.assert_close(ours(View(given))["node"], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", list(ENCODERS))
def test_a_dropped_edge_is_an_absent_edge(name: str) -> None:
    given = batch()
    keep = torch.rand(given.num_edges) > 0.4
    weighted = replace(given, edge_weight=keep.float())
    fewer = replace(given, edge_index=given.edge_index[:, keep])
    encoder = made(name).eval()
    torch.testing.assert_close(encoder(View(weighted))["node"], encoder(View(fewer))["node"])


@pytest.mark.parametrize("name", list(ENCODERS))
def test_permuting_nodes_permutes_embeddings(name: str) -> None:
    given, encoder = batch(), made(name).eval()
    order = torch.cat([torch.randperm(10) + 10 * graph for graph in range(4)])
    place = torch.argsort(order)
    moved = replace(given, x=given.x.rows(order), edge_index=place[given.edge_index])
    clean, other = encoder(View(given)), encoder(View(moved))
    torch.testing.assert_close(other["node"], clean["node"][order])
    torch.testing.assert_close(other["graph"], clean["graph"])


@pytest.mark.parametrize("name", list(ENCODERS))
@pytest.mark.parametrize("masked", [False, True])
def test_sparse_features_are_dense_features(name: str, masked: bool) -> None:
    encoder = made(name).eval()
    mask = {"node": torch.arange(NODES) % 3 == 0} if masked else {}
    columns = (torch.arange(WIDTH) % 4 > 0).float()
    views = [View(replace(b, x=b.x.scaled(columns)), mask=mask) for b in (batch(), batch(True))]
    torch.testing.assert_close(encoder(views[0])["node"], encoder(views[1])["node"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", list(ENCODERS))
def test_hidden_features_do_not_reach_the_encoder(name: str) -> None:
    given, encoder = batch(), made(name).eval()
    hidden = torch.arange(NODES) % 2 == 0
    other = given.x.dense()
    other[hidden] = 7.0
    views = [View(b, mask={"node": hidden}) for b in (given, replace(given, x=Features(other)))]
    assert torch.equal(encoder(views[0])["node"], encoder(views[1])["node"])
    assert not torch.equal(encoder(View(given))["node"], encoder(views[0])["node"])


@pytest.mark.parametrize("name", list(ENCODERS))
def test_gradient_reaches_every_parameter(name: str) -> None:
    encoder = made(name).train()
    out = encoder(VIEWS["mask"].build(VIEWS["mask"].options(), SPEC)(batch(), Rng.root(0))[0])
    (out["node"] * torch.randn(out["node"].shape)).sum().backward()
    assert not [key for key, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert encoder.dims == {"node": out["node"].shape[1], "graph": out["graph"].shape[1]}


@pytest.mark.parametrize("stored_sparse", [False, True])
def test_input_dropout_keeps_the_mean(stored_sparse: bool) -> None:
    encoder = made("sgc", steps=0).train()
    encoder.input.dropout = 0.5
    given = batch(stored_sparse)
    with torch.no_grad():
        average = torch.stack([encoder(View(given))["node"] for _ in range(400)]).mean(0)
    clean = encoder.eval()(View(given))["node"].detach()
    assert float((average - clean).abs().mean()) < 0.1 * float(clean.std())
    assert not torch.equal(encoder.train()(View(given))["node"], clean)


@pytest.mark.parametrize("remask", [False, True])
def test_attention_decoder_is_torch_geometrics(remask: bool) -> None:
    view = VIEWS["mask"].build(VIEWS["mask"].options(), SPEC)(batch(), Rng.root(0))[0]
    component = DECODERS["gnn"]
    decoder = component.build(component.options(remask=remask), SPEC, {"node": 8}).double()
    decoder.bias.data += torch.randn(WIDTH)
    code, rows = torch.randn(NODES, 8, dtype=torch.float64), view.targets["features"].rows
    theirs = GATConv(8, WIDTH).double()
    theirs.lin.weight.data, theirs.bias.data = decoder.weight.data.T, decoder.bias.data
    theirs.att_src.data, theirs.att_dst.data = decoder.attention.source.data[None], decoder.attention.target.data[None]
    given = decoder.code(code)
    expected = theirs(given.index_fill(0, rows, 0.0) if remask else given, view.data.edge_index)[rows]
    out = decoder(view, Embedding({"node": code}))["features"]
    torch.testing.assert_close(out, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layer", ["gat", "gin", "gcn"])
def test_decoder_hides_the_code_of_what_it_predicts(layer: str) -> None:
    encoder = made("gat", widths=[8, 8], heads=2)
    decoder = DECODERS["gnn"].build(DECODERS["gnn"].options(layer=layer), SPEC, encoder.dims).double()
    view = VIEWS["mask"].build(VIEWS["mask"].options(rate=0.3), SPEC)(batch(), Rng.root(0))[0]
    embedding = encoder(view)
    code = embedding["node"].detach().requires_grad_()
    out = decoder(view, replace(embedding, levels={"node": code}))["features"]
    assert out.shape == view.targets["features"].values.shape
    (out * torch.randn(out.shape)).sum().backward()
    masked = torch.zeros(NODES, dtype=torch.bool)
    masked[view.targets["features"].rows] = True
    assert not code.grad[masked].any()
    source, target = view.data.edge_index
    read = torch.zeros(NODES, dtype=torch.bool).index_fill(0, source[masked[target]], True)
    assert torch.equal(code.grad.any(1), read & ~masked)
    still = [key for key, p in decoder.named_parameters() if p.grad is None or not p.grad.any()]
    # The score of an edge's target is 0 where the target's code is hidden, and only such targets are predicted.
    assert still == (["attention.target"] if layer == "gat" else [])


PIECED = [
    ("gcn", {"widths": [16, 6, 20], "norm": "batch"}),
    ("gcn", {"widths": [8, 14], "bias": False, "norm": "layer"}),
    ("sage", {"widths": [16, 6, 8], "norm": "batch"}),
    ("gin", {"widths": [16, 6], "mlp_norm": "batch", "learn_eps": True}),
    ("gin", {"widths": [16, 6], "concat": False, "norm_last": False}),
    ("gat", {"widths": [16, 8, 12], "heads": 4, "residual": True, "norm": "layer"}),
    ("sgc", {"width": 9, "steps": 2}),
    ("appnp", {"hidden": 10, "width": 7, "steps": 3}),
    ("mlp", {"widths": [16, 6]}),
]


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("stored_sparse", [False, True])
@pytest.mark.parametrize(("name", "options"), PIECED, ids=[f"{name}{number}" for number, (name, _) in enumerate(PIECED)])
def test_pieces_are_the_whole(name: str, options: dict[str, object], stored_sparse: bool, size: int) -> None:
    """Layers computed a few rows at a time give the embeddings of all rows at once, but for the last bits of a float64: a
    matrix product of other size may round its sums in another order."""
    encoder, given = made(name, **options), batch(stored_sparse)
    weighted = replace(given, edge_weight=torch.rand(given.num_edges))
    hidden = {"node": torch.arange(NODES) % 5 == 0}
    encoder.train()
    encoder(View(given))  # running statistics that are not those of the start
    encoder.eval()
    for view in (View(given), View(weighted, mask=hidden)):
        with torch.no_grad():
            whole = encoder(view)
            pieces = encoder(replace(view, data=replace(view.data, piece=size)))
        for level, rows in whole.levels.items():
            torch.testing.assert_close(pieces[level], rows, rtol=1e-14, atol=1e-14)


class WholeMatrices(TorchDispatchMode):
    """Notes every operation that makes a matrix with a row for each node."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        views = {arg.untyped_storage().data_ptr() for arg in args if isinstance(arg, Tensor)}
        for tensor in out if isinstance(out, tuple | list) else (out,):
            fresh = isinstance(tensor, Tensor) and tensor.untyped_storage().data_ptr() not in views
            if fresh and tensor.ndim >= 2 and tensor.shape[0] == NODES:
                self.made.append(func.overloadpacket._qualified_op_name)
        return out


@pytest.mark.parametrize("stored_sparse", [False, True])
@pytest.mark.parametrize(("name", "options"), PIECED, ids=[f"{name}{number}" for number, (name, _) in enumerate(PIECED)])
def test_pieces_hold_nothing_but_a_layers_input_and_output(
    name: str, options: dict[str, object], stored_sparse: bool
) -> None:
    encoder, given = made(name, **options).float().eval(), batch(stored_sparse)
    with torch.no_grad(), WholeMatrices() as mode:
        encoder(View(given))
    assert set(mode.made) - {"aten::new_empty", "aten::cat"}
    with torch.no_grad(), WholeMatrices() as mode:
        encoder(View(replace(given, piece=7)))
    joined = {"aten::cat"} if name == "gin" and options.get("concat", True) else set()  # all layers' rows side by side
    assert set(mode.made) == {"aten::new_empty"} | joined


@pytest.mark.parametrize(("name", "options"), PIECED, ids=[f"{name}{number}" for number, (name, _) in enumerate(PIECED)])
def test_what_is_learnt_is_never_in_pieces(name: str, options: dict[str, object]) -> None:
    encoder, given = made(name, **options), batch()
    cut = View(replace(given, piece=3))
    for whole, pieces in ((encoder(View(given)), encoder(cut)), (encoder.eval()(View(given)), encoder(cut))):
        assert torch.equal(whole["node"], pieces["node"])
        assert pieces["node"].requires_grad
