"""A slow copy of a network."""

from __future__ import annotations

import copy

import torch
from torch import nn


def teacher_of(*student: nn.Module) -> nn.ModuleList:
    """Copies without gradients."""
    return copy.deepcopy(nn.ModuleList(student)).requires_grad_(False)


@torch.no_grad()
def follow(teacher: nn.ModuleList, student: nn.ModuleList, momentum: float) -> None:
    """teacher <- momentum * teacher + (1 - momentum) * student; buffers (batch statistics) are the teacher's own."""
    torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1.0 - momentum)
