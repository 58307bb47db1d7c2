"""What every judge is given: the embeddings, the recipe's probes and options, and whom to tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sslplug.contracts import Choice, Options, RawFeatures, Role, Task
from sslplug.evaluation.clusters import KMeans
from sslplug.evaluation.finetune import FinetuneOptions
from sslplug.evaluation.probe import Probe
from sslplug.evaluation.ranking.options import RankingOptions
from sslplug.evaluation.trees import LightGbmOptions
from sslplug.evaluation.vectorise import Numerics


class EvaluateOptions(Options):
    """How a run is judged."""

    probes: list[Annotated[Choice, Role("probe")]] = Field(
        default_factory=list,
        description="probes; none: logistic for classes, ridge for numbers, kmeans for clustering, one_class where all "
        "training rows are normal",
    )
    fractions: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        default=(1.0,), min_length=1, description="shares of the labels to fit with"
    )
    controls: bool = Field(default=True, description="also the untrained encoder, and LightGBM on raw, embeddings and both")
    probes_on_raw: bool = Field(
        default=False, description="also every probe on raw features, as numbers by statistics of the training rows"
    )
    raw_numbers: Numerics = Field(
        default="quantile", description="how probes_on_raw scales numbers: to a normal by their quantiles, or standardised"
    )
    splits: int = Field(default=0, ge=0, description="how many of a task's splits to use; 0 = all")
    published: dict[str, float] = Field(
        default_factory=dict,
        description="{task: value} or {task/metric: value} others reported for this method and protocol; printed beside ours",
    )
    lightgbm: LightGbmOptions = Field(
        default_factory=lambda: LightGbmOptions(), description="the budget of the boosted trees"
    )
    ranking: RankingOptions = Field(
        default_factory=lambda: RankingOptions(), description="the budget of the controls of ranking tasks"
    )
    finetune: FinetuneOptions | None = Field(
        default=None, description="also train encoder and head together, from pretrained and from untrained parameters"
    )


@dataclass(frozen=True)
class Judging:
    """One evaluation of one run.

    features   {"pretrained": {level: (n, d)}, "untrained": {...}}; "untrained" is needed for the controls
    raw        labelled task -> raw features of the rows of its level
    probes     named; they judge labelled tasks
    lightgbm   the boosted trees beside labelled tasks
    announce   gets a line a task and split
    """

    features: Mapping[str, Mapping[str, np.ndarray]]
    raw: Callable[[Task], RawFeatures]
    probes: Sequence[tuple[str, Probe | KMeans]]
    lightgbm: Probe
    options: EvaluateOptions
    seed: int
    announce: Callable[[str], None]
