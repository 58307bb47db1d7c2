"""T-JEPA: masks by their rules, the predictor against torch's own layers one set and one row at a time, one step by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug.errors import UsageError
from sslplug.methods.latent_prediction import LatentPrediction, LatentPredictionOptions
from sslplug.objectives import OBJECTIVES
from sslplug.randomness import Rng
from sslplug_tabular.batch import Rows
from sslplug_tabular.decoders.jepa_predictor import JepaPredictor, JepaPredictorOptions
from sslplug_tabular.encoders.ft_transformer import FtTransformer, FtTransformerOptions
from sslplug_tabular.spec import TableSpec
from sslplug_tabular.views.tjepa_masks import TJepaMasks, TJepaMasksOptions, build, provides

NUM, CAT, SIZES = 7, 4, (3, 5, 4, 9)
D = NUM + CAT


def table(n: int, seed: int = 0) -> Rows:
    g = torch.Generator().manual_seed(seed)
    codes = torch.stack([torch.randint(0, size, (n,), generator=g) for size in SIZES], 1)
    missing = torch.rand(n, NUM, generator=g) < 0.1
    numeric = torch.randn(n, NUM, generator=g).masked_fill(missing, 0.0)
    return Rows(numeric, missing, codes, torch.arange(n) + 1000 * seed)


SPEC = TableSpec(tuple(f"x{i}" for i in range(NUM)), tuple(f"c{i}" for i in range(CAT)), SIZES, table(200))


def views(**options: Any) -> TJepaMasks:
    return build(TJepaMasksOptions(**options), SPEC)


def columns_of(view: View, n: int, width: int = D) -> tuple[Tensor, list[Tensor]]:
    """(n, D) bool of what is seen, and the (n, n_T) columns of each set."""
    seen = ~view.mask["cell"].view(n, width)
    names = sorted(name for name in view.targets if name.startswith("set"))
    return seen, [view.targets[name].values.view(n, -1) for name in names]


def test_sets_and_context_are_disjoint_and_counts_are_the_batch_s() -> None:
    batch = table(64)
    for draw in range(30):
        whole, context = views()(batch, Rng.root(draw))
        assert (whole.role, context.role) == ("target", "context")
        assert not whole.mask
        assert whole.data is batch
        assert context.data is batch
        seen, sets = columns_of(context, 64)
        assert len(set(seen.sum(1).tolist())) == 1, "as many cells are seen in each row"
        assert len({chosen.shape for chosen in sets}) == 1
        assert len(sets) == 4
        assert int(seen[0].sum()) + sets[0].shape[1] <= D
        assert 1 <= int(seen[0].sum()) <= round(0.368 * D)
        assert round(0.156 * D) <= sets[0].shape[1] <= round(0.622 * D)
        for number, chosen in enumerate(sets):
            assert not bool(seen.gather(1, chosen).any()), "nothing that is seen is predicted"
            assert all(len(set(row)) == len(row) for row in chosen.tolist()), "a set names a column once"
            rows = context.targets[f"set{number}"].rows
            assert rows is not None
            assert torch.equal(rows.view(64, -1) // D, torch.arange(64)[:, None].expand_as(chosen))
            assert torch.equal(rows.view(64, -1) % D, chosen)


def test_target_sets_are_drawn_apart_and_rows_too() -> None:
    """The published code stores four views of one buffer: all four sets of a row are then the same."""
    batch = table(300)
    _, context = views(context=(0.25, 0.3), target=(0.2, 0.4))(batch, Rng.root(3))
    seen, sets = columns_of(context, 300)
    sorted_sets = [chosen.sort(1).values for chosen in sets]
    left, wanted = D - int(seen[0].sum()), sets[0].shape[1]
    alike = 1 / float(np.prod([(left - i) / (wanted - i) for i in range(wanted)]))  # 1 / (left choose wanted)
    for a in range(4):
        for b in range(a):
            share = float((sorted_sets[a] == sorted_sets[b]).all(1).float().mean())
            assert share < alike + 4 * (alike / 300) ** 0.5, f"sets {a} and {b} agree in {share:.3f} of the rows"
    assert len({tuple(row) for row in seen.tolist()}) > 30, "rows see different columns"
    held = [context.targets[f"set{k}"].rows for k in range(4)]
    assert len({rows.data_ptr() for rows in held if rows is not None}) == 4, "no set shares memory with another"


def test_counts_follow_the_rule_of_drawing_again() -> None:
    made, draws = views(context=(0.2, 0.7), target=(0.2, 0.8)), 3000
    batch, found = table(1), Counter[tuple[int, int]]()
    for draw in range(draws):
        seen, sets = columns_of(made(batch, Rng.root(draw))[1], 1)
        found[int(seen.sum()), sets[0].shape[1]] += 1
    g, wanted = np.random.default_rng(0), Counter[tuple[int, int]]()
    for _ in range(40_000):
        c, t = g.integers(round(0.2 * D), round(0.7 * D) + 1), g.integers(round(0.2 * D), round(0.8 * D) + 1)
        while c + t > D:
            c, t = g.integers(round(0.2 * D), round(0.7 * D) + 1), g.integers(round(0.2 * D), round(0.8 * D) + 1)
        wanted[int(c), int(t)] += 1
    assert set(found) == set(wanted)
    for pair, count in wanted.items():
        assert found[pair] / draws == pytest.approx(count / 40_000, abs=4 * (1 / len(wanted) / draws) ** 0.5)


def test_columns_are_equally_likely_and_the_declared_rate_is_kept() -> None:
    made, batch = views(), table(400)
    hidden = torch.stack([made(batch, Rng.root(draw))[1].mask["cell"].view(400, D).float() for draw in range(60)])
    assert float(hidden.mean()) == pytest.approx(made.rates["1/mask:cell"], abs=0.03)
    per_column = hidden.mean((0, 1))
    assert torch.allclose(per_column, per_column.mean().expand(D), atol=0.02)


def test_a_row_s_masks_depend_on_stream_and_row_alone() -> None:
    batch, some = table(40), torch.tensor([31, 2, 17])
    first, part = views()(batch, Rng.root(5))[1], views()(batch.take(some), Rng.root(5))[1]
    seen, sets = columns_of(first, 40)
    part_seen, part_sets = columns_of(part, 3)
    assert torch.equal(seen[some], part_seen)
    assert all(torch.equal(a[some], b) for a, b in zip(sets, part_sets, strict=True))
    assert not torch.equal(seen, columns_of(views()(batch, Rng.root(6))[1], 40)[0])


def test_labels_ride_on_both_views() -> None:
    batch = replace(table(10), labels=torch.tensor([1, 0]), labelled=torch.tensor([3, 7]))
    for view in views()(batch, Rng.root(0)):
        assert torch.equal(view.targets["label"].values, torch.tensor([1, 0]))
        assert torch.equal(view.targets["label"].rows, torch.tensor([3, 7]))
    assert all("label" not in view.targets for view in views()(table(10), Rng.root(0)))


def test_compat_counts_reg_as_a_column_and_leaves_the_last_one_out() -> None:
    made, batch = views(compat=True), table(50)
    assert {"target:set0", "target:set0_reg"} <= provides(TJepaMasksOptions(compat=True))
    reg_hidden, reg_asked = [], []
    for draw in range(40):
        _, context = made(batch, Rng.root(draw))
        seen, reg = ~context.mask["cell"].view(50, D), ~context.mask["reg"]
        assert len(set((seen.sum(1) + reg).tolist())) == 1, "as many tokens are seen in each row, [REG] among them"
        assert not bool(seen[:, -1].any()), "the last column is never seen"
        reg_hidden.append(float((~reg).float().mean()))
        for number in range(4):
            cells, regs = context.targets[f"set{number}"], context.targets[f"set{number}_reg"]
            assert cells.rows is not None
            assert regs.rows is not None
            assert not bool((cells.values == D - 1).any()), "nor predicted"
            assert torch.equal(cells.rows % D, cells.values)
            assert not bool(seen.flatten()[cells.rows].any())
            assert not bool(reg[regs.rows].any()), "[REG] is predicted where it is not seen"
            each = torch.bincount(cells.rows // D, minlength=50) + torch.bincount(regs.rows, minlength=50)
            assert len(set(each.tolist())) == 1
            reg_asked.append(len(regs.rows))
    assert 0.5 < sum(reg_hidden) / 40 < 0.95
    assert sum(reg_asked) > 0
    hidden = torch.stack([made(batch, Rng.root(draw))[1].mask["cell"].float() for draw in range(60)])
    assert float(hidden.mean()) == pytest.approx(made.rates["1/mask:cell"], abs=0.03)
    plain = views()(batch, Rng.root(0))[1]
    assert "reg" not in plain.mask, "without compat [REG] is always seen"
    assert not [name for name in plain.targets if name.endswith("_reg")], "and never predicted"


def test_tables_too_narrow_and_shares_that_cannot_be_are_refused() -> None:
    narrow = TableSpec(("a", "b", "c", "d"), (), (), table(3))
    with pytest.raises(UsageError, match=r"4 columns.*at least 5.*another method"):
        build(TJepaMasksOptions(), narrow)
    with pytest.raises(UsageError, match=r"11 columns, of which views.target \(0.02, 0.3\) takes 0 to 3"):
        views(target=(0.02, 0.3))
    with pytest.raises(UsageError, match=r"leaves room for a target set"):
        views(context=(0.9, 0.9), target=(0.5, 0.6))
    with pytest.raises(UsageError, match=r"views.context is \(0.5, 0.2\)"):
        views(context=(0.5, 0.2))


WIDTH = 8
ENCODER = FtTransformerOptions(
    width=WIDTH, layers=2, heads=2, feedforward=12, activation="relu", norm="post", positions="sinusoidal", end="projection",
    row="flatten", initial="truncated",
)  # fmt: skip
PREDICTOR = JepaPredictorOptions(width=12, layers=3, heads=3, feedforward=10)


def parts() -> tuple[FtTransformer, JepaPredictor]:
    torch.manual_seed(0)
    encoder = FtTransformer(ENCODER, SPEC)
    predictor = JepaPredictor(PREDICTOR, SPEC, encoder.dims)
    with torch.no_grad():
        for p in [*encoder.parameters(), *predictor.parameters()]:
            p.add_(0.2 * torch.randn_like(p))
    return encoder.double(), predictor.double()


def torch_s_own(predictor: JepaPredictor) -> nn.TransformerEncoder:
    """The same transformer made of torch's layers."""
    layer = nn.TransformerEncoderLayer(12, 3, 10, dropout=0.0, activation="relu", batch_first=True, norm_first=False)
    own = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False).double().train()
    with torch.no_grad():
        for theirs, block in zip(own.layers, predictor.blocks, strict=True):
            attention, feedforward = block.columns.part, block.forward_columns.part
            theirs.self_attn.in_proj_weight.copy_(attention.qkv.weight)
            theirs.self_attn.in_proj_bias.copy_(attention.qkv.bias)
            theirs.self_attn.out_proj.load_state_dict(attention.out.state_dict())
            theirs.linear1.load_state_dict(feedforward.first.state_dict())
            theirs.linear2.load_state_dict(feedforward.second.state_dict())
            theirs.norm1.load_state_dict(block.columns.norm.state_dict())
            theirs.norm2.load_state_dict(block.forward_columns.norm.state_dict())
    return own


def place_code(place: int, width: int) -> Tensor:
    """Sines and cosines of one place, from the formula."""
    rates = [10_000.0 ** (-2 * (i // 2) / width) for i in range(width)]
    return torch.tensor([np.sin(place * r) if i % 2 == 0 else np.cos(place * r) for i, r in enumerate(rates)])


@pytest.mark.parametrize("compat", [False, True])
def test_predictor_is_a_plain_transformer_one_set_and_one_row_at_a_time(compat: bool) -> None:
    encoder, predictor = parts()
    own, batch = torch_s_own(predictor), table(6)
    for draw in range(4):
        _, context = views(compat=compat)(batch, Rng.root(draw))
        embedding = encoder(context)
        found = predictor(context, embedding)
        hidden = context.mask["cell"].view(6, D)
        reg_hidden = context.mask.get("reg", torch.zeros(6, dtype=torch.bool))
        for name in (f"set{k}" for k in range(4)):
            target, regs = context.targets[name], context.targets.get(f"{name}_reg")
            assert target.rows is not None
            for r in range(6):
                cells = [int(c) for c in target.values[target.rows // D == r]]
                at = [i for i, row in enumerate(target.rows.tolist()) if row // D == r]
                seen = [] if bool(reg_hidden[r]) else [predictor.narrow(embedding["reg"][r]) + place_code(0, 12)]
                for c in range(D):
                    if not bool(hidden[r, c]):
                        code = predictor.narrow(embedding["cell"].view(6, D, -1)[r, c])
                        seen.append(code + place_code(c + 1, 12))
                asked = [predictor.asked + place_code(c + 1, 12) for c in cells]
                reg_rows = [] if regs is None or regs.rows is None else regs.rows.tolist()
                if r in reg_rows:
                    asked.append(predictor.asked + place_code(0, 12))
                out = predictor.end(own(torch.stack([*seen, *asked])[None])[0, len(seen) :])
                wanted = torch.cat([out[: len(cells)]])
                assert torch.allclose(found[name][at], wanted, atol=1e-6), f"{name} of row {r}"
                if r in reg_rows:
                    assert torch.allclose(found[f"{name}_reg"][reg_rows.index(r)], out[-1], atol=1e-6)


def test_hidden_cells_reach_no_prediction() -> None:
    encoder, predictor = parts()
    batch = table(6)
    _, context = views()(batch, Rng.root(1))
    hidden = context.mask["cell"].view(6, D)
    other = table(6, seed=4)
    changed = replace(
        batch,
        numeric=torch.where(hidden[:, :NUM], other.numeric, batch.numeric),
        missing=torch.where(hidden[:, :NUM], other.missing, batch.missing),
        codes=torch.where(hidden[:, NUM:], other.codes, batch.codes),
    )
    first = predictor(context, encoder(context))
    second = predictor(replace(context, data=changed), encoder(replace(context, data=changed)))
    assert all(torch.equal(first[name], second[name]) for name in first)
    unseen = predictor(replace(context, data=other), encoder(replace(context, data=other)))
    assert not torch.allclose(first["set0"], unseen["set0"])


@pytest.mark.parametrize("compat", [False, True])
def test_one_step_by_hand_and_a_gradient_everywhere(compat: bool) -> None:
    encoder, predictor = parts()
    teacher, _ = parts()
    with torch.no_grad():
        for p in teacher.parameters():
            p.add_(0.05)
    teacher.requires_grad_(False)
    options = LatentPredictionOptions(decoder={"name": "jepa_predictor"})
    objective = OBJECTIVES["mse"].build(OBJECTIVES["mse"].options(), 0)
    made, batch = views(compat=compat), table(32)
    method = LatentPrediction(made, encoder, teacher, predictor, objective, options, "row")
    loss = method(batch, Rng.root(2))["mse"]
    whole, context = made(batch, Rng.root(2))
    codes, predictions = teacher(whole), predictor(context, encoder(context))
    errors = [
        (predictions[name] - codes[target.level][target.rows]).square().flatten() for name, target in context.targets.items()
    ]
    assert torch.isclose(loss, torch.cat(errors).mean(), rtol=1e-12)
    loss.backward()
    silent = [
        name for name, p in method.named_parameters() if p.requires_grad and (p.grad is None or not bool(p.grad.any()))
    ]
    # A bias of keys shifts all of a token's logits alike and never gets a gradient; unseen categories may not be in the batch.
    assert not silent, silent
    assert torch.equal(method.observe(batch, Rng.root(0))["view0"], teacher(whole)["row"])
    assert teacher(whole)["row"].shape == (32, (D + 1) * WIDTH)


def test_predictor_says_what_it_cannot_read() -> None:
    encoder, predictor = parts()
    batch = table(6)
    whole, context = views()(batch, Rng.root(1))
    with pytest.raises(UsageError, match="no level reg"):
        JepaPredictor(PREDICTOR, SPEC, {"cell": 8, "row": 8})
    with pytest.raises(UsageError, match="mask hides cells"):
        predictor(whole, encoder(whole))
    first = context.targets["set0"]
    uneven = replace(context, targets={"set0": replace(first, values=first.values[1:], rows=first.rows[1:])})
    with pytest.raises(UsageError, match=r"cells of 6 rows; expected as many of each"):
        predictor(uneven, encoder(context))
    with pytest.raises(UsageError, match="Target sets of no cells a row"):
        predictor(replace(context, targets={}), Embedding(encoder(context).levels))


@pytest.mark.parametrize("compat", [False, True])
def test_a_batch_cut_in_shares_gives_the_same_loss(compat: bool) -> None:
    """Ranks and micro-batches: counts come from the stream, columns from stream and row."""
    encoder, predictor = parts()
    teacher, _ = parts()
    options = LatentPredictionOptions(decoder={"name": "jepa_predictor"})
    objective = OBJECTIVES["mse"].build(OBJECTIVES["mse"].options(), 0)
    method = LatentPrediction(views(compat=compat), encoder, teacher, predictor, objective, options, "row")
    batch = table(24)
    whole = method(batch, Rng.root(4))["mse"]
    shares = [method(batch.take(torch.arange(start, start + 8)), Rng.root(4))["mse"] for start in (0, 8, 16)]
    assert torch.isclose(torch.stack(shares).mean(), whole, rtol=1e-10)
