"""A slow copy of a network, and a look at embeddings that leaves everything as it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def teacher_of(*student: nn.Module) -> nn.ModuleList:
    """Copies without gradients."""
    return copy.deepcopy(nn.ModuleList(student)).requires_grad_(False)


@torch.no_grad()
def follow(teacher: nn.ModuleList, student: nn.ModuleList, momentum: float) -> None:
    """teacher <- momentum * teacher + (1 - momentum) * student; buffers (batch statistics) are the teacher's own."""
    torch._foreach_lerp_(list(teacher.parameters()), list(student.parameters()), 1.0 - momentum)


@contextmanager
def observing(module: nn.Module) -> Iterator[None]:
    """Eval mode without gradients, the former mode restored: looking must not change batch statistics."""
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        module.train(was_training)
