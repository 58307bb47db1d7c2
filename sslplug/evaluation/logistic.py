"""Logistic regression probes on frozen features: multinomial (the engine's default) and one-vs-rest (GRACE, BGRL).

Both minimise a convex objective in float64 in the basis of the training rows' singular vectors, where a diagonal scaling is
close to the inverse Hessian, along an ascending path of strengths C with warm starts. Folds and classes are solved together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import logsigmoid

from sslplug.contracts import Kind, Options
from sslplug.evaluation.lbfgs import minimise
from sslplug.evaluation.metrics import selection_score
from sslplug.evaluation.probe import CLASS_KINDS, Prediction, Scaler, stratified_folds, unit_rows

_PATH_TOLERANCE = 1e-5
_FINAL_TOLERANCE = 1e-11


class LogisticOptions(Options):
    """Multinomial logistic regression on standardised features."""

    lowest: int = Field(default=-4, description="smallest strength C, as a power of ten")
    highest: int = Field(default=4, description="largest strength C, as a power of ten")
    folds: int = Field(default=5, ge=2, description="inner folds where a split has no validation rows")


@dataclass(frozen=True)
class Linear:
    """A linear classifier: scores = scaled features @ weights + bias."""

    scaler: Scaler
    weights: np.ndarray
    bias: np.ndarray
    classes: np.ndarray
    unit: bool = False

    def __call__(self, x: np.ndarray) -> Prediction:
        """Scores of (n, f) rows."""
        rows = unit_rows(x) if self.unit else self.scaler(x)
        return Prediction(rows @ self.weights + self.bias, self.classes)


@dataclass(frozen=True)
class Rotated:
    """Training rows in the basis of their right singular vectors: rows = coordinates @ basis.T, exactly.

    The minimiser of an L2-penalised linear model lies in the span of the rows, so nothing is lost and fewer variables are
    left where there are fewer rows than columns. ``power`` are the squared singular values.
    """

    coordinates: Tensor
    basis: Tensor
    power: Tensor

    @classmethod
    def of(cls, x: np.ndarray) -> Rotated:
        """Rotate (n, f) float64 rows."""
        rows = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64))
        if len(rows) >= rows.shape[1]:
            _, basis = torch.linalg.eigh(rows.T @ rows)
        else:
            basis = torch.linalg.qr(rows.T)[0]
            _, turn = torch.linalg.eigh((rows @ basis).T @ (rows @ basis))
            basis = basis @ turn
        coordinates = rows @ basis
        return cls(coordinates, basis, (coordinates**2).sum(0))


def softmax_path(
    rows: Rotated,
    targets: Tensor,
    masks: Tensor,
    strengths: list[float],
    start: Tensor | None = None,
    tolerance: float = 1e-5,
) -> list[tuple[Tensor, Tensor]]:
    """Multinomial logistic regressions of p row subsets for each ascending strength C: [(weights (p, k, r), bias (p, k))].

    Minimises C sum_i -log softmax(x_i W + b)[y_i] + 0.5 |W|^2 over the rows with mask 1; the bias is free. This is
    scikit-learn's objective for three classes and more. ``targets`` is (k, n) one-hot, ``masks`` (p, n).
    """
    p, n, k = len(masks), masks.shape[1], len(targets)
    columns = torch.cat([rows.coordinates, torch.ones(n, 1, dtype=torch.float64)], dim=1)
    penalty = torch.ones(columns.shape[1], dtype=torch.float64)
    penalty[-1] = 0.0
    power = torch.cat([rows.power, torch.tensor([float(n)], dtype=torch.float64)])
    weights = torch.zeros(p, k, columns.shape[1], dtype=torch.float64) if start is None else start
    solutions = []
    transposed = columns.T.contiguous()
    for strength in strengths:
        chance = torch.softmax(weights @ transposed, dim=1) * masks[:, None]
        flat = ((chance * (1 - chance)).sum(2) / masks.sum(1)[:, None]).clamp_min(1e-3)
        scale = (flat[:, :, None] * strength * power + penalty).clamp_min(1e-12).rsqrt()

        def loss(u: Tensor, scale: Tensor = scale, strength: float = strength) -> tuple[Tensor, Tensor]:
            w = u.view(p, k, -1) * scale
            logits = w @ transposed
            log_chance = torch.log_softmax(logits, dim=1)
            value = -strength * (log_chance * targets * masks[:, None]).sum((1, 2)) + 0.5 * (penalty * w * w).sum((1, 2))
            residual = (log_chance.exp_() - targets) * masks[:, None]
            gradient = strength * (residual @ columns) + penalty * w
            return value, (gradient * scale).reshape(p, -1)

        weights = minimise(loss, (weights / scale).reshape(p, -1), tolerance).view(p, k, -1) * scale
        solutions.append((weights[:, :, :-1], weights[:, :, -1]))
    return solutions


@dataclass(frozen=True)
class Logistic:
    """The engine's probe for classes: see :class:`LogisticOptions`.

    Features are standardised by the training rows; C runs over powers of ten and is chosen by the primary metric on the
    validation rows, else by inner stratified cross-validation on the training rows; ties take the smaller C. Where no
    class has two training rows, nothing can be held out and C is 1. Nothing is refitted on validation rows.
    """

    options: LogisticOptions
    kinds: frozenset[Kind] = CLASS_KINDS

    def fit(
        self, x_train: np.ndarray, y_train: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, kind: Kind, seed: int
    ) -> Linear:
        """Fit on (n, f) rows with integer labels."""
        scaler = Scaler.of(x_train)
        rows = Rotated.of(scaler(x_train))
        classes, index = np.unique(y_train, return_inverse=True)
        targets = torch.nn.functional.one_hot(torch.from_numpy(index), len(classes)).T.to(torch.float64)
        everyone = torch.ones(1, len(y_train), dtype=torch.float64)
        strengths = [10.0**power for power in range(self.options.lowest, self.options.highest + 1)]

        def linear(weights: Tensor, bias: Tensor) -> Linear:
            return Linear(scaler, (rows.basis @ weights.T).numpy(), bias.numpy(), classes)

        if len(y_val):
            path = softmax_path(rows, targets, everyone, strengths, tolerance=_PATH_TOLERANCE)
            fits = [linear(weights[0], bias[0]) for weights, bias in path]
            scores = [selection_score(kind, y_val, fit(x_val)) for fit in fits]
            chosen = int(np.argmax(scores))
            return fits[chosen]
        strength = 1.0
        if np.bincount(index).max() >= 2:
            folds = min(self.options.folds, len(y_train))
            fold = stratified_folds(y_train, folds, seed)
            masks = torch.from_numpy((fold[None] != np.arange(folds)[:, None]).astype(np.float64))
            scores = []
            for weights, bias in softmax_path(rows, targets, masks, strengths, tolerance=_PATH_TOLERANCE):
                logits = (weights @ rows.coordinates.T + bias[:, :, None]).numpy()
                held = [(y_train[fold == f], Prediction(logits[f][:, fold == f].T, classes)) for f in range(folds)]
                scores.append(float(np.mean([selection_score(kind, *pair) for pair in held])))
            strength = strengths[int(np.argmax(scores))]
        weights, bias = softmax_path(rows, targets, everyone, [strength], tolerance=_FINAL_TOLERANCE)[0]
        return linear(weights[0], bias[0])


class OneVsRestOptions(Options):
    """One-vs-rest L2 logistic regression on unit-length rows, as liblinear solves it (GRACE, BGRL)."""

    lowest: int = Field(default=-10, description="smallest strength C, as a power of two")
    highest: int = Field(default=9, description="largest strength C, as a power of two (BGRL: 10)")
    cv: Literal["folds", "shuffle"] = Field(
        default="folds", description="choose C by stratified folds, or by half-half shuffles (BGRL)"
    )
    repeats: int = Field(default=5, ge=2, description="number of folds or of shuffles")
    pool: Literal["train", "train+val"] = Field(default="train", description="rows to fit on; train+val is BGRL's 20 % pool")


def one_vs_rest_path(rows: Rotated, signs: Tensor, masks: Tensor, strengths: list[float], tolerance: float) -> list[Tensor]:
    """Binary logistic regressions of every class on p row subsets, for each ascending strength C: [weights (p, k, r)].

    Minimises C sum_i log(1 + exp(-y_i w.x_i)) + 0.5 |w|^2, liblinear's objective (Fan et al. 2008): the bias is a constant
    column of the rows and is penalised. ``signs`` is (k, n) of +1 and -1, ``masks`` (p, n).
    """
    p, k = len(masks), len(signs)
    columns, transposed = rows.coordinates, rows.coordinates.T.contiguous()
    sign = signs.repeat(p, 1)
    mask = masks.repeat_interleave(k, dim=0)
    weights = torch.zeros(p * k, columns.shape[1], dtype=torch.float64)
    solutions = []
    for strength in strengths:
        chance = torch.sigmoid(weights @ transposed)
        flat = ((chance * (1 - chance) * mask).sum(1) / mask.sum(1)).clamp_min(1e-3)
        scale = (flat[:, None] * strength * rows.power + 1.0).rsqrt()
        weight = strength * mask
        signed = strength * sign * mask

        def loss(
            u: Tensor, scale: Tensor = scale, weight: Tensor = weight, signed: Tensor = signed
        ) -> tuple[Tensor, Tensor]:
            w = u * scale
            log_chance = logsigmoid((w @ transposed).mul_(sign))
            value = 0.5 * (w * w).sum(1) - (weight * log_chance).sum(1)
            residual = log_chance.exp_().sub_(1.0).mul_(signed)
            return value, torch.addmm(w, residual, columns) * scale

        weights = minimise(loss, weights / scale, tolerance) * scale
        solutions.append(weights.view(p, k, -1))
    return solutions


@dataclass(frozen=True)
class OneVsRest:
    """P-random-LR: see :class:`OneVsRestOptions`. Validation rows join the pool or are left out; they never choose C.

    C is chosen by mean accuracy over the folds, ties take the smaller one, and the model is fitted again on the whole pool.
    Zhu et al. 2020 (GRACE, arXiv:2006.04131) and Thakoor et al. 2022 (BGRL, arXiv:2102.06514) publish under this protocol.
    """

    options: OneVsRestOptions
    kinds: frozenset[Kind] = CLASS_KINDS

    def fit(
        self, x_train: np.ndarray, y_train: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, kind: Kind, seed: int
    ) -> Linear:
        """Fit on (n, f) rows with integer labels."""
        if self.options.pool == "train+val" and len(y_val):
            x_train, y_train = np.concatenate([x_train, x_val]), np.concatenate([y_train, y_val])
        unit = unit_rows(x_train)
        rows = Rotated.of(np.concatenate([unit, np.ones((len(unit), 1))], axis=1))
        classes, index = np.unique(y_train, return_inverse=True)
        signs = 2.0 * torch.nn.functional.one_hot(torch.from_numpy(index), len(classes)).T.to(torch.float64) - 1.0
        strengths = [2.0**power for power in range(self.options.lowest, self.options.highest + 1)]
        masks = torch.from_numpy(self._masks(y_train, seed).astype(np.float64))
        scores = []
        for weights in one_vs_rest_path(rows, signs, masks, strengths, _PATH_TOLERANCE):
            logits = (weights @ rows.coordinates.T).numpy()
            held = [(logits[f].T[mask.numpy() == 0], y_train[mask.numpy() == 0]) for f, mask in enumerate(masks)]
            scores.append(float(np.mean([selection_score(kind, y, Prediction(z, classes)) for z, y in held])))
        strength = strengths[int(np.argmax(scores))]
        everyone = torch.ones(1, len(y_train), dtype=torch.float64)
        weights = one_vs_rest_path(rows, signs, everyone, [strength], _FINAL_TOLERANCE)[0][0]
        full = (rows.basis @ weights.T).numpy()
        return Linear(Scaler.identity(unit), full[:-1], full[-1], classes, unit=True)

    def _masks(self, labels: np.ndarray, seed: int) -> np.ndarray:
        """(repeats, n) True where a row is fitted on; at least one row is held out of each."""
        repeats = min(self.options.repeats, len(labels))
        if self.options.cv == "folds":
            masks: np.ndarray = stratified_folds(labels, repeats, seed)[None] != np.arange(repeats)[:, None]
            return masks
        rng = np.random.default_rng(seed)
        return np.stack([rng.permutation(len(labels)) < len(labels) // 2 for _ in range(repeats)])
