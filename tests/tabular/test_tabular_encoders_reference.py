"""Encoders against independent re-implementations on the same weights in float64."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslplug.contracts import View
from sslplug_tabular.batch import Rows
from sslplug_tabular.encoders import ENCODERS
from sslplug_tabular.encoders.attention import RowAttention
from sslplug_tabular.encoders.ft_transformer import sinusoids
from sslplug_tabular.spec import TableSpec

NUM, CARDINALITIES, N = 5, (4, 7), 9
WIDTH = NUM + len(CARDINALITIES)


def rows(n: int, seed: int) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    absent = torch.rand(n, NUM, generator=generator) < 0.2
    codes = torch.stack([torch.randint(0, c, (n,), generator=generator) for c in CARDINALITIES], 1)
    return Rows(torch.randn(n, NUM, generator=generator).masked_fill(absent, 0.0), absent, codes, torch.arange(n))


SPEC = TableSpec(tuple("abcde"), ("u", "v"), CARDINALITIES, rows(100, 1))


def made(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    component = ENCODERS[name]
    encoder: nn.Module = component.build(component.options(**options), SPEC)
    for parameter in encoder.parameters():  # norms start at 1, missing at 0; other values show where they enter
        parameter.data += 0.1 * torch.randn(parameter.shape)
    return encoder.double().eval()


def plain_tokens(encoder: nn.Module, batch: Rows, table: dict[str, Tensor], reg: bool) -> Tensor:
    """The tokeniser cell by cell."""
    out = []
    starts = [0, CARDINALITIES[0]]
    for r in range(batch.n):
        line = [table["reg"][0]] if reg else []
        for c in range(NUM):
            missing = bool(batch.missing[r, c])
            value = table["missing"][c] if missing else batch.numeric[r, c].double() * table["weight"][c]
            line.append(value + table["bias"][c])
        for c in range(2):
            line.append(table["table"][starts[c] + int(batch.codes[r, c])] + table["bias"][NUM + c])
        out.append(torch.stack(line))
    return torch.stack(out)


def plain_attention(x: Tensor, part: nn.Module, heads: int) -> Tensor:
    """Softmax attention head by head, rows (b, t, d)."""
    q, k, v = F.linear(x, part.qkv.weight, part.qkv.bias).chunk(3, -1)
    d = q.shape[-1] // heads
    found = []
    for h in range(heads):
        span = slice(h * d, (h + 1) * d)
        scores = q[..., span] @ k[..., span].transpose(1, 2) / math.sqrt(d)
        found.append(scores.softmax(-1) @ v[..., span])
    return F.linear(torch.cat(found, -1), part.out.weight, part.out.bias)


def test_ft_transformer_is_the_published_pre_norm_reglu_network() -> None:
    """Gorishniy et al. 2021, appendix: x + MHSA(norm x), no norm before the first; x + W2 (a * relu(g)); final norm."""
    encoder = made("ft_transformer", width=12, heads=3, layers=2, feedforward=16)
    batch = rows(N, 2)
    x = plain_tokens(encoder, batch, dict(encoder.tokens.named_parameters()), reg=True)
    for number, block in enumerate(encoder.blocks):
        norm = block.columns.norm
        inner = x if number == 0 else F.layer_norm(x, (12,), norm.weight, norm.bias)
        x = x + plain_attention(inner, block.columns.part, 3)
        norm, net = block.forward_columns.norm, block.forward_columns.part
        value, gate = F.linear(F.layer_norm(x, (12,), norm.weight, norm.bias), net.first.weight, net.first.bias).chunk(2, -1)
        x = x + F.linear(value * gate.clamp(min=0), net.second.weight, net.second.bias)
    x = F.layer_norm(x, (12,), encoder.end.weight, encoder.end.bias)
    embedding = encoder(View(batch))
    torch.testing.assert_close(embedding["row"], x[:, 0], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(embedding["cell"], x[:, 1:].flatten(0, 1), rtol=1e-10, atol=1e-10)
    assert embedding.owner["cell"].tolist() == [r for r in range(N) for _ in range(WIDTH)]


def test_t_jepas_form_is_torchs_post_norm_encoder() -> None:
    encoder = made(
        "ft_transformer", width=8, heads=2, layers=3, feedforward=10, norm="post", activation="relu",
        positions="sinusoidal", end="projection", row="flatten", initial="truncated",
    )  # fmt: skip
    batch = rows(N, 3)
    tokens = plain_tokens(encoder, batch, dict(encoder.tokens.named_parameters()), reg=True)
    place, channel = torch.arange(1 + WIDTH)[:, None], torch.arange(8)[None]
    angle = place / 10_000 ** ((channel // 2 * 2) / 8)
    x = tokens + torch.where(channel % 2 == 0, angle.sin(), angle.cos()).double()
    for block in encoder.blocks:
        theirs = nn.TransformerEncoderLayer(8, 2, 10, dropout=0.0, activation="relu", batch_first=True).double().eval()
        ours = block.columns.part
        theirs.self_attn.in_proj_weight.data, theirs.self_attn.in_proj_bias.data = ours.qkv.weight.data, ours.qkv.bias.data
        theirs.self_attn.out_proj.load_state_dict(ours.out.state_dict())
        theirs.linear1.load_state_dict(block.forward_columns.part.first.state_dict())
        theirs.linear2.load_state_dict(block.forward_columns.part.second.state_dict())
        theirs.norm1.load_state_dict(block.columns.norm.state_dict())
        theirs.norm2.load_state_dict(block.forward_columns.norm.state_dict())
        x = theirs(x)
    _, first, linear, _, second = encoder.end
    x = F.layer_norm(x, (8,), first.weight, first.bias)
    x = F.layer_norm(F.linear(x, linear.weight, linear.bias), (8,), second.weight, second.bias)
    embedding = encoder(View(batch))
    assert embedding["row"].shape == (N, (1 + WIDTH) * 8)
    torch.testing.assert_close(embedding["row"], x.flatten(1), rtol=1e-6, atol=1e-6)  # positions are float32
    torch.testing.assert_close(embedding["reg"], x[:, 0], rtol=1e-6, atol=1e-6)


def test_positions_are_sines_and_cosines() -> None:
    found = sinusoids(3, 4)
    assert found[1].tolist() == pytest.approx([math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)])
    assert sinusoids(5, 3).shape == (5, 3)


def test_row_attention_is_attention_over_concatenated_rows() -> None:
    torch.manual_seed(1)
    layer = RowAttention(width=4, tokens=3, heads=2, head_width=5, dropout=0.0, group=4).double()
    x = torch.randn(6, 3, 4, dtype=torch.float64)
    flat = x.view(1, 6, 12)
    assert layer.attention.qkv.out_features == 3 * 2 * 5
    torch.testing.assert_close(layer.train()(x), plain_attention(flat, layer.attention, 2)[0].view(6, 3, 4))
    # Evaluated in fixed groups of four rows: the fifth and sixth see each other alone.
    parts = [plain_attention(flat[:, :4], layer.attention, 2)[0], plain_attention(flat[:, 4:], layer.attention, 2)[0]]
    torch.testing.assert_close(layer.eval()(x), torch.cat(parts).view(6, 3, 4))


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_mlp_is_layers_on_numbers_and_one_hot_codes(norm: str) -> None:
    """The sum of tokens is a linear layer on [x, missing, one-hot codes]."""
    encoder = made("mlp", widths=(6, 5), norm=norm)
    batch, cells = rows(N, 4), encoder.cells
    one_hot = [F.one_hot(batch.codes[:, c], size) for c, size in enumerate(CARDINALITIES)]
    features = torch.cat([batch.numeric.double(), batch.missing.double(), *map(Tensor.double, one_hot)], 1)
    weight = torch.cat([cells.weight, cells.missing, cells.table])
    x = features @ weight + cells.bias.sum(0)
    linears = [m for m in encoder.layers if isinstance(m, nn.Linear)]
    norms = [m for m in encoder.layers if isinstance(m, nn.BatchNorm1d)]
    for number in range(2):
        x = x if number == 0 else F.linear(x, linears[0].weight, linears[0].bias)
        if norms:
            x = (x - norms[number].running_mean) / (norms[number].running_var + 1e-5).sqrt()
            x = x * norms[number].weight + norms[number].bias
        x = x.clamp(min=0)
    torch.testing.assert_close(encoder(View(batch))["row"], x, rtol=1e-10, atol=1e-10)


def test_resnet_is_the_published_one() -> None:
    encoder = made("resnet", width=6, blocks=2, factor=1.5)
    batch = rows(N, 5)
    x = plain_tokens(encoder, batch, dict(encoder.cells.named_parameters()), reg=False).sum(1)

    def norm(layer: nn.BatchNorm1d, x: Tensor) -> Tensor:
        return (x - layer.running_mean) / (layer.running_var + 1e-5).sqrt() * layer.weight + layer.bias

    for block in encoder.blocks:
        before, first, _, _, second, _ = block.part
        assert first.out_features == 9
        hidden = F.linear(norm(before, x), first.weight, first.bias).clamp(min=0)
        x = x + F.linear(hidden, second.weight, second.bias)
    torch.testing.assert_close(encoder(View(batch))["row"], norm(encoder.end[0], x).clamp(min=0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("hide", [False, True])
def test_the_sum_of_tokens_is_computed_without_tokens(hide: bool) -> None:
    cells = made("mlp", widths=(6,)).cells
    batch = rows(N, 6)
    hidden = torch.rand(N, WIDTH, generator=torch.Generator().manual_seed(0)) < 0.4 if hide else None
    tokens = cells(batch)
    plain = (tokens if hidden is None else tokens * ~hidden[:, :, None]).sum(1)
    torch.testing.assert_close(cells.total(batch, hidden), plain, rtol=1e-10, atol=1e-10)
