"""One training step of TS2Vec, milliseconds and windows a second: sslplug and the plainest torch loop, side by side at equal sizes.

    python tests/benchmarks/bench_signals.py [--rounds 5] [--steps 4] [--threads 1]

A step is: two overlapping crops, both through the dilated encoder (64 wide, ten blocks and a last one of 320), the hierarchical
loss, backward, AdamW, and the running average of the parameters. Contestants:

    sslplug   the plugin's views, encoder and method
    batched   the same step as the paper's authors arrange it: crops gathered row by row, one matrix a scale, log-softmax over it
    plain     the equations as they stand: a loop over windows and one over time at every scale

All crop at the same places. They take turns, so that a busy machine is busy for all; the best round counts, the median is beside it. Time is processor time
(one thread by default), which a busy neighbour does not inflate. Losses are compared first: all three compute one number.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS, HIDDEN, WIDTH, DEPTH = 9, 64, 320, 10
SIZES = ((8, 128), (16, 128), (8, 256))
"""Windows of a batch and samples of a window: the paper's batch of 8, and twice as many or as long."""


class PlainEncoder(nn.Module):
    """The dilated encoder, written down layer by layer. (B, T, C) -> (B, T, WIDTH)."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Linear(CHANNELS, HIDDEN)
        self.convolutions = nn.ModuleList()
        self.around = nn.Conv1d(HIDDEN, WIDTH, 1)
        for number in range(DEPTH + 1):
            out, dilation = (HIDDEN if number < DEPTH else WIDTH), 2**number
            self.convolutions.append(nn.Conv1d(HIDDEN, out, 3, padding=dilation, dilation=dilation))
            self.convolutions.append(nn.Conv1d(out, out, 3, padding=dilation, dilation=dilation))
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.input(x)
        if self.training:
            x = x * (torch.rand(x.shape[:2]) >= 0.5)[:, :, None]
        x = x.transpose(1, 2)
        for number in range(0, len(self.convolutions), 2):
            inner = self.convolutions[number + 1](F.gelu(self.convolutions[number](F.gelu(x))))
            x = inner + (x if number < 2 * DEPTH else self.around(x))
        return self.dropout(x.transpose(1, 2))


def same_parameters(plain: PlainEncoder, ours: nn.Module) -> None:
    """Copies the plugin's parameters into the plain encoder."""
    plain.input.load_state_dict(ours.input.state_dict())
    for number, block in enumerate(ours.blocks):
        plain.convolutions[2 * number].load_state_dict(block.first.state_dict())
        plain.convolutions[2 * number + 1].load_state_dict(block.second.state_dict())
    around = ours.blocks[-1].around
    plain.around.load_state_dict({"weight": around.weight[:, :, None], "bias": around.bias})


def plain_loss(a: Tensor, b: Tensor) -> Tensor:
    """The equations as they stand."""
    losses = []
    while True:
        count = a.shape[1]
        across = torch.stack([one_side(a[:, t], b[:, t]) for t in range(count)]).mean()
        within = torch.stack([one_side(a[i], b[i]) for i in range(len(a))]).mean() if count > 1 else 0.0
        losses.append(0.5 * across + 0.5 * within)
        if count == 1:
            return torch.stack(losses).mean()
        a, b = (F.max_pool1d(x.transpose(1, 2), 2).transpose(1, 2) for x in (a, b))


def one_side(a: Tensor, b: Tensor) -> Tensor:
    """Cross-entropy of (n, d) rows with their partners; the row itself is no candidate."""
    n = len(a)
    rows = torch.cat([a, b])
    scores = (rows @ rows.t()).masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
    return F.cross_entropy(scores, torch.cat([torch.arange(n, 2 * n), torch.arange(n)]))


def batched_loss(a: Tensor, b: Tensor) -> Tensor:
    """One matrix a scale, the diagonal cut out by joining its two triangles, log-softmax over the rest."""
    losses = []
    while True:
        count = a.shape[1]
        loss = 0.5 * side_by_side(a.transpose(0, 1), b.transpose(0, 1))
        if count > 1:
            loss = loss + 0.5 * side_by_side(a, b)
        losses.append(loss)
        if count == 1:
            return torch.stack(losses).mean()
        a, b = (F.max_pool1d(x.transpose(1, 2), 2).transpose(1, 2) for x in (a, b))


def side_by_side(a: Tensor, b: Tensor) -> Tensor:
    n = a.shape[1]
    rows = torch.cat([a, b], dim=1)
    scores = torch.matmul(rows, rows.transpose(1, 2))
    logits = torch.tril(scores, diagonal=-1)[:, :, :-1] + torch.triu(scores, diagonal=1)[:, :, 1:]
    logits = -F.log_softmax(logits, dim=-1)
    i = torch.arange(n)
    return (logits[:, i, n + i - 1].mean() + logits[:, n + i, i].mean()) / 2


@dataclass(frozen=True)
class Figure:
    """Where the two crops of a step lie: as the plugin's views drew them, so that all contestants crop alike."""

    starts: tuple[list[int], list[int]]
    lengths: tuple[int, int]
    shared: int

    @classmethod
    def drawn(cls, views: object, batch: object, number: int) -> Figure:
        from sslplug.randomness import Rng

        one, two = views(batch, Rng.root(number))  # type: ignore[operator]
        starts = one.params["start"].tolist(), two.params["start"].tolist()
        lengths = one.data.values.shape[2], two.data.values.shape[2]
        return cls(starts, lengths, int(one.params["shared"][1]))


def crop_by_row(x: Tensor, figure: Figure) -> tuple[Tensor, Tensor]:
    """The two crops of (B, T, C), each row cut at a place of its own."""
    one, two = (
        torch.stack([row[start : start + length] for row, start in zip(x, starts, strict=True)])
        for starts, length in zip(figure.starts, figure.lengths, strict=True)
    )
    return one, two


def plain_step(x: Tensor, loss: Callable[[Tensor, Tensor], Tensor], figures: list[Figure]) -> Callable[[int], None]:
    """A step of the plain loop with ``loss``."""
    torch.manual_seed(0)
    encoder = PlainEncoder()
    average = torch.optim.swa_utils.AveragedModel(encoder)
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=1e-3)

    def step(number: int) -> None:
        one, two = crop_by_row(x, figures[number])
        count = figures[number].shared
        value = loss(encoder(one)[:, -count:], encoder(two)[:, :count])
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        average.update_parameters(encoder)

    return step


def sslplug_step(x: Tensor, views: object, batch: object) -> Callable[[int], None]:
    """A step of the plugin."""
    from sslplug.contracts import Progress
    from sslplug.randomness import Rng
    from sslplug_sequence.signals.encoders.ts2vec import Ts2VecOptions, build
    from sslplug_sequence.signals.methods.ts2vec import Ts2VecMethod
    from sslplug_sequence.signals.methods.ts2vec import Ts2VecOptions as MethodOptions

    torch.manual_seed(0)
    method = Ts2VecMethod(MethodOptions(), views, build(Ts2VecOptions(), signal_spec(x.shape[1]))).train()
    optimiser = torch.optim.AdamW(method.student.parameters(), lr=1e-3, fused=True)

    def step(number: int) -> None:
        value = method(batch, Rng.root(number))["hierarchical"]
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        method.after_step(Progress(0, 1, number, 1))

    return step


def signal_spec(samples: int):  # type: ignore[no-untyped-def]
    from sslplug_sequence.signals.spec import Scale, SignalSpec

    names = tuple(f"c{number}" for number in range(CHANNELS))
    return SignalSpec(names, ("wrist",), samples, 50.0, (), Scale((0.0,) * CHANNELS, (1.0,) * CHANNELS))


def material(windows: int, samples: int) -> tuple[Tensor, object, object]:
    """(B, T, C) random series, the plugin's views of them, and its batch."""
    from sslplug_sequence.signals.batch import Windows
    from sslplug_sequence.signals.views.crops import OverlapCrops

    x = torch.randn(windows, samples, CHANNELS, generator=torch.Generator().manual_seed(0))
    values = x.transpose(1, 2)[:, None].contiguous()
    batch = Windows(values, torch.ones(windows, 1, dtype=torch.bool), torch.arange(windows))
    return x, OverlapCrops(8, signal_spec(samples)), batch


def check_equal(x: Tensor, views: object, batch: object) -> None:
    """The three losses of one pair of crops on equal parameters agree."""
    from sslplug.randomness import Rng
    from sslplug_sequence.signals.encoders.ts2vec import Ts2VecOptions, build
    from sslplug_sequence.signals.methods.ts2vec import Ts2VecMethod
    from sslplug_sequence.signals.methods.ts2vec import Ts2VecOptions as MethodOptions

    torch.manual_seed(0)
    ours = build(Ts2VecOptions(), signal_spec(x.shape[1]))
    plain = PlainEncoder().eval()
    same_parameters(plain, ours)
    figure = Figure.drawn(views, batch, 1)
    one, two = crop_by_row(x, figure)
    a, b = plain(one)[:, -figure.shared :], plain(two)[:, : figure.shared]
    method = Ts2VecMethod(MethodOptions(), views, ours).eval()
    found = method(batch, Rng.root(1))["hierarchical"]
    for value in (plain_loss(a, b), batched_loss(a, b)):
        torch.testing.assert_close(value, found, atol=1e-4, rtol=1e-4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} thread(s), {options.rounds} rounds of {options.steps} steps")
    print(
        f"{'windows x samples':>18} {'contestant':>10} {'best ms':>9} {'median ms':>10} {'windows/s':>10} {'sslplug is':>11}"
    )
    for windows, samples in SIZES:
        x, views, batch = material(windows, samples)
        check_equal(x, views, batch)
        figures = [Figure.drawn(views, batch, number) for number in range(options.rounds * options.steps + 1)]
        steps = {
            "sslplug": sslplug_step(x, views, batch),
            "batched": plain_step(x, batched_loss, figures),
            "plain": plain_step(x, plain_loss, figures),
        }
        taken: dict[str, list[float]] = {name: [] for name in steps}
        for step in steps.values():
            step(0)
        for turn in range(options.rounds):
            for name, step in steps.items():
                began = time.process_time()
                for number in range(options.steps):
                    step(1 + turn * options.steps + number)
                taken[name].append((time.process_time() - began) / options.steps)
        ours = statistics.median(taken["sslplug"])
        for name, values in taken.items():
            median = statistics.median(values)
            ratio = "" if name == "sslplug" else f"{median / ours:.1f} x faster"
            print(
                f"{f'{windows} x {samples}':>18} {name:>10} {1e3 * min(values):9.1f} {1e3 * median:10.1f} "
                f"{windows / median:10.0f} {ratio:>11}"
            )


if __name__ == "__main__":
    main()
