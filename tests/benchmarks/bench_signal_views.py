"""Views of wearable windows, windows per second: sslplug's transforms against a plain numpy loop over the windows.

    python tests/benchmarks/bench_signal_views.py [--windows 512] [--rounds 7] [--threads 1]

Both change the same windows of 9 channels and 128 samples (three sensors) in the same way; the loop is what one writes for a
data loader: one window at a time, numpy and scipy. They take turns in one process; the best round of each counts, the median
stands beside it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from sslplug.randomness import Rng
from sslplug_sequence.signals.batch import Signals, Windows
from sslplug_sequence.signals.spec import Scale, SignalSpec
from sslplug_sequence.signals.views import VIEWS
from sslplug_sequence.signals.views.step import Step

C, T = 9, 128
SPEC = SignalSpec(
    tuple(f"{sensor}_{axis}" for sensor in "abc" for axis in "xyz"),
    ("waist",),
    T,
    50.0,
    ((0, 1, 2), (3, 4, 5), (6, 7, 8)),
    Scale((0.0,) * C, (1.0,) * C),
)
TICKS = np.arange(T)
Window = np.ndarray
Draw = np.random.Generator


def jitter(x: Window, draw: Draw) -> Window:
    """Noise."""
    return x + 0.05 * draw.standard_normal(x.shape, dtype=np.float32)


def scaling(x: Window, draw: Draw) -> Window:
    """A factor a channel."""
    return x * draw.normal(1, 0.1, (C, 1)).astype(np.float32)


def rotation(x: Window, draw: Draw) -> Window:
    """Three angles, one matrix, three sensors."""
    (ca, cb, cc), (sa, sb, sc) = (f(draw.uniform(-np.pi, np.pi, 3)) for f in (np.cos, np.sin))
    about_z = np.array([[ca, -sa, 0], [sa, ca, 0], [0, 0, 1]])
    about_y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_x = np.array([[1, 0, 0], [0, cc, -sc], [0, sc, cc]])
    matrix = (about_x @ about_y @ about_z).astype(np.float32)
    return np.concatenate([matrix @ x[k : k + 3] for k in (0, 3, 6)])


def axis_switch(x: Window, draw: Draw) -> Window:
    """One order of the axes."""
    order = draw.permutation(3)
    return np.concatenate([x[k : k + 3][order] for k in (0, 3, 6)])


def permutation(x: Window, draw: Draw) -> Window:
    """Four segments of more than ten samples, cuts by rejection."""
    while True:
        cuts = np.sort(draw.integers(1, T, 3))
        if np.diff(np.concatenate([[0], cuts, [T]])).min() > 10:
            break
    segments = np.split(x, cuts, axis=1)
    return np.concatenate([segments[k] for k in draw.permutation(4)], axis=1)


def time_warp(x: Window, draw: Draw) -> Window:
    """A spline's sums as places to read at."""
    speed = CubicSpline(np.linspace(0, T - 1, 6), draw.normal(1, 0.2, 6))(TICKS)
    place = np.concatenate([[0], np.cumsum(np.maximum(speed[1:], 0.05))])
    place *= (T - 1) / place[-1]
    return np.stack([np.interp(place, TICKS, row) for row in x]).astype(np.float32)


def arrow_of_time(x: Window, draw: Draw) -> Window:
    """Reversed."""
    return x[:, ::-1].copy()


def crop(x: Window, draw: Draw) -> Window:
    """A stretch, stretched."""
    share = draw.uniform(0.5, 1)
    place = draw.uniform(0, 1 - share) * (T - 1) + share * TICKS
    return np.stack([np.interp(place, TICKS, row) for row in x]).astype(np.float32)


def time_mask(x: Window, draw: Draw) -> Window:
    """A hole."""
    x, width = x.copy(), round(0.2 * T)
    start = draw.integers(T - width + 1)
    x[:, start : start + width] = 0
    return x


def channel_mask(x: Window, draw: Draw) -> Window:
    """Silent channels."""
    return x * (draw.random((C, 1)) >= 0.2).astype(np.float32)


def frequency_mask(x: Window, draw: Draw) -> Window:
    """A band less."""
    spectrum, width = np.fft.rfft(x), round(0.1 * (T // 2))
    start = 1 + draw.integers(T // 2 - width + 1)
    spectrum[:, start : start + width] = 0
    return np.fft.irfft(spectrum, T).astype(np.float32)


def time_alteration(x: Window, draw: Draw) -> Window:
    """TERA's spans."""
    kind, shift, shown = draw.random(), draw.integers(1, T), x.copy()
    for start in draw.permutation(T - 6)[: round(0.15 * T / 7)]:
        if kind < 0.8:
            shown[:, start : start + 7] = 0
        elif kind < 0.9:
            shown[:, start : start + 7] = np.roll(x, -shift, axis=1)[:, start : start + 7]
    return shown


def randomized_quantization(x: Window, draw: Draw) -> Window:
    """Random parts of a range, a value each."""
    made = np.empty_like(x)
    for channel, row in enumerate(x):
        low, high = row.min(), row.max()
        edges = np.concatenate([[0], np.sort(draw.random(7)), [1]])
        levels = edges[:-1] + draw.random(8) * np.diff(edges)
        place = np.searchsorted(edges[1:-1], (row - low) / max(high - low, 1e-12), side="right")
        made[channel] = low + (high - low) * levels[place]
    return made


def resized_crop(x: Window, draw: Draw) -> Window:
    """A stretch on a canvas with zeros around the window."""
    wide = min(draw.uniform(0.6, 1.5), 1.5)
    centre = draw.uniform(-1, 1) * (1.5 - wide)
    place = ((centre + wide * ((2 * TICKS + 1) / T - 1) + 1) * T - 1) / 2
    return np.stack([np.interp(place, TICKS, row, left=0, right=0) for row in x]).astype(np.float32)


PLAIN: dict[str, Callable[[Window, Draw], Window]] = {
    each.__name__: each
    for each in (
        jitter,
        scaling,
        rotation,
        axis_switch,
        permutation,
        time_warp,
        arrow_of_time,
        crop,
        time_mask,
        channel_mask,
        frequency_mask,
        time_alteration,
        randomized_quantization,
        resized_crop,
    )
}


def plain_multitask(values: np.ndarray, draw: Draw) -> np.ndarray:
    """The three coins of ssl-wearables, then a turn of the axes, window by window."""
    made = np.empty_like(values)
    for number, window in enumerate(values):
        for change in (arrow_of_time, permutation, time_warp):
            if draw.random() < 0.5:
                window = change(window, draw)
        made[number] = rotation(axis_switch(window, draw), draw)
    return made


def contestants(values: np.ndarray) -> dict[str, tuple[Callable[[int], Any], Callable[[int], Any]]]:
    """{view: (sslplug's, the loop's)}, each called with the number of the round."""
    tensor, numbers = torch.from_numpy(values), torch.arange(len(values))
    batch = Windows(tensor[:, None], torch.ones(len(values), 1, dtype=torch.bool), numbers)

    def ours(name: str) -> Callable[[int], Any]:
        step = Step.model_validate({"name": name}).root
        return lambda turn: step(Signals(tensor), numbers, Rng.root(turn), SPEC)

    def loop(name: str) -> Callable[[int], Any]:
        def run(turn: int) -> np.ndarray:
            draw = np.random.default_rng(turn)
            return np.stack([PLAIN[name](window, draw) for window in values])

        return run

    found = {name: (ours(name), loop(name)) for name in PLAIN}
    multitask = VIEWS["multitask"].build(VIEWS["multitask"].options(), SPEC)
    found["multitask (the whole view)"] = (
        lambda turn: multitask(batch, Rng.root(turn)),
        lambda turn: plain_multitask(values, np.random.default_rng(turn)),
    )
    return found


def seconds(run: Callable[[int], Any], turn: int) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    run(turn)
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    values = np.random.default_rng(0).standard_normal((chosen.windows, C, T), dtype=np.float32).cumsum(2) * np.float32(0.1)
    print(
        f"Views of {chosen.windows} windows of {C} x {T}, {chosen.threads} thread(s), torch {torch.__version__}, numpy "
        f"{np.__version__}, {chosen.rounds} rounds\n"
    )
    print("| view | sslplug, windows/s, best | median | numpy loop, windows/s, best | median | sslplug against the loop |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, runs in contestants(values).items():
        for run in runs:
            run(0)
        times = [[seconds(run, turn) for run in runs] for turn in range(1, chosen.rounds + 1)]
        rates = [[chosen.windows / each[k] for each in times] for k in (0, 1)]
        best, middle = [max(each) for each in rates], [statistics.median(each) for each in rates]
        print(
            f"| {name} | {best[0]:,.0f} | {middle[0]:,.0f} | {best[1]:,.0f} | {middle[1]:,.0f} | {best[0] / best[1]:.1f} x |",
            flush=True,
        )


if __name__ == "__main__":
    main()
