"""The written-out recurrence against torch's GRU, and encoders that see neither padding nor neighbours."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

from sslplug.contracts import DataContext, Order, View
from sslplug.randomness import Rng
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.data import DATA
from sslplug_sequence.events.encoders import ENCODERS
from sslplug_sequence.events.encoders.recurrence import RaggedGru, Steps
from sslplug_sequence.events.plugin import PLUGIN

LENGTHS = [4, 0, 7, 1, 4]


def ragged(lengths: list[int], width: int) -> tuple[Events, Tensor]:
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    m = int(offsets[-1])
    empty = torch.empty(m, 0)
    batch = Events(offsets, torch.arange(m).double(), empty.long(), empty, empty.bool(), torch.arange(len(lengths)))
    return batch, torch.randn(m, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def reference(rows: Tensor, cells: list[nn.GRU], start: Tensor) -> Tensor:
    """torch's GRU, a layer after the other, on packed sequences."""
    sequences = [part for part in rows.split(LENGTHS) if len(part)]
    for layer, cell in enumerate(cells):
        packed = pack_sequence(sequences, enforce_sorted=False)
        begin = torch.tanh(start[layer]).expand(1, len(sequences), -1).contiguous()
        sequences = unpack_sequence(cell(packed, begin)[0])
    return torch.cat(sequences)


def test_values_and_gradients_are_those_of_torch() -> None:
    torch.manual_seed(0)
    batch, rows = ragged(LENGTHS, 5)
    recurrent = RaggedGru(5, 6, 2).double()
    weight = torch.randn(len(rows), 6, dtype=torch.float64)
    results = []
    for ours in (True, False):
        recurrent.zero_grad()
        leaf = rows.clone().requires_grad_()
        if ours:
            out, start = recurrent(leaf, Steps.of(batch), len(LENGTHS))
            assert torch.equal(start, torch.tanh(recurrent.start[1]).expand(5, -1))
        else:
            out = reference(leaf, list(recurrent.cells), recurrent.start)  # type: ignore[arg-type]
        (out * weight).sum().backward()
        grads = [leaf.grad, *(p.grad.clone() for p in recurrent.parameters() if p.grad is not None)]
        results.append([out.detach(), *grads])
    assert len(results[0]) == 2 + 9
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_under_autocast_states_keep_their_precision() -> None:
    torch.manual_seed(0)
    batch, rows = ragged(LENGTHS, 5)
    recurrent, steps = RaggedGru(5, 6, 2), Steps.of(batch)
    wanted = recurrent(rows.float(), steps, 5)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = recurrent(rows.float(), steps, 5)[0]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=0.05, atol=0.02)
    found.sum().backward()
    assert torch.isfinite(recurrent.start.grad).all()  # type: ignore[arg-type]


def test_derivative_of_the_recurrence_numerically() -> None:
    torch.manual_seed(0)
    batch, rows = ragged([3, 2], 2)
    recurrent = RaggedGru(2, 3, 1).double()
    steps = Steps.of(batch)
    assert torch.autograd.gradcheck(lambda x: recurrent(x, steps, 2)[0], (rows.requires_grad_(),))


def shoppers() -> Events:
    made = DATA["shoppers"].build(DATA["shoppers"].options(shoppers=60), DataContext(None, None, 0))  # type: ignore[arg-type]
    return made.spec, made.batches(Order(0, 0))[0]  # type: ignore[return-value]


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("pooling", ["last", "mean", "last_mean_max"])
def test_a_sequence_is_embedded_alike_alone_and_beside_longer_ones(name: str, pooling: str) -> None:
    spec, batch = shoppers()  # type: ignore[misc]
    torch.manual_seed(0)
    encoder = ENCODERS[name].build(ENCODERS[name].options(pooling=pooling), spec).eval()
    short = int(batch.lengths.argmin())
    with torch.no_grad():
        among, alone = encoder(View(batch)), encoder(View(batch.take(torch.tensor([short]))))
    torch.testing.assert_close(among["entity"][short], alone["entity"][0], rtol=1e-4, atol=1e-5)
    inside = batch.owner == short
    torch.testing.assert_close(among["event"][inside], alone["event"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_what_follows_an_event_changes_nothing_about_it(name: str) -> None:
    spec, batch = shoppers()  # type: ignore[misc]
    torch.manual_seed(0)
    encoder = ENCODERS[name].build(ENCODERS[name].options(), spec).eval()
    last = batch.offsets[1:] - 1
    codes = batch.codes.index_put((last,), torch.ones(len(last), batch.codes.shape[1], dtype=torch.int64))
    with torch.no_grad():
        before, after = encoder(View(batch))["event"], encoder(View(replace(batch, codes=codes)))["event"]
    moved = (before != after).any(1)
    assert moved[last].any()
    moved[last] = False
    assert not moved.any()


def test_a_bidirectional_transformer_looks_ahead_and_an_empty_sequence_has_a_row() -> None:
    spec, batch = shoppers()  # type: ignore[misc]
    for name, options in (("transformer", {"causal": False}), ("gru", {"pooling": "last_mean_max"})):
        encoder = ENCODERS[name].build(ENCODERS[name].options(**options), spec).eval()
        cut = batch.slices(torch.arange(3), torch.zeros(3).long(), torch.tensor([5, 0, 5]))
        with torch.no_grad():
            found = encoder(View(cut))
        assert torch.isfinite(found["entity"]).all()
        nothing = batch.slices(torch.arange(2), torch.zeros(2).long(), torch.zeros(2).long())
        with torch.no_grad():
            torch.testing.assert_close(encoder(View(nothing))["entity"][0], found["entity"][1])
    encoder = ENCODERS["transformer"].build(ENCODERS["transformer"].options(causal=False), spec).eval()
    one = batch.take(torch.tensor([0]))
    changed = one.codes.clone()
    changed[-1] = 1
    with torch.no_grad():
        assert not torch.equal(encoder(View(one))["event"][0], encoder(View(replace(one, codes=changed)))["event"][0])


def test_masked_events_are_hidden_from_the_encoder() -> None:
    spec, batch = shoppers()  # type: ignore[misc]
    view = PLUGIN.views["mask"].build(PLUGIN.views["mask"].options(rate=0.3), spec)(batch, Rng.root(0))[0]
    encoder = ENCODERS["gru"].build(ENCODERS["gru"].options(), spec).eval()
    hidden = view.mask["event"]
    other = replace(
        view.data,
        codes=torch.where(hidden[:, None], 1, view.data.codes),
        numbers=torch.where(hidden[:, None], 5.0, view.data.numbers),
    )
    with torch.no_grad():
        assert torch.equal(encoder(view)["event"], encoder(replace(view, data=other))["event"])
