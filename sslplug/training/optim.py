"""Optimisers, learning-rate schedules and clipping."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import nn

from sslplug.contracts import Options


class OptimOptions(Options):
    """The recipe's ``optim`` section."""

    name: Literal["adam", "adamw", "sgd", "lars"] = Field("adam", description="Optimiser.")
    lr: float = Field(1e-3, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay: L2 for adam and sgd, decoupled for adamw.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of sgd and lars.")
    betas: tuple[float, float] = Field((0.9, 0.999), description="Averages of adam and adamw.")
    trust: float = Field(0.02, gt=0, description="Trust coefficient of lars.")
    decay_all: bool = Field(True, description="Decay vectors too (biases, norms, PReLU); false: matrices alone.")
    schedule: Literal["constant", "cosine"] = Field("constant", description="Learning rate after the warm-up.")
    warmup: int = Field(0, ge=0, description="Steps of linear warm-up from 0.")
    clip: float | None = Field(None, gt=0, description="Largest norm of the joined gradient; none: no clipping.")


def learning_rate(options: OptimOptions, step: int, steps: int) -> float:
    """The rate of optimiser step ``step`` (from 0) of ``steps``: linear warm-up, then constant or cosine to 0."""
    if step < options.warmup:
        return options.lr * (step + 1) / options.warmup
    if options.schedule == "constant":
        return options.lr
    share = (step - options.warmup) / max(steps - options.warmup, 1)
    return options.lr * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))


class Lars(torch.optim.Optimizer):
    """Layer-wise adaptive rate scaling (You, Gitman and Ginsburg 2017) with momentum.

    Matrices move by lr * trust * |w| / (|g| + decay |w|); vectors (biases, norms) by plain momentum SGD without decay.
    """

    def __init__(
        self, groups: list[dict[str, object]], lr: float, momentum: float, trust: float, weight_decay: float
    ) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "trust": trust, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                update = weight.grad
                if weight.ndim > 1:
                    update = update + group["weight_decay"] * weight
                    weight_norm, update_norm = weight.norm(), update.norm()
                    ratio = group["trust"] * weight_norm / update_norm.clamp_min(1e-12)
                    update = update * torch.where(weight_norm > 0, ratio, torch.ones_like(ratio))
                state = self.state[weight]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].mul_(group["momentum"]).add_(update)
                weight.add_(state["momentum"], alpha=-group["lr"])


def make_optimizer(model: nn.Module, options: OptimOptions) -> torch.optim.Optimizer:
    """The optimiser over the model's trainable parameters, each once, in the order of their names."""
    trained = [p for p in model.parameters() if p.requires_grad]
    if options.decay_all:
        groups: list[dict[str, object]] = [{"params": trained}]
    else:
        groups = [
            {"params": [p for p in trained if p.ndim > 1]},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
    # One fused call a step: the loop's own cost must vanish beside a 1 ms step. Float64 parameters work too.
    fused = all(p.is_floating_point() for p in trained)
    if options.name == "adam":
        return torch.optim.Adam(groups, lr=options.lr, betas=options.betas, weight_decay=options.weight_decay, fused=fused)
    if options.name == "adamw":
        return torch.optim.AdamW(groups, lr=options.lr, betas=options.betas, weight_decay=options.weight_decay, fused=fused)
    if options.name == "sgd":
        return torch.optim.SGD(
            groups, lr=options.lr, momentum=options.momentum, weight_decay=options.weight_decay, fused=fused
        )
    return Lars(groups, options.lr, options.momentum, options.trust, options.weight_decay)


class FiniteGradients:
    """``check()``: whether every entry of every gradient is finite, in one pass over them, with one wait for a card.

    The pass is torch's own for mixed precision; it multiplies gradients by 1, which changes no bit of them.
    """

    def __init__(self, parameters: list[nn.Parameter], device: torch.device) -> None:
        self.parameters = parameters
        self.found, self.one = torch.zeros((), device=device), torch.ones((), device=device)

    def __call__(self) -> bool:
        """Looks at the gradients that are there now."""
        grads = [p.grad for p in self.parameters if p.grad is not None]
        if not grads:
            return True
        self.found.zero_()
        torch._amp_foreach_non_finite_check_and_unscale_(grads, self.found, self.one)
        return not self.found.item()


def gradient_norm(parameters: list[nn.Parameter]) -> float:
    """Norm of the joined gradient; NaN or infinite as soon as one entry is, or where the squares overflow."""
    grads = [p.grad for p in parameters if p.grad is not None]
    norms = torch._foreach_norm(grads) if grads else ()
    if all(norm.device.type == "cpu" for norm in norms):
        return math.hypot(*(norm.item() for norm in norms))  # cheaper than three more tensor operations
    return float(torch.linalg.vector_norm(torch.stack(norms)))  # one wait for the card, not one a parameter


def clip_gradient(parameters: list[nn.Parameter], norm: float, largest: float) -> None:
    """Scale all gradients so that their joined norm is at most ``largest``; ``norm`` is their present norm."""
    if norm > largest:
        grads = [p.grad for p in parameters if p.grad is not None]
        torch._foreach_mul_(grads, largest / (norm + 1e-6))
