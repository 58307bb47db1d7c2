"""What the training loop costs over hand-written torch loops with the same model, batch and optimiser, in percent of a step.

    python tests/benchmarks/bench_loop.py --steps 500 --rounds 6

The model is a two-view MLP whose step takes about a millisecond. Contestants take turns in blocks of --steps in one process;
a block is timed from the end of its first step to the end of its last, so starting and the final checkpoint are not in it.
"plain" is zero_grad, forward, backward, step. "careful" adds what people add: read the loss, stop when it is not finite, and
clip_grad_norm_. sslplug's loop always checks loss and gradient before the optimiser sees them, so "careful" is its equal.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslplug.contracts import Progress
from sslplug.randomness import Rng
from sslplug.reporting.monitor import Monitor
from sslplug.training.loop import Reporter, Run, TrainOptions, train
from sslplug.training.optim import OptimOptions, make_optimizer

Stamp = tuple[float, float]


def stamp() -> Stamp:
    """Processor and wall seconds."""
    return time.process_time(), time.perf_counter()


@dataclass(frozen=True)
class Pair:
    """Two views of the same rows."""

    a: Tensor
    b: Tensor

    def to(self, device: torch.device) -> Pair:
        """The pair itself: it is where it is used."""
        return self


class TwoViews(nn.Module):
    """Cosine distance between two views' projections. Notes the time after its first and after its newest step."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.head = nn.Linear(width, 64)
        self.stamps: list[Stamp] = []
        self.last = 0

    def forward(self, batch: Pair, rng: Rng | None) -> dict[str, Tensor]:
        """Terms of one batch."""
        a, b = self.head(self.encoder(batch.a)), self.head(self.encoder(batch.b))
        return {"cosine": 2.0 - 2.0 * F.cosine_similarity(a, b).mean()}

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing to do."""

    def after_step(self, progress: Progress) -> None:
        """Notes the time after the first and the last step."""
        if progress.step in (1, self.last):
            self.stamps.append(stamp())

    def observe(self, batch: Pair, rng: Rng) -> dict[str, Tensor]:
        """A small view; diagnostics are not what is measured."""
        return {"view0": batch.a}


class Silent:
    """Reports nothing."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def advance(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""


class Logged(Silent):
    """The run folder's log and TensorBoard events."""

    def __init__(self, folder: Path) -> None:
        self.monitor = Monitor(folder)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """To the files."""
        self.monitor.scalars(step, values)


OPTIM = OptimOptions(name="adamw", lr=1e-4, weight_decay=0.01)


def loop(model: TwoViews, batch: Pair, steps: int, reporter: Reporter, clip: float | None, folder: Path) -> list[Stamp]:
    """A block of sslplug's loop with its defaults; diagnostics only after the last step."""
    optim = OPTIM.model_copy(update={"clip": clip})
    model.stamps, model.last = [], steps
    run = Run(
        method=model,
        optimizer=make_optimizer(model, optim),
        optim=optim,
        options=TrainOptions(epochs=steps, observe_every=steps),
        seed=0,
        device=torch.device("cpu"),
        batches_of=lambda epoch: [batch],
        embed=dict,
        health=lambda views: {},
        collapse=lambda values, dim: None,
        reporter=reporter,
        checkpoints=folder,
        stop=lambda: False,
    )
    train(run)
    return model.stamps


def plain(model: TwoViews, batch: Pair, steps: int) -> list[Stamp]:
    """zero_grad, forward, backward, step."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
    stamps = []
    for step in range(steps):
        optimizer.zero_grad()
        model(batch, None)["cosine"].backward()
        optimizer.step()
        if step in (0, steps - 1):
            stamps.append(stamp())
    return stamps


def careful(model: TwoViews, batch: Pair, steps: int) -> list[Stamp]:
    """The same with a finite check, clipping, and a running loss."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01, fused=True)
    stamps, total = [], 0.0
    for step in range(steps):
        optimizer.zero_grad()
        loss = model(batch, None)["cosine"]
        loss.backward()
        value = loss.item()
        if not math.isfinite(value):
            raise SystemExit("the loss is not finite")
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e9)
        optimizer.step()
        total += value
        if step in (0, steps - 1):
            stamps.append(stamp())
    return stamps


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--width", type=int, default=256)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = TwoViews(given.width)
    batch = Pair(torch.randn(given.rows, 64), torch.randn(given.rows, 64))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        logged = Logged(folder)
        arms: dict[str, Callable[[], list[Stamp]]] = {
            "plain": lambda: plain(model, batch, given.steps),
            "careful": lambda: careful(model, batch, given.steps),
            "sslplug, no log": lambda: loop(model, batch, given.steps, Silent(), None, folder / "a"),
            "sslplug, clip, no log": lambda: loop(model, batch, given.steps, Silent(), 1e9, folder / "b"),
            "sslplug, log and events": lambda: loop(model, batch, given.steps, logged, None, folder / "c"),
        }
        found: dict[str, list[Stamp]] = {arm: [] for arm in arms}
        for turn in range(given.rounds + 1):
            for arm, block in arms.items():
                (cpu, wall), (cpu_end, wall_end) = block()
                if turn:  # the first warms up
                    share = 1e3 / (given.steps - 1)
                    found[arm].append(((cpu_end - cpu) * share, (wall_end - wall) * share))
        logged.monitor.close()
    print(f"{given.rounds} blocks of {given.steps} steps, 1 thread, torch {torch.__version__}\n")
    print("| loop | processor ms a step, median | smallest | over plain | over careful | wall ms a step, median |")
    print("|---|--:|--:|--:|--:|--:|")

    def over(arm: str, base: str) -> str:
        """Median over the rounds of the ratio within a round."""
        ratios = [one[0] / two[0] for one, two in zip(found[arm], found[base], strict=True)]
        return f"{100 * (statistics.median(ratios) - 1):+.1f} %"

    for arm, blocks in found.items():
        cpu_ms, wall_ms = [one[0] for one in blocks], [one[1] for one in blocks]
        print(
            f"| {arm} | {statistics.median(cpu_ms):.4f} | {min(cpu_ms):.4f} | {over(arm, 'plain')} "
            f"| {over(arm, 'careful')} | {statistics.median(wall_ms):.4f} |"
        )


if __name__ == "__main__":
    main()
