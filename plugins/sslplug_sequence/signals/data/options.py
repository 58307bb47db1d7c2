"""What a recipe can say about any wearable data: devices, scaling, splits, which windows may be learnt from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sslplug.contracts import Options


class SpectrogramOptions(Options):
    """Log power of short pieces instead of raw samples (BYOL-A, BrainBERT views)."""

    window: int = Field(32, ge=4, description="samples of a piece (a Hann window)")
    hop: int = Field(8, ge=1, description="samples from one piece to the next")


class SignalOptions(Options):
    """Options of every wearable data set."""

    devices: tuple[str, ...] = Field((), description="devices to use; none named: all")
    judged: tuple[str, ...] = Field((), description="devices that get a task of their own; none named: all used")
    scaling: Literal["standardised", "none"] = Field(
        "standardised",
        description="standardised: mean 0 and deviation 1 a channel over the windows learnt from; none: as read",
    )
    spectrogram: SpectrogramOptions | None = Field(None, description="log spectrograms instead of raw samples")
    split: Literal["auto", "given", "leave-one-out", "folds"] = Field(
        "auto", description="by subject; auto: the data's own split, else leave-one-out up to 10 subjects, else folds"
    )
    folds: int = Field(5, ge=2, description="folds of subjects")
    val_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="share of the training subjects for validation (at least one where there are three); 0: none"
    )
    test_subjects: tuple[str, ...] = Field((), description="these subjects alone are tested, in one split; overrides split")
    pretrain: Literal["train", "all"] = Field(
        "train",
        description="train: windows of test subjects are never learnt from (where there is one split); all: without labels",
    )
    weighting: Literal["none", "motion"] = Field(
        "none", description="motion: an epoch prefers windows with more movement, drawn by their deviation"
    )
    epoch_share: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="share of the windows that an epoch visits")
    normal: tuple[str, ...] = Field(
        (), description="classes that are normal: learn from them alone, and add the task of telling the others apart"
    )

    @model_validator(mode="after")
    def _motion_needs_a_choice(self) -> SignalOptions:
        if self.weighting == "motion" and self.epoch_share == 1.0:
            raise ValueError("weighting 'motion' visits every window once where epoch_share is 1; set epoch_share below 1")
        return self
