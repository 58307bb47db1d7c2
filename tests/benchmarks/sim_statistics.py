"""How often each paired test calls a winner among two equally good feature sets, and how often it finds a real difference.

    python tests/benchmarks/sim_statistics.py --runs 2000

Every run draws a data set: latent numbers, two feature sets that are noisy views of them of the same kind, classes or numbers
that depend on the latent ones. A seed is a random projection of each feature set to 6 numbers, as an encoder's start would be. Ridge (for
classes: on -1 and 1, by sign) is fitted on the training rows of every split. Both sets being drawn alike, neither is better for new
rows, and a rule that says so in more than 5 % of the runs cries wolf. The power columns make the second set noisier.

What is the truth a claim is about? "new data": other rows, other training rows, other seeds; the difference is exactly 0 then.
"these training rows": other test rows and seeds, but the labels as they are; its difference, exact for each of 400 fresh seeds, is
taken off. A single split can only speak of the latter.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import owens_t

from sslplug.evaluation.paired import GROUPS, jackknife, paired_test, row_groups

LATENT = 5
WIDTH = 10


@dataclass(frozen=True)
class Design:
    """rows of the data set; how splits are drawn (share of training and of test rows, or folds); splits, seeds per set."""

    name: str
    rows: int
    train: float
    test: float
    splits: int
    seeds: int
    folds: bool = False
    numbers: bool = False
    given: bool = False
    width: int = 6

    def turns(self, rng: np.random.Generator, seeds: int) -> np.ndarray:
        """(seeds, WIDTH, width) random projections; the features themselves at full width, where no seed plays a part."""
        if self.width == WIDTH:
            return np.repeat(np.eye(WIDTH)[None], seeds, axis=0)
        return rng.normal(size=(seeds, WIDTH, self.width))


@dataclass(frozen=True)
class World:
    """One population: fixed coefficients and noise."""

    beta: np.ndarray
    noise: tuple[float, ...]

    def draw(self, rng: np.random.Generator, rows: int, numbers: bool) -> tuple[list[np.ndarray], np.ndarray]:
        """Two feature sets (rows, WIDTH) and what is to be predicted."""
        latent = rng.normal(size=(rows, LATENT))
        sets = []
        for noise in self.noise:
            seen = latent + noise * rng.normal(size=latent.shape)
            sets.append(np.concatenate([seen, rng.normal(size=(rows, WIDTH - LATENT))], axis=1))
        y = latent @ self.beta + 0.7 * np.linalg.norm(self.beta) * rng.normal(size=rows)
        return sets, y if numbers else np.sign(y)

    def risk(self, which: int, x: np.ndarray, y: np.ndarray, design: Design, rng: np.random.Generator) -> float:
        """The metric on endless new rows of set ``which``, fitted on (x, y), over 400 fresh seeds: exact for each, all is normal."""
        turn = design.turns(rng, 400)
        weights = ridge(x @ turn, y)
        slope = np.einsum("sdw,sw->sd", turn, weights[:, :-1])
        return float(self.expected(which, slope, weights[:, -1], design.numbers).mean())

    def expected(self, which: int, slope: np.ndarray, bias: np.ndarray, numbers: bool) -> np.ndarray:
        """(seeds,) the metric on endless new rows of set ``which`` of linear models, (seeds, WIDTH) slopes and (seeds,) biases."""
        power = (slope[:, :LATENT] ** 2).sum(1) * (1 + self.noise[which] ** 2) + (slope[:, LATENT:] ** 2).sum(1)
        shared, spread = slope[:, :LATENT] @ self.beta, 1.49 * (self.beta**2).sum()
        if numbers:
            return np.asarray(np.sqrt(power - 2 * shared + spread + bias**2))
        rho = shared / np.sqrt(power * spread)
        return np.asarray(0.5 - 2 * owens_t(bias / np.sqrt(power), rho / np.sqrt(1 - rho**2)))


def ridge(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(seeds, width + 1) weights and bias of ridge on (seeds, n, width) rows."""
    inside = np.concatenate([z, np.ones((*z.shape[:2], 1))], axis=2)
    gram = inside.transpose(0, 2, 1) @ inside + np.diag([1.0] * z.shape[2] + [1e-6])
    found: np.ndarray = np.linalg.solve(gram, (inside.transpose(0, 2, 1) @ y)[..., None])[..., 0]
    return found


def losses(z: np.ndarray, y: np.ndarray, weights: np.ndarray, numbers: bool) -> np.ndarray:
    """(seeds, n) squared errors, or 1 for a wrong class."""
    said = np.einsum("snw,sw->sn", z, weights[:, :-1]) + weights[:, -1:]
    lost: np.ndarray = (said - y) ** 2 if numbers else (np.sign(said) != y).astype(np.float64)
    return lost


def metric(mean_loss: np.ndarray, numbers: bool) -> np.ndarray:
    """Rmse or error rate from mean losses."""
    found: np.ndarray = np.sqrt(mean_loss) if numbers else mean_loss
    return found


def cut(design: Design, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and test rows of every split."""
    if design.folds:
        fold = rng.permutation(design.rows) % design.splits
        return [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(design.splits)]
    found = []
    for _ in range(design.splits):
        order = rng.permutation(design.rows)
        found.append((order[: int(design.train * design.rows)], order[-int(design.test * design.rows) :]))
    return found


def simulate(design: Design, seed: int, effect: float = 0.0) -> tuple[np.ndarray, np.ndarray, float, float]:
    """One run: differences (splits, seeds), their mean without each group of test rows (G,), mean training and test rows."""
    rng = np.random.default_rng(seed)
    world = World(rng.normal(size=LATENT), (0.8, 0.8 + effect))
    sets, y = world.draw(rng, design.rows, design.numbers)
    turns = [design.turns(rng, design.seeds) for _ in sets]
    parts = cut(design, rng)
    member = np.eye(GROUPS)[row_groups(np.arange(design.rows), seed)]
    values = np.zeros((2, design.splits, design.seeds))
    without = np.zeros((2, design.splits, design.seeds, GROUPS))
    for which, (x, turn) in enumerate(zip(sets, turns, strict=True)):
        z = x @ turn
        for k, (train, test) in enumerate(parts):
            lost = losses(z[:, test], y[test], ridge(z[:, train], y[train]), design.numbers)
            rest = lost.sum(axis=1, keepdims=True) - lost @ member[test]
            values[which, k] = metric(lost.mean(axis=1), design.numbers)
            without[which, k] = metric(rest / (len(test) - member[test].sum(axis=0)), design.numbers)
    differences, left = values[0] - values[1], (without[0] - without[1]).mean(axis=(0, 1))
    if design.given:
        train = parts[0][0]
        truth = [world.risk(j, x[train], y[train], design, rng) for j, x in enumerate(sets)]
        differences, left = differences - (truth[0] - truth[1]), left - (truth[0] - truth[1])
    train_rows, test_rows = (float(np.mean([len(part[i]) for part in parts])) for i in (0, 1))
    return differences, left, train_rows, test_rows


def observed(differences: np.ndarray) -> np.ndarray:
    """One observation a split, or a seed where there is one split."""
    found: np.ndarray = differences.mean(axis=1) if len(differences) > 1 else differences[0]
    return found


def wilcoxon(differences: np.ndarray, left: np.ndarray, train: float, test: float) -> float:
    """Wilcoxon's signed-rank test, exact where there are no ties (enumerating those would take most of the time)."""
    d = observed(differences)
    tied = len(np.unique(np.abs(d))) < len(d) or not d.all()
    method = "asymptotic" if tied else "exact"
    return float(stats.wilcoxon(d, zero_method="pratt", method=method).pvalue) if np.any(d) else 1.0


def resampled(differences: np.ndarray, left: np.ndarray, train: float, test: float) -> float:
    """Nadeau and Bengio's test with its own test/train."""
    d = observed(differences)
    error = d.std(ddof=1) * np.sqrt(1 / len(d) + test / train)
    return float(2 * stats.t.sf(abs(d.mean()) / error, len(d) - 1)) if error else 1.0


def rows_alone(differences: np.ndarray, left: np.ndarray, train: float, test: float) -> float:
    """The jackknife over test rows alone."""
    error = np.sqrt(jackknife(left))
    return float(2 * stats.t.sf(abs(differences.mean()) / error, GROUPS - 1)) if error else 1.0


def engine(differences: np.ndarray, left: np.ndarray, train: float, test: float) -> float:
    """The engine's rule."""
    p = paired_test(differences, left, train, test).p
    assert p is not None
    return p


RULES: Mapping[str, Callable[[np.ndarray, np.ndarray, float, float], float]] = {
    "wilcoxon": wilcoxon,
    "nadeau-bengio": resampled,
    "test rows alone": rows_alone,
    "engine": engine,
}

DESIGNS = (
    Design("(a) random 10/10/80, 600 rows", 600, 0.1, 0.8, 10, 1, width=WIDTH),
    Design("(a) random 10/10/80, 20 splits", 600, 0.1, 0.8, 20, 1, width=WIDTH),
    Design("(a) 27 labels of 1800", 1800, 0.015, 0.8, 10, 1, width=WIDTH),
    Design("(a) 27 labels of 1800, 3 splits", 1800, 0.015, 0.8, 3, 1, width=WIDTH),
    Design("(a) 27 labels of 1800, 2 splits", 1800, 0.015, 0.8, 2, 1, width=WIDTH),
    Design("(a) 10/10/80, numbers", 600, 0.1, 0.8, 10, 1, numbers=True, width=WIDTH),
    Design("(a) 40/10/50", 400, 0.4, 0.5, 10, 1, width=WIDTH),
    Design("(f) random 80/20, 300 rows", 300, 0.8, 0.2, 10, 1, width=WIDTH),
    Design("(f) random 60/40, numbers", 300, 0.6, 0.4, 10, 1, numbers=True, width=WIDTH),
    Design("(b) 10 folds, 200 rows", 200, 0, 0, 10, 1, folds=True, width=WIDTH),
    Design("(b) 10 folds, 1000 rows", 1000, 0, 0, 10, 1, folds=True, width=WIDTH),
    Design("(b) 5 folds, numbers", 300, 0, 0, 5, 1, folds=True, numbers=True, width=WIDTH),
    Design("(c) 10 seeds, one split, given these training rows", 1000, 0.5, 0.4, 1, 10, given=True),
    Design("(c) same, 3 seeds", 1000, 0.5, 0.4, 1, 3, given=True),
    Design("(c) same, 2 seeds, few labels", 1000, 0.05, 0.4, 1, 2, given=True),
    Design("(c) same, numbers", 1000, 0.5, 0.4, 1, 10, numbers=True, given=True),
    Design("(c) 10 seeds, one split, few labels, given", 1000, 0.05, 0.4, 1, 10, given=True),
    Design("(c) 10 seeds, one split, new data", 1000, 0.5, 0.4, 1, 10),
    Design("(c) 10 seeds, few labels, new data", 1000, 0.05, 0.4, 1, 10),
    Design("(d) 5 seeds x 10 splits 10/10/80", 600, 0.1, 0.8, 10, 5),
    Design("(d) 5 seeds x 10 folds", 200, 0, 0, 10, 5, folds=True),
    Design("(e) one seed x 10 splits, other seeds meant", 600, 0.1, 0.8, 10, 1),
)


def rates(design: Design, runs: int, effect: float = 0.0) -> dict[str, float]:
    """{rule: share of runs with p below 0.05}."""
    calls = dict.fromkeys(RULES, 0)
    for run in range(runs):
        found = simulate(design, run, effect)
        for name, rule in RULES.items():
            calls[name] += rule(*found) < 0.05
    return {name: count / runs for name, count in calls.items()}


def main() -> None:
    """Print a table of false-call rates and of power."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--only", default="", help="designs whose name holds this text")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    print(f"{'design':52s} " + " ".join(f"{name:>16s}" for name in RULES) + f"   (level | power; {arguments.runs} runs)")
    for design in DESIGNS:
        if arguments.only in design.name:
            level = rates(design, arguments.runs)
            power = {} if design.given else rates(design, max(1, arguments.runs // 8), effect=0.5)
            cells = [f"{level[n]:.3f}" + (f" | {power[n]:.2f}" if power else "") for n in RULES]
            print(f"{design.name:52s} " + " ".join(f"{cell:>16s}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
