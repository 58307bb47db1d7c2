"""A slowly moving copy of a network: the teacher of bootstrap, momentum-contrast and latent-prediction methods."""

from __future__ import annotations

import copy
import math
from typing import Literal

import torch
from torch import nn

from sslplug.contracts import Progress

Schedule = Literal["constant", "cosine", "linear"]


def momentum_at(start: float, schedule: Schedule, share: float) -> float:
    """The momentum m at ``share`` of training: cosine or linear from ``start`` to 1, or constant.

    Cosine is BYOL's 1 - (1 - m0) (cos(pi t / T) + 1) / 2 (Grill et al. 2020, section 3.2).
    """
    if schedule == "cosine":
        return 1.0 - (1.0 - start) * (math.cos(math.pi * share) + 1.0) / 2.0
    if schedule == "linear":
        return start + (1.0 - start) * share
    return start


def teacher_of(student: nn.ModuleList) -> nn.ModuleList:
    """A copy without gradients."""
    return copy.deepcopy(student).requires_grad_(False)


class Momentum:
    """Moves a teacher's parameters towards a student's: teacher <- m teacher + (1 - m) student.

    Buffers (batch statistics) are the teacher's own: it runs in train mode and sees its own views.
    """

    def __init__(self, start: float, schedule: Schedule) -> None:
        self.start = start
        self.schedule: Schedule = schedule

    @torch.no_grad()
    def move(self, teacher: nn.Module, student: nn.Module, progress: Progress) -> None:
        """One step at ``progress``."""
        share = 1.0 - momentum_at(self.start, self.schedule, progress.share)
        if share:
            torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), share)
