"""What a recipe can say about event data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sslplug.contracts import Options


class EventOptions(Options):
    """What all event data have in common."""

    shortest: int = Field(2, ge=0, description="entities with fewer events are not trained on")
    longest: int = Field(5000, ge=1, description="only the last so many events of an entity are used")
    vocabulary: int = Field(1000, ge=1, description="most frequent values of a category that get a code of their own")
    logarithmic: tuple[str, ...] = Field((), description="numeric fields taken as sign(x) log(1 + |x|)")
    bigrams: int = Field(0, ge=0, description="raw features: count so many of the most frequent pairs of categories")


class EntityOptions(EventOptions):
    """Entities with labels, without a published split."""

    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="share of labelled entities held out for test")
    folds: int = Field(5, ge=2, description="folds of the other labelled entities, one split each")


class ShopperOptions(EntityOptions):
    """Synthetic shoppers."""

    logarithmic: tuple[str, ...] = Field(("amount",), description="numeric fields taken as sign(x) log(1 + |x|)")
    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="share of shoppers held out for test")
    folds: int = Field(2, ge=2, description="folds of the other shoppers, one split each")
    bigrams: int = Field(100, ge=0, description="raw features: count so many of the most frequent pairs of departments")
    shoppers: int = Field(800, ge=40, description="how many shoppers")
    events: float = Field(40.0, gt=0, description="mean purchases a shopper")
    next_event: bool = Field(False, description="also the tasks of predicting the next department and the time to it")


class EventColumns(Options):
    """Names of the columns of a user's event table, and of the label table beside it."""

    entity: str = Field("entity", description="whose event it is, in both tables")
    time: str = Field("time", description="when: a number, a date or a timestamp")
    categories: tuple[str, ...] = Field((), description="categorical columns; with numbers empty too: by the columns' types")
    numbers: tuple[str, ...] = Field((), description="numeric columns")
    label: str = Field("label", description="label table: the entity's class or number; may be empty")


class FileOptions(EntityOptions):
    """A user's own events."""

    path: Path = Field(description="event table, .parquet or .csv: one row an event")
    labels: Path | None = Field(None, description="label table, .parquet or .csv: one row an entity; none: no task")
    columns: EventColumns = Field(default_factory=EventColumns, description="names of columns")
    kind: Literal["classification", "regression", "anomaly"] = Field("classification", description="what the label is")
    next_event: str | None = Field(None, description="a category: also the tasks of predicting it and the time to it")
    on_disk: bool = Field(False, description="keep columns in files of the cache, for tables larger than memory")


class PhysionetOptions(EventOptions):
    """PhysioNet / CinC Challenge 2012."""

    folds: int = Field(5, ge=2, description="folds of set a, one split each; set b is always the test part")


class AdfaOptions(EventOptions):
    """ADFA-LD system-call traces."""

    task: Literal["attack", "detection"] = Field(
        "attack", description="attack: supervised, split by attack run; detection: fitted on normal traces alone"
    )
    bigrams: int = Field(500, ge=0, description="raw features: count so many of the most frequent pairs of calls")
    folds: int = Field(5, ge=2, description="attack: folds of attack runs and normal traces")


class PointProcessOptions(EventOptions):
    """A marked point process with published folds."""

    fold: int = Field(1, ge=1, le=5, description="the published fold whose test file is the test part")
    positions: int = Field(20_000, ge=100, description="most events of each part at which the next one is asked for")


class AgeOptions(EntityOptions):
    """Age groups of a bank's customers."""

    logarithmic: tuple[str, ...] = Field(("amount_rur",), description="numeric fields taken as sign(x) log(1 + |x|)")
    folder: Path = Field(Path("events/age"), description="folder with the published files, below the data root")


class GenderOptions(EntityOptions):
    """Gender of a bank's customers."""

    logarithmic: tuple[str, ...] = Field(("amount",), description="numeric fields taken as sign(x) log(1 + |x|)")
    folder: Path = Field(Path("events/gender"), description="folder with the published files, below the data root")


class RosbankOptions(EntityOptions):
    """Churn of a bank's customers."""

    logarithmic: tuple[str, ...] = Field(("amount",), description="numeric fields taken as sign(x) log(1 + |x|)")
    folder: Path = Field(Path("events/rosbank"), description="folder with the published files, below the data root")
