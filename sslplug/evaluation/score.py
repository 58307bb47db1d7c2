"""One number of an evaluation, with its place and what its uncertainty is computed from."""

from __future__ import annotations

from dataclasses import dataclass

from sslplug.contracts import Task


@dataclass(frozen=True)
class Score:
    """One number: a metric of one probe on one kind of features, on the test rows of one split.

    probe     the model; "ranking" and "measured" where nothing is fitted on the embeddings
    features  "pretrained", "untrained" (the encoder before training), "raw" or "both" (raw features and embeddings)
    fraction  share of the labels fitted with; 1 where none are
    split     its number, :func:`split_number`
    seconds   to fit and to predict;  seed: the run's seed;  train, test: how many rows were fitted on and tested; pairs of a
              ranking task, cases of a measured one (nothing is fitted there)
    without   of the primary metric: its value with each group of test rows left out (:func:`sslplug.evaluation.paired.row_groups`),
              NaN where the split tests on no row of the group; empty where the metric is undefined without some group
    """

    task: str
    protocol: str
    probe: str
    features: str
    metric: str
    fraction: float
    split: int
    value: float
    seconds: float
    higher_is_better: bool
    seed: int = 0
    train: int = 0
    test: int = 0
    without: tuple[float, ...] = ()


def split_number(task: Task, place: int, seed: int) -> int:
    """The number of a task's split at ``place`` among those of all runs: runs whose seed drew their splits share none."""
    return seed * len(task.splits) + place if task.drawn else place


def only_split(drawn: bool, seed: int) -> int:
    """The number of the one split of a ranking or measured task among those of all runs."""
    return seed if drawn else 0
