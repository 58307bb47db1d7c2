"""How often the verdict calls a gain where pretraining gives none, and how often it finds one that is there.

    python tests/benchmarks/sim_verdict.py --runs 1000

Every run draws a data set: latent numbers, and for each model (several pretrained ones, the encoder before training, one on raw
features) a noisy view of them; part of the noise is common to all, as they look at the same rows. A seed is a random projection to
6 numbers, as an encoder's start would be. Ridge is fitted with nested shares of the training labels of every split, all models on
the same rows, and scored on the same test rows, with the metric also taken without each of 20 groups of them. The scores go through
``judge_pretraining`` as those of run folders do.

What is true: a gain of exactly ``gain`` for the first model and of 0 for the others, over the best control.
"given" (one split): the control on raw features has no seed; each model is moved by its exact distance from it on endless new
rows, over endless seeds, for these training rows. Otherwise pretrained models and control are drawn alike, so that none is better on new data.
The untrained encoder is worse than the control on raw features by ``behind``, or as good as it: then two controls have to be
beaten, which makes false calls rarer.

A false call is "helps" with gain 0, or, with a gain, "does not help" where it is worth having. Columns: share of runs called
helps, does not help; helps that name the right model; how often the interval of the claim that is spoken of holds the truth.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sim_statistics import LATENT, WIDTH, Design, World, cut, metric

from sslplug.evaluation.paired import GROUPS, row_groups
from sslplug.evaluation.score import Score
from sslplug.evaluation.verdict import Candidate, Finding, judge_pretraining

NOISE, COMMON = 0.8, 0.5


@dataclass(frozen=True)
class Setting:
    """entries: pretrained models that compete;  shares: of the labels;  gain: of the first one, in accuracy or rmse."""

    name: str
    design: Design
    entries: int = 4
    shares: tuple[float, ...] = (0.1, 1.0)
    gain: float = 0.0
    behind: float = 0.05


def simulate(setting: Setting, seed: int) -> list[Candidate]:
    """The candidates of one run."""
    design, rng = setting.design, np.random.default_rng(seed)
    models = setting.entries + 2  # pretrained ones, the untrained encoder, raw features
    world = World(rng.normal(size=LATENT), (NOISE,) * models)
    latent = rng.normal(size=(design.rows, LATENT))
    common = rng.normal(size=latent.shape)
    y = latent @ world.beta + 0.7 * np.linalg.norm(world.beta) * rng.normal(size=design.rows)
    y = y if design.numbers else np.sign(y)
    parts = [(rng.permutation(train), test) for train, test in cut(design, rng)]
    group = row_groups(np.arange(design.rows), seed)
    sign = -1.0 if design.numbers else 1.0
    found: list[list[Score]] = []
    own: list[np.ndarray] = []
    for model in range(models):
        mine = rng.normal(size=latent.shape)
        seen = latent + NOISE * (np.sqrt(COMMON) * common + np.sqrt(1 - COMMON) * mine)
        x = np.concatenate([seen, rng.normal(size=(design.rows, WIDTH - LATENT))], axis=1)
        own.append(x)
        turn = _drawn(design, model == models - 1).turns(rng, design.seeds)
        move = setting.gain if model == 0 else -setting.behind if model == setting.entries else 0.0
        found.append(_scores(setting, design, model, x, turn, y, parts, group, sign * move))
    if design.given:
        truth = [
            _truth(setting, world, model, own[model], y, parts[0][0], _drawn(design, model == models - 1).turns(rng, 400))
            for model in range(models)
        ]
        found = [_moved(scores, truth[model], truth[-1]) for model, scores in enumerate(found)]
    return [
        Candidate(
            f"model {n}", tuple(found[n]),
            {"ridge on untrained": tuple(found[-2]), "lightgbm on raw": tuple(found[-1])},
        )
        for n in range(setting.entries)
    ]  # fmt: skip


def _drawn(design: Design, raw: bool) -> Design:
    """How a model's seeds are drawn: the control on raw features has none where the training rows are given."""
    return replace(design, width=WIDTH) if raw and design.given else design


def _subset(train: np.ndarray, share: float) -> np.ndarray:
    return train[: max(4, round(share * len(train)))]


def _fitted(x: np.ndarray, y: np.ndarray, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(seeds, WIDTH) slopes and (seeds,) biases of ridge on projections ``x @ turn``; 1e-6 on the bias, 1 on the rest."""
    inside = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    wide = np.zeros((len(turn), WIDTH + 1, turn.shape[2] + 1))
    wide[:, :WIDTH, :-1], wide[:, -1, -1] = turn, 1.0
    gram = wide.transpose(0, 2, 1) @ (inside.T @ inside) @ wide + np.diag([1.0] * turn.shape[2] + [1e-6])
    weights = wide @ np.linalg.solve(gram, wide.transpose(0, 2, 1) @ (inside.T @ y)[:, None])
    return weights[:, :WIDTH, 0], weights[:, -1, 0]


def _scores(
    setting: Setting, design: Design, model: int, x: np.ndarray, turn: np.ndarray, y: np.ndarray,
    parts: Sequence[tuple[np.ndarray, np.ndarray]], group: np.ndarray, move: float,
) -> list[Score]:  # fmt: skip
    """One model's scores on every split, share and seed; accuracy, or rmse of numbers."""
    member = np.eye(GROUPS)[group]
    features = "pretrained" if model < setting.entries else "untrained" if model == setting.entries else "raw"
    found = []
    for split, (train, test) in enumerate(parts):
        for share in setting.shares:
            rows = _subset(train, share)
            slope, bias = _fitted(x[rows], y[rows], turn)
            said = slope @ x[test].T + bias[:, None]
            lost = (said - y[test]) ** 2 if design.numbers else (np.sign(said) != y[test]).astype(np.float64)
            rest = (lost.sum(axis=1, keepdims=True) - lost @ member[test]) / (len(test) - member[test].sum(axis=0))
            whole, without = metric(lost.mean(axis=1), design.numbers), metric(rest, design.numbers)
            if not design.numbers:
                whole, without = 1 - whole, 1 - without
            for seed, (value, left) in enumerate(zip(whole + move, (without + move).tolist(), strict=True)):
                found.append(
                    Score(
                        "t", "p", "ridge", features, "rmse" if design.numbers else "accuracy", share, split, float(value), 0.0,
                        not design.numbers, seed, len(rows), len(test), tuple(left),
                    )
                )  # fmt: skip
    return found


def _truth(
    setting: Setting, world: World, model: int, x: np.ndarray, y: np.ndarray, rows: np.ndarray, turn: np.ndarray
) -> dict[float, float]:
    """{share: metric on endless new rows for these training rows, over the seeds of ``turn``}."""
    found = {}
    for share in setting.shares:
        part = _subset(rows, share)
        slope, bias = _fitted(x[part], y[part], turn)
        risk = float(world.expected(model, slope, bias, setting.design.numbers).mean())
        found[share] = risk if setting.design.numbers else 1 - risk
    return found


def _moved(scores: Sequence[Score], truth: dict[float, float], bar: dict[float, float]) -> list[Score]:
    """Scores of a model as if its truth were the control's."""
    moved = []
    for score in scores:
        by = bar[score.fraction] - truth[score.fraction]
        moved.append(replace(score, value=score.value + by, without=tuple(value + by for value in score.without)))
    return moved


SPLIT = Design("one split, given", 4000, 0.5, 0.4, 1, 5, given=True, width=9)
SETTINGS = (
    Setting("one split, 5 seeds, 4 models, 2 shares", SPLIT),
    Setting("the same, 3 seeds", replace(SPLIT, seeds=3)),
    Setting("the same, 10 seeds", replace(SPLIT, seeds=10)),
    Setting("the same, 5 seeds, numbers", replace(SPLIT, numbers=True)),
    Setting("5 seeds, 10 models, 4 shares", SPLIT, entries=10, shares=(0.02, 0.1, 0.3, 1.0)),
    Setting("5 seeds, one model, one share", SPLIT, entries=1, shares=(1.0,)),
    Setting("5 seeds, untrained as good as raw", SPLIT, behind=0.0),
    Setting("5 seeds x 10 splits 10/10/80", Design("", 2000, 0.1, 0.8, 10, 5, width=9), shares=(0.5, 1.0)),
    Setting("5 seeds x 10 folds", Design("", 1000, 0, 0, 10, 5, folds=True, width=9), shares=(0.2, 1.0)),
    Setting("3 seeds x 3 splits 60/40, numbers", Design("", 1000, 0.6, 0.4, 3, 3, numbers=True, width=9), shares=(0.1, 1.0)),
)
GAINS = (0.02, 0.05, 0.1)


def found(setting: Setting, seeds: range) -> list[Finding]:
    """The verdicts of runs with these seeds."""
    return [judge_pretraining(simulate(setting, seed)) for seed in seeds]


def summary(setting: Setting, findings: Sequence[Finding]) -> dict[str, float]:
    """Shares of runs: helps, does not help, helps that name the first model, intervals that hold the truth."""
    words = [finding.word for finding in findings]
    right = sum(finding.word == "helps" and finding.claim.entry == "model 0" for finding in findings)
    held = 0
    for finding in findings:
        claim = finding.claim
        true = min(setting.gain if claim.entry == "model 0" else 0.0, setting.behind + setting.gain)
        assert claim.low is not None
        assert claim.high is not None
        held += claim.low <= true <= claim.high
    total = len(findings)
    return {
        "helps": words.count("helps") / total,
        "does not help": words.count("does not help") / total,
        "right model": right / total,
        "interval holds": held / total,
    }


def alone(setting: Setting, seeds: range) -> float:
    """Share of runs in which some model with some share of the labels would be called a gain by itself, as if it were all."""
    calls = 0
    for seed in seeds:
        claims = [
            replace(one, scores=tuple(score for score in one.scores if score.fraction == share))
            for one in simulate(setting, seed)
            for share in setting.shares
        ]
        calls += any(judge_pretraining([claim]).word == "helps" for claim in claims)
    return calls / len(seeds)


def main() -> None:
    """Print a table of settings without and with a gain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--only", default="", help="settings whose name holds this text")
    parser.add_argument("--alone", action="store_true", help="only: how often one claim of many would be called by itself")
    arguments = parser.parse_args()
    if arguments.alone:
        for setting in (one for one in SETTINGS if arguments.only in one.name):
            print(f"{setting.name:42s} {alone(setting, range(arguments.runs)):.3f}", flush=True)
        return
    print(
        f"{'setting':42s} {'gain':>5s} {'helps':>7s} {'not':>7s} {'right':>7s} {'holds':>7s}   ({arguments.runs} runs, seeds 0..)"
    )
    for setting in SETTINGS:
        for gain in (0.0, *GAINS) if arguments.only in setting.name else ():
            began = time.perf_counter()
            tried = replace(setting, gain=gain)
            runs = arguments.runs if not gain else max(1, arguments.runs // 4)
            cells = summary(tried, found(tried, range(runs))).values()
            print(f"{setting.name:42s} {gain:5.2f} " + " ".join(f"{x:7.3f}" for x in cells), end="", flush=True)
            print(f"   {runs} runs, {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
