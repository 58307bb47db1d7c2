"""The budget of a ranking task's controls: fixed for every data set, chosen on no test query."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sslplug.contracts import Options


class RankingOptions(Options):
    """Controls beside a ranking: popularity, item-kNN, LightGBM lambdarank (Burges 2010; Ke et al. 2017) over the retrieved."""

    neighbours: int = Field(default=200, ge=1, description="item-kNN: neighbours kept a candidate")
    shrink: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        default=(10.0, 0.0, 100.0),
        min_length=1,
        description="item-kNN: added to the denominator of the cosine; chosen by ndcg on validation queries, else the first",
    )
    retrieve: int = Field(
        default=100, ge=1, description="lambdarank: candidates from each of popularity, item-kNN, embeddings"
    )
    queries: int = Field(
        default=4000, ge=2, description="most validation queries that shrink is chosen by and lambdarank learns from"
    )
    holdout: float = Field(default=0.25, gt=0, lt=1, description="lambdarank: share of these queries for early stopping")
    rounds: int = Field(default=500, ge=1, description="lambdarank: most boosting rounds")
    patience: int = Field(default=50, ge=1, description="lambdarank: rounds without a better ndcg before stopping")
    lr: float = Field(default=0.05, gt=0, description="lambdarank: learning rate")
    num_leaves: int = Field(default=7, ge=2, description="lambdarank: leaves a tree")
    min_child_samples: int = Field(
        default=100, ge=1, description="lambdarank: fewest pairs a leaf; never more than a twentieth of them"
    )
    feature_fraction: float = Field(default=0.3, gt=0, le=1, description="lambdarank: share of columns a tree may use")
    fewest_columns: int = Field(default=16, ge=1, description="lambdarank: fewest columns a tree may use")
    widest_product: int = Field(
        default=64, ge=0, description="lambdarank: element-wise products of embeddings up to this width are columns too"
    )
    num_threads: int = Field(
        default=0, ge=0, description="lambdarank: threads; 0 = one for small data, else all of the process"
    )
