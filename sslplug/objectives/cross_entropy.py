"""Cross-entropy of predicted logits with class numbers or class probabilities, for supervised and pretext heads.

    L = mean_i -log softmax(p_i)[t_i]        or, for probabilities t,   mean_i -sum_k t_ik log softmax(p_i)_k

Smaller is better; 0 is perfect for class numbers. Distribution: "mean".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Component, Distribution, Options, tags
from sslplug.distributed import rank_weight
from sslplug.errors import DataError
from sslplug.objectives.embeddings import exactly, wide


class CrossEntropyOptions(Options):
    """Options of cross-entropy."""

    smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread evenly over all classes")


class CrossEntropy(nn.Module):
    """Cross-entropy. Term: ``cross_entropy``."""

    distribution: Distribution = "mean"
    most_views: int | None = 2

    def __init__(self, options: CrossEntropyOptions) -> None:
        super().__init__()
        self.options = options

    def forward(
        self, views: Sequence[Tensor], ids: Sequence[Tensor] | None = None, negatives: Tensor | None = None
    ) -> dict[str, Tensor]:
        """``views``: logits (n, k) and target, (n,) int64 classes or (n, k) probabilities."""
        logits, target = views
        fits = target.shape == logits.shape if target.is_floating_point() else target.shape == logits.shape[:1]
        if logits.ndim != 2 or not fits or not len(logits):
            raise DataError(
                f"Objective 'cross_entropy': logits {tuple(logits.shape)} and target {tuple(target.shape)} {target.dtype}; "
                "expected (n, k) logits, n at least 1, and (n,) int64 classes or (n, k) probabilities."
            )
        with exactly(logits):
            logits = wide(logits)
            target = target.to(logits.dtype) if target.is_floating_point() else target.to(torch.int64)
            loss = F.cross_entropy(logits, target, label_smoothing=self.options.smoothing)
            return {"cross_entropy": loss * rank_weight(len(logits))}


def build(options: CrossEntropyOptions, dim: int) -> CrossEntropy:
    """Cross-entropy; it takes any number of classes."""
    return CrossEntropy(options)


CROSS_ENTROPY = Component(
    CrossEntropyOptions, build, "Cross-entropy of logits with classes or probabilities", provides=tags("score:prediction")
)
