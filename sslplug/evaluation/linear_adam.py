"""A linear softmax layer trained by Adam on frozen features: P-public (DGI, GraphMAE, CCA-SSG) and P-random-torch (GCA)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from sslplug.contracts import Kind, Options
from sslplug.errors import UsageError
from sslplug.evaluation.logistic import Linear
from sslplug.evaluation.metrics import selection_score
from sslplug.evaluation.probe import CLASS_KINDS, Prediction, Scaler, unit_rows


class LinearAdamOptions(Options):
    """A linear softmax layer by full-batch Adam; DGI: lr .01, 100 steps; GCA: 3000 steps, select validation."""

    lr: float = Field(default=0.01, gt=0, description="Adam's learning rate")
    weight_decay: float = Field(default=0.0, ge=0, description="L2 penalty added to the gradient, as Adam does")
    epochs: int = Field(default=300, ge=1, description="full-batch steps")
    normalise: Literal["none", "l2", "standardise"] = Field(default="none", description="what is done to the features first")
    select: Literal["last", "validation"] = Field(
        default="last", description="keep the last step, or the best on validation rows"
    )
    check_every: int = Field(default=20, ge=1, description="steps between two looks at the validation rows")


@dataclass(frozen=True)
class LinearAdam:
    """See :class:`LinearAdamOptions`. Weights start from Xavier's uniform draw (Glorot and Bengio 2010), the bias from 0."""

    options: LinearAdamOptions
    kinds: frozenset[Kind] = CLASS_KINDS

    def fit(
        self, x_train: np.ndarray, y_train: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, kind: Kind, seed: int
    ) -> Linear:
        """Fit on (n, f) rows with integer labels. UsageError where validation should select and there is none."""
        options = self.options
        if options.select == "validation" and not len(y_val):
            raise UsageError(
                "The linear_adam probe should keep its best step on validation, but this split has no validation rows. "
                "Set its select: last, or use a task with validation rows."
            )
        unit = options.normalise == "l2"
        scaler = Scaler.of(x_train) if options.normalise == "standardise" else Scaler.identity(x_train)
        classes, index = np.unique(y_train, return_inverse=True)

        def rows(x: np.ndarray) -> torch.Tensor:
            return torch.from_numpy((unit_rows(x) if unit else scaler(x)).astype(np.float32))

        x, target = rows(x_train), torch.nn.functional.one_hot(torch.from_numpy(index), len(classes)).to(torch.float32)
        held = rows(x_val) if options.select == "validation" else x[:0]
        generator = torch.Generator().manual_seed(seed)
        bound = (6.0 / (x.shape[1] + len(classes))) ** 0.5
        weights = (2.0 * torch.rand(x.shape[1], len(classes), generator=generator) - 1.0) * bound
        bias = torch.zeros(len(classes))
        transposed = x.T.contiguous()
        best = (-np.inf, weights.clone(), bias.clone())
        with torch.no_grad():
            optimiser = torch.optim.Adam([weights, bias], lr=options.lr, weight_decay=options.weight_decay, fused=True)
            for step in range(1, options.epochs + 1):
                residual = (torch.softmax(torch.addmm(bias, x, weights), dim=1) - target) / len(x)
                weights.grad, bias.grad = transposed @ residual, residual.sum(0)
                optimiser.step()
                if len(held) and (step % options.check_every == 0 or step == options.epochs):
                    score = selection_score(kind, y_val, Prediction((held @ weights + bias).numpy(), classes))
                    if score > best[0]:
                        best = (score, weights.clone(), bias.clone())
        if options.select == "validation":
            _, weights, bias = best
        return Linear(scaler, weights.numpy().astype(np.float64), bias.numpy().astype(np.float64), classes, unit=unit)
