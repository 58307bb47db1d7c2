"""What a prediction of an event's field costs: cross-entropy of a category, squared error of numbers that were recorded.

    category:  L = mean_i -log softmax(p_i)[t_i]          numbers:  L = mean over recorded (i, k) of (p_ik - t_ik)^2

A number that is NaN in the target was not recorded and costs nothing. Smaller is better; 0 is perfect. Distribution: "mean".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.errors import DataError
from sslplug_sequence.events.objectives.ranks import weight_of_rank


class FieldLossOptions(Options):
    """Options of the loss."""

    smoothing: float = Field(0.0, ge=0, lt=1, description="label smoothing of categories")


class FieldLoss(nn.Module):
    """See the module's equations. Term: ``field``."""

    distribution: Distribution = "mean"
    most_views: int | None = 2

    def __init__(self, options: FieldLossOptions) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: predictions (n, k), and target: (n,) int64 classes or (n, k) numbers. 0 for no row."""
        prediction, target = views
        if len(prediction) != len(target) or (target.is_floating_point() and target.shape != prediction.shape):
            raise DataError(
                f"Objective 'fields': prediction {tuple(prediction.shape)} and target {tuple(target.shape)} do not fit; "
                "expected (n, k) and (n,) classes, or one shape."
            )
        with torch.autocast(prediction.device.type, enabled=False):
            prediction = prediction.float()
            if target.is_floating_point():
                known = ~target.isnan()
                error = (prediction - target.float()).where(known, 0.0).square()
                return {"field": error.sum() / known.sum().clamp(min=1) * weight_of_rank(target[known])}
            if not len(target):
                return {"field": prediction.sum() * weight_of_rank(target)}
            loss = F.cross_entropy(prediction, target, label_smoothing=self.options.smoothing)
            return {"field": loss * weight_of_rank(target)}


def build(options: FieldLossOptions, dim: int) -> FieldLoss:
    """The loss; it takes any width."""
    return FieldLoss(options)


FIELDS = Component(
    FieldLossOptions,
    build,
    "Cross-entropy of an event's categories, squared error of its recorded numbers",
    provides=tags("score:prediction"),
)
