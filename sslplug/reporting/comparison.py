"""What a comparison of many runs says, as plain data: made once by the compare stage, drawn by each of its outputs.

Nothing here computes. A number that cannot be known is None, never NaN, and a ``note`` beside it says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sslplug.reporting.table import TableRow

Word = Literal["helps", "does not help", "cannot be told"]


@dataclass(frozen=True)
class Entry:
    """Runs of one recipe that differ in their seed alone.

    name         unique, "graph/grace-digits (objective=vicreg)";  plugin ... objective: what it is made of, "" for none
    seeds, runs  one folder a seed;  command: repeats them;  digest: sha256 of the resolved recipe without its seed
    rows         every task, probe, shown metric and share of labels, the primary metric first
    training_seconds, evaluation_seconds  mean over the seeds
    diagnostics  mean over the seeds of the last values, "rankme" among them;  collapsed: why runs count as such, or ""
    """

    name: str
    plugin: str
    recipe: str
    data: str
    views: str
    encoder: str
    method: str
    objective: str
    seeds: tuple[int, ...]
    runs: tuple[Path, ...]
    command: str
    digest: str
    rows: tuple[TableRow, ...]
    training_seconds: float
    evaluation_seconds: float | None = None
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    collapsed: str = ""


@dataclass(frozen=True)
class Cell:
    """One entry on one task with all labels: the first probe of its recipe, the task's primary metric.

    task       "graph/digits/digit": plugin, data, task;  one row of every picture over tasks
    untrained  the same probe on the untrained encoder;  trees: LightGBM on raw features;  best: the best of all entries,
               controls and LightGBM on this task
    share      (mean - untrained) / (best - untrained): 0 the untrained encoder, 1 the best known; None where the gap is nil
    outcome    against LightGBM on raw features, by the corrected test: 1 win, 0 tie, -1 loss; None where nothing was tested
    effect     paired Cohen's d_z against LightGBM on raw features: mean difference over its standard deviation, above 0 where
               pretraining is better; the difference itself is mean - trees
    """

    task: str
    entry: str
    metric: str
    higher_is_better: bool
    mean: float
    low: float | None
    high: float | None
    n: int
    untrained: float | None = None
    trees: float | None = None
    best: float | None = None
    share: float | None = None
    outcome: int | None = None
    note: str = ""
    effect: float | None = None


@dataclass(frozen=True)
class Pair:
    """Two models over tasks: Wilcoxon's signed-rank test on differences of the share of the gap closed.

    n          tasks that both have a score on;  wins, ties, losses: of the first model, at reporting precision
    effect     matched-pairs rank-biserial correlation: 1 where the first wins everywhere, -1 where the second does
    p, p_holm  two-sided, and corrected over all pairs; None where no test is possible, ``note`` says why
    """

    first: str
    second: str
    n: int
    wins: int
    ties: int
    losses: int
    effect: float | None = None
    p: float | None = None
    p_holm: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Ranking:
    """Models ranked over tasks: Friedman's test, and Nemenyi's critical difference.

    models     by mean rank, 1 is best;  tasks: those on which every model has a score
    p          Friedman's (Iman and Davenport's F);  difference: critical difference of mean ranks at 5 %
    groups     models that cannot be told apart, as ranges of ``models``;  note: what cannot be said, and why
    pairs      every two models beside each other
    """

    models: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    tasks: tuple[str, ...]
    p: float | None
    difference: float | None
    groups: tuple[tuple[str, ...], ...]
    note: str = ""
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """One sentence a practitioner can act on, for one task.

    word      whether pretraining helps;  entry: the pretrained model it speaks of
    size      its gain over the best control, in the metric's unit;  labels: the largest share of labels at which it helps
    seconds   what pretraining costs;  sentence: all of it in words, with what to try next
    low, high  interval of ``size``, at once for all entries and shares of labels of the task;  control: the best one
    """

    task: str
    entry: str
    word: Word
    size: float | None
    labels: float | None
    seconds: float | None
    sentence: str
    low: float | None = None
    high: float | None = None
    control: str = ""


@dataclass(frozen=True)
class Prediction:
    """Whether a label-free diagnostic predicts the downstream share, over the cells of a task.

    points  (entry, diagnostic, score);  tau: Kendall's, p its two-sided p value
    """

    diagnostic: str
    task: str
    points: tuple[tuple[str, float, float], ...]
    tau: float | None
    p: float | None
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """Everything about the runs that were compared.

    objectives  ranks of objectives over tasks (best cell of an objective on a task);  models: of objectives and LightGBM
    against_trees  {entry: (wins, ties, losses)} against LightGBM on raw features, over tasks
    left_out    a sentence for each run that is not in the comparison
    """

    entries: tuple[Entry, ...]
    cells: tuple[Cell, ...]
    ranking: Ranking | None
    verdicts: tuple[Verdict, ...]
    predictions: tuple[Prediction, ...]
    against_trees: Mapping[str, tuple[int, int, int]]
    left_out: tuple[str, ...] = ()
