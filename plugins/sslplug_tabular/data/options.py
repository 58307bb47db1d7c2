"""What a recipe can say about tabular data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sslplug.contracts import Options
from sslplug_tabular.data.encoding import Infinities
from sslplug_tabular.data.scaling import Scaling
from sslplug_tabular.data.types import Kind
from sslplug_tabular.data.words import MISSING
from sslplug_tabular.tasks import TargetKind

Share = Annotated[float, Field(ge=0, lt=1)]
Protocol = Literal["inductive", "transductive"]


class TableOptions(Options):
    """Any table."""

    protocol: Protocol = Field(
        "inductive",
        description="rows that pretraining and statistics see: training and unlabelled ones, or (transductive) all rows",
    )
    scaler: Scaling = Field("quantile-normal", description="how numeric columns are scaled")
    most_categories: int = Field(1000, ge=1, description="words kept of a column; the rarer ones share one code")


class SplitOptions(Options):
    """Which rows train, validate and test."""

    column: str | None = Field(None, description="a column that says train, val or test (empty: pretraining only)")
    group: str | None = Field(None, description="a column of groups (persons) that stay on one side")
    time: str | None = Field(None, description="a column of dates or numbers: the latest rows test")
    val_share: Share = Field(0.16, description="share of labelled rows for choosing settings")
    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="share of labelled rows scored once, at the end"
    )
    stratify: bool = Field(True, description="a random split cuts each class alike")
    seed: int | None = Field(None, description="of a random split or of groups; unset: the run's seed")

    @model_validator(mode="after")
    def _one_way_that_leaves_rows(self) -> SplitOptions:
        if sum(way is not None for way in (self.column, self.group, self.time)) > 1:
            raise ValueError("give one of column, group and time")
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share + test_share must leave rows for training")
        return self


class OwnOptions(TableOptions):
    """A table of one's own."""

    target: str | tuple[str, ...] | None = Field(None, description="column, or columns, to predict; none: no task")
    target_kind: TargetKind = Field("auto", description="whether targets are classes or numbers")
    types: dict[str, Kind] = Field(default_factory=dict, description="kinds of columns, where the inferred ones are wrong")
    orders: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="words of ordinal columns, lowest first")
    missing: tuple[str, ...] = Field(MISSING, description="words that mean a missing value")
    infinities: Infinities = Field("refuse", description="infinite numbers are refused, or count as missing")
    leaks: Literal["refuse", "note"] = Field(
        "refuse", description="a column that tells the target exactly: refused, or noted"
    )
    split: SplitOptions = Field(default_factory=SplitOptions, description="which rows train, validate and test")

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns."""
        if self.target is None:
            return ()
        return (self.target,) if isinstance(self.target, str) else self.target


class FileOptions(OwnOptions):
    """A table in a file."""

    path: Path = Field(description=".csv, .tsv, .parquet, .arrow, .feather or .arff; text also packed (.xz, .gz, .bz2)")
    separator: str | None = Field(None, min_length=1, max_length=1, description="between cells of a text file")
    stream: bool | None = Field(None, description="read Parquet piece by piece; unset: where it exceeds 2 GiB unpacked")


class MemoryOptions(OwnOptions):
    """A table in memory."""


class NamedOptions(TableOptions):
    """A named set with random splits."""

    split_seed: int | None = Field(None, description="seed of the 64/16/20 split; unset: the run's seed")


class AdultOptions(TableOptions):
    """Adult."""

    split_seed: int = Field(0, description="seed of the fifth of the training rows that validates")


class BankOptions(NamedOptions):
    """Bank marketing."""

    duration: bool = Field(False, description="use the length of the call, known only once it is over")
