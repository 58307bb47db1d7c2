"""Mean squared error of a prediction, for regression targets and reconstruction.

    L = mean over rows and columns of (p - t)^2

or, with ``smooth`` b, of (p - t)^2 / (2 b) where |p - t| < b and |p - t| - b / 2 beyond (smooth L1: Girshick 2015; I-JEPA, b 1).

Smaller is better; 0 is perfect. Distribution: "mean".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.distributed import rank_weight
from sslplug.errors import DataError
from sslplug.objectives.embeddings import exactly, wide


class MseOptions(Options):
    """Options of the squared error."""

    smooth: float = Field(
        0.0, ge=0, description="Error from which the loss grows linearly (smooth L1); 0: squared everywhere."
    )


class SquaredError(nn.Module):
    """Mean squared error. Term: ``mse``."""

    distribution: Distribution = "mean"
    most_views: int | None = 2

    def __init__(self, smooth: float) -> None:
        super().__init__()
        self.smooth = smooth

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: prediction (n, ...) and target of the same shape. See the contract ``Objective``.

        Shapes must be equal: (n, 1) against (n,) would quietly broadcast to (n, n).
        """
        prediction, target = views
        if prediction.shape != target.shape or not len(prediction):
            raise DataError(
                f"Objective 'mse': prediction {tuple(prediction.shape)} and target {tuple(target.shape)} need one shape "
                "and at least one row; give the target its last dimension, or the head the target's width."
            )
        with exactly(prediction):
            if self.smooth:
                error = F.smooth_l1_loss(wide(prediction), wide(target), beta=self.smooth)
            else:
                error = (wide(prediction) - target).square().mean()
            return {"mse": error * rank_weight(len(prediction))}


def build(options: MseOptions, dim: int) -> SquaredError:
    """The squared error; it takes any width."""
    return SquaredError(options.smooth)


MSE = Component(MseOptions, build, "Mean squared error of a prediction", provides=tags("score:prediction"))
