"""Many small smooth convex problems minimised together by limited-memory BFGS.

Liu and Nocedal 1989, "On the limited memory BFGS method for large scale optimization". Every problem keeps its own history,
step length and stopping test; only the matrix products are shared, which is what makes probes over folds and classes cheap.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_HISTORY = 12


def minimise(
    value_and_gradient: Callable[[Tensor], tuple[Tensor, Tensor]],
    start: Tensor,
    tolerance: float = 1e-9,
    iterations: int = 1000,
) -> Tensor:
    """The (p, m) minimisers of p problems of m variables, from ``start`` (p, m) float64.

    ``value_and_gradient`` maps (p, m) to values (p,) and gradients (p, m). The variables should be scaled so that the
    Hessian is near the identity: a problem stops when half its squared gradient, then an estimate of what is left to gain,
    is at most ``tolerance`` times 1 + its value, or when no step lowers the value any more.
    """
    x = start.clone()
    value, gradient = value_and_gradient(x)
    steps: list[Tensor] = []
    changes: list[Tensor] = []
    inverses: list[Tensor] = []
    stuck = torch.zeros_like(value, dtype=torch.bool)
    for _ in range(iterations):
        active = (0.5 * (gradient * gradient).sum(1) > tolerance * (1.0 + value.abs())) & ~stuck
        if not bool(active.any()):
            break
        direction = _direction(gradient, steps, changes, inverses)
        slope = (direction * gradient).sum(1)
        uphill = slope >= 0
        direction = torch.where(uphill[:, None], -gradient, direction)
        slope = torch.where(uphill, -(gradient * gradient).sum(1), slope)
        length = active.to(x.dtype)
        for _ in range(30):
            candidate = x + length[:, None] * direction
            new_value, new_gradient = value_and_gradient(candidate)
            short = new_value > value + 1e-4 * length * slope
            if not bool(short.any()):
                break
            length = torch.where(short, 0.5 * length, length)
        failed = short & active
        stuck |= failed
        candidate = torch.where(failed[:, None], x, candidate)
        new_value = torch.where(failed, value, new_value)
        new_gradient = torch.where(failed[:, None], gradient, new_gradient)
        step, change = candidate - x, new_gradient - gradient
        curvature = (step * change).sum(1)
        usable = curvature > 1e-14 * (change * change).sum(1)
        steps.append(torch.where(usable[:, None], step, 0.0))
        changes.append(torch.where(usable[:, None], change, 0.0))
        inverses.append(torch.where(usable, 1.0 / torch.where(usable, curvature, 1.0), 0.0))
        if len(steps) > _HISTORY:
            del steps[0], changes[0], inverses[0]
        x, value, gradient = candidate, new_value, new_gradient
    return x


def _direction(gradient: Tensor, steps: list[Tensor], changes: list[Tensor], inverses: list[Tensor]) -> Tensor:
    """Minus the inverse-Hessian estimate times the gradient, by the two-loop recursion."""
    rest = gradient.clone()
    weights: list[Tensor] = []
    for step, change, inverse in zip(reversed(steps), reversed(changes), reversed(inverses), strict=True):
        weight = inverse * (step * rest).sum(1)
        rest.addcmul_(weight[:, None], change, value=-1.0)
        weights.append(weight)
    if steps:
        size = (changes[-1] * changes[-1]).sum(1)
        known = size > 0
        scale = torch.where(known, 1.0 / (inverses[-1] * size).clamp_min(1e-300), 1.0)
        rest *= torch.where(known, scale, 1.0)[:, None]
    for step, change, inverse, weight in zip(steps, changes, inverses, reversed(weights), strict=True):
        back = weight - inverse * (change * rest).sum(1)
        rest.addcmul_(back[:, None], step)
    return -rest
