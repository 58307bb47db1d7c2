"""Encoders of signals: the published shapes and sizes, what a row may depend on, and what it must not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sslplug.contracts import Target, View
from sslplug.errors import DataError, UsageError
from sslplug_sequence.signals.batch import Signals
from sslplug_sequence.signals.decoders import signal
from sslplug_sequence.signals.encoders import ENCODERS, resnet1d
from sslplug_sequence.signals.spec import Scale, SignalSpec

RAGGED = ("tpn", "ts2vec", "transformer", "gru")


def spec(channels: int = 3, length: int = 128) -> SignalSpec:
    names = tuple(f"c{number}" for number in range(channels))
    return SignalSpec(names, ("wrist",), length, 50.0, ((0, 1, 2),), Scale((0.0,) * channels, (1.0,) * channels))


def encoder(name: str, of: SignalSpec, **options: object) -> nn.Module:
    torch.manual_seed(0)
    component = ENCODERS[name]
    made: nn.Module = component.build(component.options(**options), of)
    return made


def signals(rows: int, channels: int, length: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, channels, length, generator=torch.Generator().manual_seed(seed))


def view(values: Tensor, lengths: list[int] | None = None, hidden: Tensor | None = None) -> View:
    visible = None
    if lengths is not None:
        visible = torch.arange(values.shape[2]) < torch.tensor(lengths)[:, None]
        values = values * visible[:, None]
    return View(Signals(values, visible), mask={} if hidden is None else {"step": hidden.flatten()})


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_tpn_has_the_published_size() -> None:
    tpn = encoder("tpn", spec(3, 400)).eval()
    made = tpn(view(signals(5, 3, 400)))
    assert made["window"].shape == (5, 96)
    assert made["step"].shape == (5 * 400, 96)
    assert parameters(tpn) == (3 * 24 + 1) * 32 + (32 * 16 + 1) * 64 + (64 * 8 + 1) * 96


def test_tpn_is_three_valid_convolutions_and_a_maximum() -> None:
    tpn = encoder("tpn", spec(2, 60), widths=(4, 3), kernels=(5, 3)).double().eval()
    values = signals(2, 2, 60).double()
    x = values.numpy()
    for layer in tpn.convolutions:
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        span = weight.shape[2]
        pieces = np.stack([x[:, :, start : start + span] for start in range(x.shape[2] - span + 1)])
        x = np.maximum(np.einsum("pmck,dck->mdp", pieces, weight) + bias[:, None], 0)
    assert x.shape[2] == 60 - 4 - 2
    made = tpn(view(values))
    np.testing.assert_allclose(made["window"].detach(), x.max(2), atol=1e-12)
    steps = made["step"].view(2, 60, 3).detach().numpy()
    np.testing.assert_allclose(steps[:, 20], x[:, :, 20 - 3], atol=1e-12)  # a frame sees 7 samples: 3 before, 3 after
    np.testing.assert_allclose(steps[:, 59], x[:, :, -1], atol=1e-12)


@pytest.mark.parametrize(
    ("length", "widths", "millions", "dim"),
    [(300, (64, 128, 256, 512, 1024), 10.46, 1024), (150, (64, 128, 256, 256, 512), 4.23, 512)],
)
def test_resnet_is_the_released_one(length: int, widths: tuple[int, ...], millions: float, dim: int) -> None:
    resnet = encoder("resnet1d", spec(3, length), widths=widths).eval()
    assert round(parameters(resnet) / 1e6, 2) == millions
    lengths = []
    handles = [
        layer.register_forward_hook(lambda module, inputs, output: lengths.append(output.shape[2]))
        for layer in resnet.layers
        if isinstance(layer, resnet1d.Downsample)
    ]
    assert resnet(view(signals(2, 3, length)))["window"].shape == (2, dim)
    assert lengths == ([150, 75, 15, 3, 1] if length == 300 else [75, 37, 12, 4, 1])
    assert len(handles) == 5


@pytest.mark.parametrize("length", [1, 3, 24, 100, 125, 128, 150, 200, 300, 361, 900])
def test_resnet_factors_leave_one_frame(length: int) -> None:
    left = length
    for factor in resnet1d.derived_factors(length, 5):
        assert factor >= 1
        left //= factor
    assert left == 1


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_downsampling_smooths_with_boxes(factor: int) -> None:
    values = signals(1, 2, 30)
    order = 1 if factor % 2 else 2
    kernel = np.ones(factor) / factor
    smooth = values.double().numpy()
    smooth = np.pad(smooth, ((0, 0), (0, 0), ((order * (factor - 1)) // 2,) * 2))
    for _ in range(order + 1):
        smooth = np.stack([[np.convolve(channel, kernel, "valid") for channel in row] for row in smooth])
    made = resnet1d.Downsample(factor)(values)
    assert made.shape == (1, 2, 30 // factor)
    np.testing.assert_allclose(made, smooth[:, :, ::factor], atol=1e-6)


def test_circular_convolution_knows_no_ends() -> None:
    torch.manual_seed(0)
    layer = resnet1d.Circular(2, 3, 5)
    for length in (1, 2, 9):
        values = signals(2, 2, length)
        np.testing.assert_allclose(layer(values.roll(1, 2)).detach(), layer(values).roll(1, 2).detach(), atol=1e-5)


def test_tstcc_has_the_published_size() -> None:
    flat = encoder("tstcc", spec(9), pool="flatten").eval()
    made = flat(view(signals(4, 9, 128)))
    assert made["frame"].shape == (4 * 18, 128)
    assert made["window"].shape == (4, 128 * 18) == (4, flat.dims["window"])
    frames = made["frame"].view(4, 18, 128)
    assert torch.equal(made["window"].view(4, 128, 18), frames.transpose(1, 2))
    mean = encoder("tstcc", spec(9)).eval()(view(signals(4, 9, 128)))
    torch.testing.assert_close(mean["window"], frames.mean(1))
    with pytest.raises(DataError, match=r"100 samples make .* frames; expected 18"):
        flat(view(signals(4, 9, 100)))


def test_ts2vec_sees_as_far_as_its_dilations() -> None:
    made = encoder("ts2vec", spec(3, 200), depth=3, hidden=8, width=6).eval()
    values = signals(1, 3, 200)
    changed = values.clone()
    changed[0, 1, 100] += 1.0
    moved = (made(view(values))["step"] - made(view(changed))["step"]).abs().sum(1) > 0
    reach = 2 * (1 + 2 + 4 + 8)
    where = moved.nonzero()[:, 0]
    assert int(where.min()) == 100 - reach
    assert int(where.max()) == 100 + reach


@pytest.mark.parametrize("length", [7, 8, 9, 40])
def test_ts2vec_is_dilated_convolutions_with_gelu(length: int) -> None:
    made = encoder("ts2vec", spec(3, length), depth=3, hidden=8, width=6, dropout=0.0, mask_rate=0.0).double()
    values = signals(2, 3, length).double()
    steps = made.input(values.transpose(1, 2)).transpose(1, 2)
    for block in made.blocks:
        inner = block.second(nn.functional.gelu(block.first(nn.functional.gelu(steps))))
        steps = inner + (steps if block.around is None else block.around(steps.transpose(1, 2)).transpose(1, 2))
    found = made(view(values))
    torch.testing.assert_close(found["step"], steps.transpose(1, 2).reshape(-1, 6))
    torch.testing.assert_close(found["window"], steps.amax(2))
    assert [block.first.dilation[0] for block in made.blocks] == [1, 2, 4, 8]


def test_ts2vec_hides_samples_while_training_only() -> None:
    made = encoder("ts2vec", spec(), depth=2, dropout=0.0)
    values = signals(2, 3, 128)
    assert not torch.equal(made(view(values))["step"], made(view(values))["step"])
    made.eval()
    assert torch.equal(made(view(values))["step"], made(view(values))["step"])
    torch.manual_seed(3)
    shown = made.train()._shown(view(signals(200, 3, 128)))
    assert abs(float(shown.float().mean()) - 0.5) < 0.01


@pytest.mark.parametrize("name", ["ts2vec", "transformer"])
def test_hidden_samples_are_not_seen(name: str) -> None:
    assert "hides" in ENCODERS[name].provides(ENCODERS[name].options())
    made = encoder(name, spec()).eval()
    hidden = torch.rand(4, 128, generator=torch.Generator().manual_seed(1)) < 0.3
    values = signals(4, 3, 128)
    other = torch.where(hidden[:, None], torch.full_like(values, 7.0), values)
    first, second = made(view(values, hidden=hidden)), made(view(other, hidden=hidden))
    for level in made.dims:
        assert torch.equal(first[level], second[level])
    zeroed = made(view(values * ~hidden[:, None]))["window"]
    assert not torch.allclose(first["window"], zeroed), "a hidden sample must not look like a zero"


def test_gru_contexts_know_the_past_alone() -> None:
    made = encoder("gru", spec(), width=16).eval()
    values = signals(2, 3, 128)
    changed = values.clone()
    changed[:, :, 64] += 1.0
    first, second = made(view(values)), made(view(changed))
    moved = (first["frame"] - second["frame"]).detach().view(2, 128, -1).abs().amax(2)
    assert float(moved[:, : 64 - 3].max()) == 0  # three convolutions of three samples look 3 ahead
    assert float(moved[:, 64:80].min()) > 0
    assert first["latent"].shape == (2 * 128, 128)
    strided = encoder("gru", spec(), stride=4).eval()(view(values))
    assert strided["frame"].shape == (2 * 32, 256)


@pytest.mark.parametrize("name", RAGGED)
@pytest.mark.parametrize("pool", ["max", "mean", "last"])
def test_padding_does_not_change_a_row(name: str, pool: str) -> None:
    made = encoder(name, spec(3, 80), pool=pool).eval()
    values = signals(3, 3, 80)
    lengths = [80, 50, 9]
    together = made(view(values, lengths))
    for row, length in enumerate(lengths):
        alone = made(view(values[row : row + 1, :, :length]))
        torch.testing.assert_close(together["window"][row], alone["window"][0], atol=2e-6, rtol=1e-4)
        if "step" in made.dims:
            steps = together["step"].view(3, 80, -1)[row, :length]
            torch.testing.assert_close(steps, alone["step"], atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("name", RAGGED)
@pytest.mark.parametrize("pool", ["max", "mean", "last"])
def test_a_row_of_padding_alone_is_finite(name: str, pool: str) -> None:
    made = encoder(name, spec(3, 80), pool=pool)
    embedding = made(view(signals(2, 3, 80), [80, 0], hidden=torch.rand(2, 80) < 0.3))
    total = torch.stack([rows.square().sum() for rows in embedding.levels.values()]).sum()
    total.backward()
    assert bool(torch.isfinite(total))
    assert all(bool(torch.isfinite(p.grad).all()) for p in made.parameters())


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_other_rows_do_not_change_a_row(name: str) -> None:
    made = encoder(name, spec()).eval()
    values = signals(4, 3, 128)
    shifted = values.clone()
    shifted[1:] += 5.0
    torch.testing.assert_close(made(view(values))["window"][0], made(view(shifted))["window"][0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_levels_owners_and_gradients(name: str) -> None:
    made = encoder(name, spec())
    hidden = torch.zeros(6, 128, dtype=torch.bool)
    hidden[:, ::5] = True
    embedding = made(view(signals(6, 3, 128), hidden=hidden))
    assert set(embedding.levels) == set(made.dims)
    brought = ENCODERS[name].provides(ENCODERS[name].options())
    assert {f"level:{level}" for level in made.dims} == {tag for tag in brought if tag.startswith("level:")}
    for level, rows in embedding.levels.items():
        assert rows.shape[1] == made.dims[level]
        if level != "window":
            count = len(rows) // 6
            assert embedding.owner[level].tolist() == [row for row in range(6) for _ in range(count)]
    total = torch.stack([(rows * torch.randn_like(rows)).sum() for rows in embedding.levels.values()]).sum()
    total.backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in made.parameters())


@pytest.mark.parametrize("name", sorted(set(ENCODERS) - set(RAGGED)))
def test_encoders_of_one_length_refuse_ragged_series(name: str) -> None:
    with pytest.raises(DataError, match=r"1 of 2 series end before sample 128.*tpn, ts2vec"):
        encoder(name, spec())(view(signals(2, 3, 128), [128, 60]))


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="2 widths and 3 kernels"):
        encoder("tpn", spec(), widths=(4, 4))
    with pytest.raises(ValueError, match="different numbers of stages"):
        encoder("resnet1d", spec(), widths=(8, 8))
    with pytest.raises(UsageError, match=r"shorten 128 samples by 3125"):
        encoder("resnet1d", spec(), factors=(5, 5, 5, 5, 5))
    with pytest.raises(ValueError, match="width 62 with 4 heads"):
        encoder("transformer", spec(), width=62)


@pytest.mark.parametrize(("name", "patch"), [("transformer", 4), ("transformer", 5), ("ts2vec", 1)])
def test_signal_decoder_maps_each_frame_to_its_samples(name: str, patch: int) -> None:
    options = {"patch": patch} if name == "transformer" else {"depth": 2}
    made = encoder(name, spec(), **options).eval()
    torch.manual_seed(1)
    decoder = signal.build(signal.SignalDecoderOptions(patch=patch), spec(), made.dims)
    values = signals(3, 3, 128)
    rows = torch.tensor([0, 127, 128, 300, 383, 7])
    asked = View(Signals(values), targets={"signal": Target("step", torch.zeros(6, 3), rows)})
    embedding = made(asked)
    found = decoder(asked, embedding)["signal"]
    level = "frame" if name == "transformer" else "step"
    frames = embedding[level].view(3, -1, made.dims[level])
    linear = decoder.layers[0]
    for number, row in enumerate(rows.tolist()):
        window, sample = divmod(row, 128)
        whole = (linear.weight @ frames[window, sample // patch] + linear.bias).view(patch, 3)
        torch.testing.assert_close(found[number], whole[sample % patch], atol=1e-5, rtol=1e-4)
    wrong = signal.build(signal.SignalDecoderOptions(patch=patch + 1), spec(), made.dims)
    with pytest.raises(UsageError, match=r"set method.decoder.patch"):
        wrong(asked, embedding)
    with pytest.raises(UsageError, match="level frame or step"):
        signal.build(signal.SignalDecoderOptions(), spec(), {"window": 8})
