"""The encoders, ranking losses and contrastive terms of collaborative filtering: known values and independent implementations."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Assembly, Progress, View
from sslplug.errors import UsageError
from sslplug.objectives import OBJECTIVES
from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities, Pairs
from sslplug_recsys.collaborative import dccf, dccf_method, lightgcn, method, triples
from sslplug_recsys.collaborative.clusters import k_means, nearest
from sslplug_recsys.collaborative.graph_contrast import GraphOptions, thinned
from sslplug_recsys.collaborative.masked_product import mask, masked_product
from sslplug_recsys.collaborative.ranking import PenaltyOptions, alignment, bpr, penalty, uniformity
from sslplug_recsys.collaborative.svd_contrast import interaction_svd
from sslplug_recsys.collaborative.table_logsumexp import table_logsumexp
from sslplug_recsys.interaction_graph import graph_of
from sslplug_recsys.propagation import product
from sslplug_recsys.spec import RecSpec

USERS, ITEMS = 11, 14


@pytest.fixture
def spec() -> RecSpec:
    keys = torch.randperm(USERS * (ITEMS - 1), generator=torch.Generator().manual_seed(0))[:50]
    user, item = keys // (ITEMS - 1), keys % (ITEMS - 1)
    return RecSpec(USERS, ITEMS, user, item, torch.bincount(item, minlength=ITEMS))


def batch_of(spec: RecSpec, size: int = 20) -> Pairs:
    index = torch.randperm(len(spec.user), generator=torch.Generator().manual_seed(1))[:size]
    return Pairs(spec.user[index], spec.item[index], index)


def made(
    spec: RecSpec,
    options: dict[str, Any],
    encoder: dict[str, Any] | None = None,
    views: dict[str, Any] | None = None,
    temperature: float = 0.2,
    build: Any = method,
    table: Any = lightgcn,
) -> Any:
    torch.manual_seed(0)
    model = table.build(
        (table.DccfOptions if table is dccf else table.LightGcnOptions)(**{"dim": 8, **(encoder or {})}), spec
    )
    infonce = OBJECTIVES["infonce"]
    chosen = infonce.options(temperature=temperature, negatives="inter", symmetric=False)
    parts = Assembly(
        spec=spec,
        level="item",
        views=triples.build(triples.TripleOptions(**(views or {})), spec),
        encoder=model,
        another=lambda: model,
        objective=lambda dim: infonce.build(chosen, dim),
        decoder=lambda choice: nn.Identity(),
        outputs={},
        nested=lambda a, b, c: nn.Identity(),
    )
    kind = build.DccfMethodOptions if build is dccf_method else build.CollaborativeOptions
    return build.build(kind.model_validate(options), parts)


def contrast_by_hand(rows: Tensor, keys: Tensor, own: Tensor, temperature: float) -> Tensor:
    """Mean -log softmax of each row's own key among all keys, cosine."""
    logits = F.normalize(rows, dim=1) @ F.normalize(keys, dim=1).t() / temperature
    return F.cross_entropy(logits, own)


def layers_of(model: lightgcn.LightGcn) -> list[Tensor]:
    states = [model.table]
    for _ in range(model.options.layers):
        states.append(product(model.graph, states[-1].detach()))
    return states


def test_no_layers_are_matrix_factorisation(spec: RecSpec) -> None:
    model = lightgcn.build(lightgcn.LightGcnOptions(dim=4, layers=0), spec)
    rows = torch.tensor([3, 1, 3])
    assert torch.equal(model(View(Entities(rows), role="user"))["user"], model.table[rows])
    assert torch.equal(model(View(Entities(rows), role="negative"))["item"], model.table[rows + USERS])
    assert torch.equal(model(View(Entities(rows), role="item"))["pair"], model.table[rows + USERS])


@pytest.mark.parametrize(("ego", "combine"), [(True, "mean"), (False, "mean"), (True, "sum")])
def test_final_rows_combine_the_layers(spec: RecSpec, ego: bool, combine: str) -> None:
    model = lightgcn.build(lightgcn.LightGcnOptions(dim=4, layers=3, ego=ego, combine=combine), spec)
    stacked = torch.stack(layers_of(model)[0 if ego else 1 :])
    expected = stacked.mean(0) if combine == "mean" else stacked.sum(0)
    torch.testing.assert_close(model(View(Entities(torch.arange(USERS)), role="user"))["user"], expected[:USERS])
    torch.testing.assert_close(model(View(Entities(torch.arange(ITEMS)), role="item"))["item"], expected[USERS:])


def test_alignment_and_uniformity_have_their_known_values() -> None:
    x = F.normalize(torch.randn(6, 3), dim=1)
    assert float(alignment(x, x)) == pytest.approx(0.0, abs=1e-6)
    assert float(alignment(x, -x)) == pytest.approx(4.0, abs=1e-5)
    assert float(uniformity(x[:1].expand(5, 3))) == pytest.approx(0.0, abs=1e-5)
    assert float(uniformity(torch.stack([x[0], -x[0]]))) == pytest.approx(-8.0, abs=1e-5)
    pairs = torch.pdist(x).square().mul(-2).exp().mean().log()
    torch.testing.assert_close(uniformity(x), pairs)
    assert float(uniformity(x[:1])) == 0.0


def test_ranking_and_penalties_written_out() -> None:
    u, i, j = (torch.randn(7, 4) for _ in range(3))
    expected = -F.logsigmoid((u * i).sum(1) - (u * j).sum(1)).mean()
    torch.testing.assert_close(bpr(u, i, j), expected)
    squares = sum(float(one.square().sum()) for one in (u, i, j))
    for form, value in (
        ("squares", 0.5 * squares / 14),
        ("sum", 0.5 * squares),
        ("norm", 0.5 / 7 * sum(float(one.norm()) for one in (u, i, j))),
        ("all", 0.5 * 9.0),
    ):
        found = penalty(PenaltyOptions(weight=0.5, form=form), [u, i, j], torch.ones(3, 3))
        assert float(found) == pytest.approx(value, rel=1e-5)


def test_triples_are_the_batch_and_unseen_items(spec: RecSpec) -> None:
    seen = set(zip(spec.user.tolist(), spec.item.tolist(), strict=True))
    batch = batch_of(spec)
    user, item, negative = triples.build(triples.TripleOptions(), spec)(batch, Rng.root(0))
    assert torch.equal(user.data.rows, batch.users)
    assert torch.equal(item.data.rows, batch.items)
    assert not set(zip(batch.users.tolist(), negative.data.rows.tolist(), strict=True)) & seen
    half = Pairs(batch.users[7:], batch.items[7:], batch.index[7:])
    part = triples.build(triples.TripleOptions(), spec)(half, Rng.root(0))[2]
    assert torch.equal(part.data.rows, negative.data.rows[7:])  # a share of the batch draws what the whole would
    user, item = triples.build(triples.TripleOptions(positives="users", negatives=False), spec)(batch, Rng.root(0))
    assert set(zip(user.data.rows.tolist(), item.data.rows.tolist(), strict=True)) <= seen


def test_directau_is_alignment_and_uniformity_of_unit_rows(spec: RecSpec) -> None:
    options = {"ranking": {"name": "alignment_uniformity", "gamma": 2.0}, "penalty": {"weight": 0.0}}
    model = made(spec, options, {"layers": 0}, {"negatives": False})
    batch = batch_of(spec)
    terms = model(batch, Rng.root(0))
    u, i = (F.normalize(model.encoder.table[rows], dim=1) for rows in (batch.users, batch.items + USERS))
    torch.testing.assert_close(terms["alignment"], (u - i).square().sum(1).mean())
    spread = [torch.pdist(x).square().mul(-2).exp().mean().log() for x in (u, i)]
    torch.testing.assert_close(terms["uniformity"], spread[0] + spread[1])
    assert set(terms) == {"alignment", "uniformity"}


def test_simgcl_without_noise_has_equal_views(spec: RecSpec) -> None:
    options = {"contrasts": [{"name": "noise", "size": 0.0, "weight": 1.0}]}
    model = made(spec, options, {"layers": 2, "ego": False})
    batch = batch_of(spec)
    final = torch.stack(layers_of(model.encoder)[1:]).mean(0)
    expected = torch.zeros(())
    for rows in (batch.users.unique(), batch.items.unique() + USERS):
        expected = expected + contrast_by_hand(final[rows], final[rows], torch.arange(len(rows)), 0.2)
    torch.testing.assert_close(model(batch, Rng.root(0))["noise"], expected)
    noisy = made(spec, {"contrasts": [{"name": "noise", "size": 0.5, "weight": 1.0}]}, {"layers": 2, "ego": False})
    assert not torch.isclose(noisy(batch, Rng.root(0))["noise"], expected)


def test_terms_of_distinct_nodes_ignore_order_and_repeats(spec: RecSpec) -> None:
    model = made(spec, {"contrasts": [{"name": "noise", "size": 0.0}]}, {"layers": 2, "ego": False})
    batch = batch_of(spec)
    order = torch.cat([torch.randperm(20), torch.tensor([3, 3, 5])])
    again = Pairs(batch.users[order], batch.items[order], batch.index[order])
    torch.testing.assert_close(model(batch, Rng.root(0))["noise"], model(again, Rng.root(0))["noise"])


def test_xsimgcl_contrasts_a_layer_of_the_one_noisy_pass_and_scores_without_noise(spec: RecSpec) -> None:
    options = {"noise": 0.0, "contrasts": [{"name": "layer", "layer": 1, "weight": 0.5}]}
    model = made(spec, options, {"layers": 2, "ego": False})
    states = layers_of(model.encoder)
    final = (states[1] + states[2]) / 2
    batch = batch_of(spec)
    expected = torch.zeros(())
    for rows in (batch.users.unique(), batch.items.unique() + USERS):
        expected = expected + 0.5 * contrast_by_hand(final[rows], states[1][rows], torch.arange(len(rows)), 0.2)
    torch.testing.assert_close(model(batch, Rng.root(0))["layer"], expected)
    noisy = made(spec, {**options, "noise": 0.3}, {"layers": 2, "ego": False})
    assert not torch.isclose(noisy(batch, Rng.root(0))["bpr"], model(batch, Rng.root(0))["bpr"])
    rows = View(Entities(torch.arange(USERS)), role="user")
    torch.testing.assert_close(noisy.encoder(rows)["user"], final[:USERS])


def test_sgl_without_dropping_contrasts_equal_views_with_the_whole_table(spec: RecSpec) -> None:
    model = made(spec, {"contrasts": [{"name": "graph", "ratio": 0.0, "weight": 1.0}]}, {"layers": 2})
    final = torch.stack(layers_of(model.encoder)).mean(0)
    batch = batch_of(spec)
    expected = contrast_by_hand(final[batch.users], final[:USERS], batch.users, 0.2)
    expected = expected + contrast_by_hand(final[batch.items + USERS], final[USERS:], batch.items, 0.2)
    torch.testing.assert_close(model(batch, Rng.root(0))["graph"], expected)
    cold = made(spec, {"contrasts": [{"name": "graph", "weight": 1.0}]}, {"layers": 2}, temperature=1e4)
    assert cold(batch, Rng.root(0))["graph"].item() == pytest.approx(math.log(USERS) + math.log(ITEMS), abs=1e-2)
    total = made(spec, {"contrasts": [{"name": "graph", "ratio": 0.0, "weight": 1.0, "reduction": "sum"}]}, {"layers": 2})
    torch.testing.assert_close(total(batch, Rng.root(0))["graph"], 20 * expected)


@pytest.mark.parametrize("drop", ["edge", "node", "walk"])
def test_sgl_draws_graphs_every_epoch_and_the_same_after_a_restart(spec: RecSpec, drop: str) -> None:
    model = made(spec, {"contrasts": [{"name": "graph", "drop": drop, "ratio": 0.3}]}, {"layers": 2})
    term, encoder = model.contrasts[0], model.encoder

    def edges() -> list[list[list[int]]]:
        return [[graph.edge.tolist() for graph in layers] for layers in term.graphs(encoder)]

    def start(epoch: int) -> None:
        model.on_epoch_start(Progress(epoch, 3, 0, 3), dict)

    start(0)
    first = edges()
    assert first == edges()
    assert first[0] != first[1]
    assert (first[0][0] == first[0][1]) == (drop != "walk")
    start(1)
    assert edges() != first
    state = {name: value.clone() for name, value in model.state_dict().items()}
    later = edges()
    torch.manual_seed(99)
    resumed = made(spec, {"contrasts": [{"name": "graph", "drop": drop, "ratio": 0.3}]}, {"layers": 2})
    resumed.load_state_dict(state)
    assert [[g.edge.tolist() for g in one] for one in resumed.contrasts[0].graphs(resumed.encoder)] == later


def test_dropped_shares_are_exact(spec: RecSpec) -> None:
    graph = graph_of(spec)
    kept = thinned(graph, GraphOptions(drop="edge", ratio=0.3), Rng.root(1))
    assert len(kept.neighbours) == 2 * int(graph.edges * 0.7)
    assert thinned(graph, GraphOptions(ratio=0.0), Rng.root(1)) is graph


def test_full_rank_svd_is_the_graph_itself(spec: RecSpec) -> None:
    u, s, v = interaction_svd(graph_of(spec), 100)
    block = u @ torch.diag(s) @ v.t()
    table = torch.randn(USERS + ITEMS, 5)
    torch.testing.assert_close(block @ table[USERS:], product(graph_of(spec), table)[:USERS], rtol=1e-4, atol=1e-5)
    low_u, low_s, low_v = interaction_svd(graph_of(spec), 3)
    torch.testing.assert_close(low_s, s[:3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        low_u @ torch.diag(low_s) @ low_v.t(), u[:, :3] @ torch.diag(s[:3]) @ v[:, :3].t(), rtol=1e-3, atol=1e-4
    )


def test_lightgcl_at_full_rank_contrasts_the_embedding_with_itself(spec: RecSpec) -> None:
    options = {"contrasts": [{"name": "svd", "rank": 100, "weight": 1.0, "temperature": 0.5}]}
    model = made(spec, options, {"layers": 2, "combine": "sum"})
    final = torch.stack(layers_of(model.encoder)).sum(0)
    batch = batch_of(spec)
    negative = model.views(batch, Rng.root(0))[2].data.rows
    expected = torch.zeros(())
    sides = ((batch.users, final[:USERS]), (torch.cat([batch.items, negative]), final[USERS:]))
    for rows, table in sides:
        logits = table[rows] @ table.t() / 0.5
        own = logits.gather(1, rows[:, None])[:, 0].clamp(-5, 5)
        expected = expected + (logits.exp().sum(1).log() - own).mean()
    torch.testing.assert_close(model(batch, Rng.root(0))["svd"], expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(UsageError, match="combine: sum"):
        made(spec, options, {"layers": 2})


def test_table_logsumexp_and_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sslplug_recsys.collaborative.table_logsumexp._BLOCK", 30)
    q = (3 * torch.randn(6, 4, dtype=torch.float64)).requires_grad_()
    k = (3 * torch.randn(17, 4, dtype=torch.float64)).requires_grad_()
    weight = torch.randn(6, dtype=torch.float64)
    expected = torch.logsumexp(q @ k.t() / 0.3, 1)
    torch.testing.assert_close(table_logsumexp(q, k, 0.3), expected)
    found = torch.autograd.grad((table_logsumexp(q, k, 0.3) * weight).sum(), (q, k))
    for a, b in zip(found, torch.autograd.grad((expected * weight).sum(), (q, k)), strict=True):
        torch.testing.assert_close(a, b)


def test_ncl_contrasts_the_second_layer_with_the_ego_table_and_rows_with_their_centres(spec: RecSpec) -> None:
    options = {
        "contrasts": [
            {"name": "structure", "weight": 1.0, "item_weight": 0.5, "reduction": "sum"},
            {"name": "prototypes", "weight": 1.0, "clusters": 3, "warmup": 1},
        ]
    }
    model = made(spec, options, {"layers": 3})
    batch = batch_of(spec)
    model.on_epoch_start(Progress(0, 3, 0, 3), dict)
    terms = model(batch, Rng.root(0))
    assert terms["prototypes"].item() == 0.0
    table, second = model.encoder.table.detach(), layers_of(model.encoder)[2]
    user = contrast_by_hand(second[batch.users], table[:USERS], batch.users, 0.2)
    item = contrast_by_hand(second[batch.items + USERS], table[USERS:], batch.items, 0.2)
    torch.testing.assert_close(terms["structure"], 20 * (user + 0.5 * item))
    model.on_epoch_start(Progress(1, 3, 0, 3), dict)
    term = model.contrasts[1]
    expected = contrast_by_hand(table[batch.users], term.user_centres, term.user_cluster[batch.users], 0.2)
    expected = expected + contrast_by_hand(
        table[batch.items + USERS], term.item_centres, term.item_cluster[batch.items], 0.2
    )
    torch.testing.assert_close(model(batch, Rng.root(0))["prototypes"], expected)
    assert torch.equal(term.user_cluster, nearest(table[:USERS], term.user_centres)[0])
    with pytest.raises(UsageError, match="12 clusters of 11 users"):
        made(spec, {"contrasts": [{"name": "prototypes", "clusters": 12}]})


def test_k_means_finds_separate_groups_and_keeps_no_empty_cluster() -> None:
    truth = torch.arange(4).repeat_interleave(50)
    rows = 10.0 * torch.eye(4)[truth] + 0.1 * torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    best = min(
        (k_means(rows, 4, Rng.root(seed)) for seed in range(5)), key=lambda found: float((rows - found[0][found[1]]).norm())
    )
    assert all(len(torch.unique(best[1][truth == group])) == 1 for group in range(4))
    repeated = torch.cat([torch.zeros(20, 2), torch.ones(1, 2), torch.full((1, 2), 2.0)])
    _centres, own = k_means(repeated, 3, Rng.root(0))
    assert len(torch.unique(own)) == 3
    with pytest.raises(UsageError, match="5 clusters of 3 rows"):
        k_means(repeated[:3], 5, Rng.root(0))


def test_masks_have_rows_of_sum_one_and_the_gradient_of_the_dense_form(spec: RecSpec) -> None:
    graph = graph_of(spec)
    n = graph.nodes
    ones = masked_product(graph, torch.randn(n, 4), torch.ones(n, 1))[:, 0]
    torch.testing.assert_close(ones, (graph.offsets.diff() > 0).float())
    adjacency = torch.zeros(n, n, dtype=torch.float64)
    adjacency[graph.owner, graph.neighbours.long()] = 1.0
    x = torch.randn(n, 4, dtype=torch.float64, requires_grad=True)
    e = torch.randn(n, 3, dtype=torch.float64, requires_grad=True)
    unit = F.normalize(x, dim=1)
    a = adjacency * (unit @ unit.t() + 1) / 2
    expected = (a / a.sum(1, keepdim=True).clamp(min=1e-12)) @ e
    found = masked_product(graph, x, e)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(mask(graph, unit), a[graph.owner, graph.neighbours.long()])
    weight = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad((one * weight).sum(), (x, e)) for one in (found, expected))
    torch.testing.assert_close(ours[0], theirs[0])
    torch.testing.assert_close(ours[1], theirs[1])


def test_dccf_written_out(spec: RecSpec) -> None:
    model = made(spec, {}, {"layers": 1, "intents": 5}, temperature=1.0, build=dccf_method, table=dccf)
    encoder, batch = model.encoder, batch_of(spec)
    final, (signals,) = encoder.layers()
    graph, table = encoder.graph, encoder.table
    torch.testing.assert_close(signals.graph, product(graph, table.detach()))
    r_user = (table[:USERS] @ encoder.user_intents.t()).softmax(1) @ encoder.user_intents
    torch.testing.assert_close(signals.intents[:USERS], r_user)
    parts = (signals.graph, signals.intents, signals.graph_masked, signals.intents_masked)
    torch.testing.assert_close(final, 2 * table + sum(parts))  # type: ignore[arg-type]
    expected = torch.zeros(())
    for other in parts[1:]:
        for rows in (batch.users.unique(), batch.items.unique() + USERS):
            expected = expected + contrast_by_hand(signals.graph[rows], other[rows], torch.arange(len(rows)), 1.0)
    terms = model(batch, Rng.root(0))
    torch.testing.assert_close(terms["contrast"], 0.1 * expected)
    norm = encoder.user_intents.square().sum() + encoder.item_intents.square().sum()
    torch.testing.assert_close(terms["intents"], 5e-3 * norm)
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_one_intent_is_the_same_for_all_nodes(spec: RecSpec) -> None:
    model = dccf.build(dccf.DccfOptions(dim=6, intents=1), spec)
    found = model.reconstructed(model.table)
    assert bool((found[:USERS] == model.user_intents).all())
    assert bool((found[USERS:] == model.item_intents).all())


@pytest.mark.parametrize(
    ("contrasts", "encoder"),
    [
        ([], {"layers": 3}),
        ([{"name": "noise"}], {"layers": 2, "ego": False}),
        ([{"name": "layer"}], {"layers": 2, "ego": False}),
        ([{"name": "graph"}], {"layers": 2}),
        ([{"name": "svd", "rank": 3}], {"layers": 2, "combine": "sum"}),
        ([{"name": "structure"}, {"name": "prototypes", "clusters": 3, "warmup": 0}], {"layers": 2}),
    ],
)
def test_every_recipe_lowers_its_loss_and_ranks_training_pairs_up(
    spec: RecSpec, contrasts: list[dict[str, Any]], encoder: dict[str, Any]
) -> None:
    model = made(
        spec, {"contrasts": contrasts, "noise": 0.1 if contrasts and contrasts[0]["name"] == "layer" else 0.0}, encoder
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    batch = batch_of(spec, 50)
    model.on_epoch_start(Progress(0, 1, 0, 30), dict)
    losses = []
    for step in range(30):
        optimizer.zero_grad()
        loss = torch.stack(list(model(batch, Rng.root(step)).values())).sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:2])
    seen = model.observe(batch, Rng.root(0))
    scores = (seen["view0"] * seen["view1"]).sum(1)
    shuffled = (seen["view0"] * seen["view1"].roll(7, 0)).sum(1)
    assert float(scores.mean()) > float(shuffled.mean())


def test_autocast_changes_no_number(spec: RecSpec) -> None:
    options = {"ranking": {"name": "alignment_uniformity"}, "contrasts": [{"name": "svd", "rank": 3}, {"name": "noise"}]}
    model = made(spec, options, {"layers": 2, "combine": "sum"})
    plain = model(batch_of(spec), Rng.root(0))
    with torch.autocast("cpu", torch.bfloat16):
        lowered = model(batch_of(spec), Rng.root(0))
    assert all(torch.equal(plain[name], lowered[name]) for name in plain)


def test_wrong_combinations_are_refused(spec: RecSpec) -> None:
    with pytest.raises(UsageError, match="expected each kind of term once"):
        made(spec, {"contrasts": [{"name": "layer"}, {"name": "layer"}]}, {"layers": 1})
    with pytest.raises(UsageError, match="no layer 3: the encoder has layers 0 to 2"):
        made(spec, {"contrasts": [{"name": "layer", "layer": 3}]}, {"layers": 2})(batch_of(spec), Rng.root(0))
    with pytest.raises(UsageError, match="no view of role negative"):
        made(spec, {}, {"layers": 0}, {"negatives": False})(batch_of(spec), Rng.root(0))
    with pytest.raises(ValueError, match="ego: true"):
        lightgcn.LightGcnOptions(layers=0, ego=False)
    model = lightgcn.build(lightgcn.LightGcnOptions(dim=2), spec)
    with pytest.raises(UsageError, match="Choose views: triples"):
        model(View(SimpleNamespace(rows=torch.arange(2)), role="user"))
