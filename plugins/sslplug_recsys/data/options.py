"""What a recipe can say about recommendation data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sslplug.contracts import Options, Positive

Share = Annotated[float, Field(ge=0, lt=1)]


class PairOptions(Options):
    """What all pair data have in common."""

    validation: Literal["holdout", "none"] = Field(
        "holdout", description="holdout: a part to select on; none: trained on too, as much of the literature does"
    )
    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="random and time: share of pairs that test")
    validation_share: Share = Field(0.1, description="share of pairs held out for validation where no file gives them")
    cutoffs: tuple[Positive, ...] = Field(
        (20, 10), min_length=1, description="lengths of lists; the first is the primary one"
    )

    @model_validator(mode="after")
    def _some_left(self) -> PairOptions:
        if self.test_share + self.validation_share >= 1:
            raise ValueError("test_share + validation_share must be below 1")
        return self


class TasteOptions(PairOptions):
    """Synthetic users with latent tastes."""

    users: int = Field(800, ge=20, description="how many users")
    items: int = Field(1000, ge=50, description="how many items")
    interactions: float = Field(25.0, ge=6, description="mean interactions a user, at least five each")
    split: Literal["time", "random", "leave_one_out"] = Field("time", description="how interactions are divided")


class PublishedOptions(PairOptions):
    """A set with a published split and no times."""

    split: Literal["given", "random"] = Field("given", description="the published split, or a random one per user")


class MovieLensOptions(PairOptions):
    """MovieLens-100K."""

    split: Literal["given", "random", "leave_one_out", "time"] = Field(
        "given", description="given: an official fold; or random per user, leave one out, by time"
    )
    fold: int = Field(1, ge=1, le=5, description="the official fold, for split: given")
    least_rating: int = Field(1, ge=1, le=5, description="ratings from here on are positives; lower ones are left out")


class S3RecOptions(PairOptions):
    """A set in S3-Rec's format, as pairs."""

    set: Literal["Beauty", "Sports_and_Outdoors", "Yelp", "LastFM"] = Field("Beauty", description="which set")
    split: Literal["leave_one_out", "random"] = Field("leave_one_out", description="how interactions are divided")


class Columns(Options):
    """Names of columns in a user's own tables; files in RecBole's or LightGCN's format need none."""

    user: str = Field("user_id", description="whose interaction it is; also in the user table")
    item: str = Field("item_id", description="with what; also in the item table")
    time: str = Field("timestamp", description="when: a number, a date or a timestamp; may be missing")
    rating: str = Field("rating", description="read only with least_rating")


class TableOptions(PairOptions):
    """What the user's own interactions in files and in memory have in common."""

    split: Literal["given", "random", "leave_one_out", "time"] | None = Field(
        None, description="default: given with a test file, else by time where there are times, else random"
    )
    columns: Columns = Field(default_factory=Columns, description="names of columns")
    least_rating: float | None = Field(None, description="only interactions rated so or higher are positives")


class FileOptions(TableOptions):
    """A user's own interactions in files; a relative path is looked up from here, then below the data root."""

    path: Path = Field(description="interactions: .parquet, .csv, .tsv, .inter (RecBole) or .txt (LightGCN)")
    test: Path | None = Field(None, description="a file with the test interactions, for split: given")
    val: Path | None = Field(None, description="a file with the validation interactions, for split: given")
    users: Path | None = Field(None, description="features of users: .parquet, .csv, .tsv or .user, one row a user")
    items: Path | None = Field(None, description="features of items: .parquet, .csv, .tsv or .item, one row an item")
    separator: str = Field("|", min_length=1, description="separates the values of a text cell with several")
    most_values: int = Field(1000, ge=1, description="most frequent values of a feature that get a code of their own")
    least_count: int = Field(1, ge=1, description="values of fewer users or items get no code")


class MemoryOptions(TableOptions):
    """Interactions in memory: a data frame, a pyarrow table, or a mapping of columns."""
