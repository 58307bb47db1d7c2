"""Mean squared error of a prediction, for regression targets and reconstruction.

    L = mean over rows and columns of (p - t)^2

Smaller is better; 0 is perfect. Distribution: "mean".
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.distributed import rank_weight
from sslplug.errors import DataError
from sslplug.objectives.embeddings import exactly, wide


class MseOptions(Options):
    """The squared error has no options."""


class SquaredError(nn.Module):
    """Mean squared error. Term: ``mse``."""

    distribution: Distribution = "mean"
    most_views: int | None = 2

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
            error = (wide(prediction) - target).square().mean()
            return {"mse": error * rank_weight(len(prediction))}


def build(options: MseOptions, dim: int) -> SquaredError:
    """The squared error; it takes any width."""
    return SquaredError()


MSE = Component(MseOptions, build, "Mean squared error of a prediction", provides=tags("score:prediction"))
