"""How often 95 % intervals of a mean over few seeds hold the true mean.

    python tests/benchmarks/sim_intervals.py --runs 1000

Observations are normal, or exponential minus 1 (skewed); the true mean is 0. Student's t, the bootstrap as it is mostly used (BCa at
95 %), and the one of this library, which widens its level for few observations and falls back to Student's t below five.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats

from sslplug.evaluation.bootstrap import bootstrap_interval
from sslplug.evaluation.statistics import Interval, interval


def holds(found: Interval) -> bool:
    """Whether the interval holds 0."""
    return found.low is not None and found.high is not None and found.low <= 0 <= found.high


def plain(values: np.ndarray, rng: np.random.Generator) -> Interval:
    """BCa at 95 %."""
    found = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=1999, random_state=rng)
    low, high = found.confidence_interval
    return Interval(float(values.mean()), float(low), float(high), None, len(values))


def main() -> None:
    """Print the share of intervals that hold the mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    print(f"{'n':>3s} {'kind':8s} {'t':>6s} {'BCa':>6s} {'ours':>6s}   ({runs} runs)")
    for n in (3, 5, 10, 20):
        for kind in ("normal", "skewed"):
            rng = np.random.default_rng(n)
            draws = rng.normal(size=(runs, n)) if kind == "normal" else rng.exponential(size=(runs, n)) - 1
            rules = (interval, lambda values, rng=rng: plain(values, rng), lambda values: bootstrap_interval(values)[0])
            cells = [float(np.mean([holds(rule(one)) for one in draws])) for rule in rules]
            print(f"{n:3d} {kind:8s} " + " ".join(f"{cell:6.3f}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
