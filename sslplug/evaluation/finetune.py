"""Fine-tuning: encoder and a linear head trained end to end on a task's training rows, stopped early on validation.

Frozen probes understate masked models (He et al. 2022, MAE, section 4.3); this is the other half of the picture. The head
starts as the linear probe of the frozen embeddings: a random one distorts what pretraining left, and with few labels the
end is below the probe (Kumar et al. 2022, "Fine-tuning can distort pretrained features and underperform out-of-distribution").
Where embeddings are poor and labels few the probe fits the training rows by heart and leaves no gradient to mend the encoder by;
there a random head, as older protocols have it, ends higher (docs/results.md, multi-task pretext). ``tune`` tries both.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from sslplug.contracts import Embedding, Options, Split, Task, View
from sslplug.errors import DataError, NonFiniteError
from sslplug.evaluation.columns import instances, level_of
from sslplug.evaluation.embedding import embed
from sslplug.evaluation.logistic import Linear, Logistic, LogisticOptions
from sslplug.evaluation.metrics import selection_order
from sslplug.evaluation.probe import CLASS_KINDS, Prediction, held_out
from sslplug.evaluation.ridge import FittedRidge, Ridge, RidgeOptions
from sslplug.evaluation.search import Space, best_of, log_uniform, one_of, settings, zero_or
from sslplug.randomness import Rng


class FinetuneOptions(Options):
    """Encoder and linear head trained end to end with AdamW on the labels of the training rows."""

    lr: float = Field(default=1e-3, gt=0, description="AdamW's learning rate, for encoder and head")
    weight_decay: float = Field(default=1e-4, ge=0, description="AdamW's weight decay")
    head: Literal["probe", "random"] = Field(
        default="probe", description="where the head starts: at the linear probe of the frozen embeddings, or at random"
    )
    epochs: int = Field(default=200, ge=1, description="most passes over the training rows")
    patience: int = Field(default=30, ge=1, description="epochs without a better validation score before stopping")
    tune: int = Field(default=0, ge=0, description="random settings tried besides this one, chosen on validation rows")


SPACE: Space = {
    "lr": log_uniform(1e-5, 1e-2),
    "weight_decay": zero_or(log_uniform(1e-6, 1e-2)),
    "head": one_of(("probe", "random")),
}
"""What ``tune`` draws from, from pretrained and from untrained parameters alike."""


@dataclass(frozen=True)
class _Share:
    """The instances of one view: their numbers in the task, and their member rows (m, k) within the view."""

    view: View
    instances: np.ndarray
    members: Tensor


def finetune(
    encoder: nn.Module,
    rows: Sequence[View],
    task: Task,
    split: Split,
    options: FinetuneOptions,
    seed: int,
    device: torch.device | str,
) -> Prediction:
    """What is said of the test rows of ``split``, in their order, after training ``encoder`` in place.

    encoder  a copy that may be changed: the caller keeps its own
    rows     the clean views that together hold every row in fixed order; one view with training rows is one optimiser step

    The epoch, and with ``tune`` the setting, is chosen by the primary metric on validation rows, ties by the loss there; where
    there are none, on a stratified fifth of the training rows, as the probes do. Test rows are looked at once, by the chosen
    one. Numbers are learned in units of the training rows' standard deviation. Torch's global random state is left as it was.
    Raises DataError where an instance's members lie in different views, where classes are too few, the level is not the
    encoder's or the kind has no head; NonFiniteError where the loss or an embedding is.
    """
    if task.kind not in CLASS_KINDS | {"regression"}:
        raise DataError(f"Task {task.name!r}: a {task.kind} task cannot be fine-tuned; use a probe.")
    labels = task.labels
    train, _, val, _ = held_out(split.train, labels[split.train], split.val, labels[split.val], task.kind, seed)
    if task.kind in CLASS_KINDS and len(np.unique(labels[train])) < 2:
        raise DataError(f"Task {task.name!r}: all {len(train)} training rows are of one class; fine-tuning needs two.")
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        draw = Rng.root(seed).fork("finetune", task.name).key % 2**63
        views = [view.to(device) for view in rows]
        encoder = encoder.to(device)
        frozen = [level_of(task.name, task.level, "given", embed(encoder, [view], device)) for view in views]
        counts = [len(part) for part in frozen]
        learn, held = (_shares(task, views, counts, part, torch.device(device)) for part in (train, val))
        start = _probe(np.concatenate(frozen), task, train, val, seed).to(device)

        def fit(chosen: FinetuneOptions) -> tuple[_Tuned, tuple[float, ...]]:
            torch.manual_seed(draw)
            head = copy.deepcopy(start)
            if chosen.head == "random":
                head.linear.reset_parameters()
            tuned = _Tuned(copy.deepcopy(encoder) if options.tune else encoder, head, task)
            return tuned, _train(tuned, learn, held, chosen)

        tuned = best_of(settings(options, SPACE, options.tune, draw), fit)
        return tuned.said(_shares(task, views, counts, split.test, torch.device(device)), split.test)


class _Head(nn.Module):
    """(m, f) -> (m, outputs): rows standardised once and for all, then a linear map. ``mean`` and ``scale`` are of the labels."""

    centre: Tensor
    spread: Tensor

    def __init__(self, start: Linear | FittedRidge, mean: float, scale: float) -> None:
        super().__init__()
        weights = torch.from_numpy(start.weights.reshape(len(start.weights), -1).T).float()
        self.linear = nn.Linear(weights.shape[1], weights.shape[0])
        self.linear.weight = nn.Parameter(weights.contiguous())
        self.linear.bias = nn.Parameter(torch.as_tensor(np.atleast_1d(start.bias)).float())
        self.register_buffer("centre", torch.from_numpy(start.scaler.mean).float())
        self.register_buffer("spread", torch.from_numpy(start.scaler.scale).float())
        self.classes = start.classes if isinstance(start, Linear) else None
        self.mean, self.scale = mean, scale

    def forward(self, rows: Tensor) -> Tensor:
        """Scores of classes, or one standardised number a row."""
        outputs: Tensor = self.linear((rows - self.centre) / self.spread)
        return outputs


def _probe(rows: np.ndarray, task: Task, train: np.ndarray, val: np.ndarray, seed: int) -> _Head:
    """The head to start from: the default probe of the frozen (n, d) embeddings, of standardised labels where they are numbers."""
    columns = np.asarray(instances(task, rows))
    x, held = columns[train], columns[val]
    y, y_held = task.labels[train], task.labels[val]
    if task.kind in CLASS_KINDS:
        return _Head(Logistic(LogisticOptions()).fit(x, y, held, y_held, task.kind, seed), 0.0, 1.0)
    mean, scale = float(y.mean()), float(y.std()) or 1.0
    ridge = Ridge(RidgeOptions()).fit(x, (y - mean) / scale, held, (y_held - mean) / scale, task.kind, seed)
    return _Head(ridge, mean, scale)


class _Tuned(nn.Module):
    """Encoder and head as one. The evaluated encoder may be a teacher, whose parameters ask for no gradient; here they do."""

    def __init__(self, encoder: nn.Module, head: _Head, task: Task) -> None:
        super().__init__()
        self.encoder, self.head, self.task = encoder, head, task
        self.requires_grad_(True)

    def forward(self, share: _Share) -> Tensor:
        """(m, outputs) of a share's instances."""
        outputs: Tensor = self.head(_joined(_level(self.encoder, share.view, self.task), share.members))
        return outputs

    def loss(self, share: _Share) -> Tensor:
        """Cross-entropy, or the mean squared error of standardised labels."""
        labels, head = self.task.labels[share.instances], self.head
        outputs = self(share)
        if head.classes is None:
            return mse_loss(outputs[:, 0], torch.as_tensor((labels - head.mean) / head.scale).to(outputs))
        return cross_entropy(outputs, torch.as_tensor(np.searchsorted(head.classes, labels), device=outputs.device))

    def said(self, shares: Sequence[_Share], instances: np.ndarray) -> Prediction:
        """What is said of the instances of ``shares``, in the order of ``instances``."""
        self.eval()
        with torch.no_grad():
            values = torch.cat([self(share) for share in shares]).to("cpu", torch.float64).numpy()
        order = np.argsort(np.argsort(instances))
        values = values[np.argsort(np.concatenate([share.instances for share in shares]))][order]
        if self.head.classes is None:
            return Prediction(self.head.mean + self.head.scale * values[:, 0])
        return Prediction(values, self.head.classes)


def _train(tuned: _Tuned, learn: Sequence[_Share], held: Sequence[_Share], options: FinetuneOptions) -> tuple[float, ...]:
    """Train one setting and leave it at its best epoch, the start among them; how that one is compared on validation rows."""
    task = tuned.task
    val = np.concatenate([share.instances for share in held])
    optimiser = torch.optim.AdamW(tuned.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    best: tuple[float, ...] = selection_order(task.kind, task.labels[val], tuned.said(held, val))
    state, since = copy.deepcopy(tuned.state_dict()), 0
    for epoch in range(options.epochs):
        tuned.train()
        for number in torch.randperm(len(learn)).tolist():
            loss = tuned.loss(learn[number])
            if not bool(torch.isfinite(loss)):
                raise NonFiniteError(
                    f"Fine-tuning {task.name!r}: the loss is {float(loss)} in epoch {epoch}; lower its lr ({options.lr})."
                )
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward([loss])
            optimiser.step()
        score = selection_order(task.kind, task.labels[val], tuned.said(held, val))
        if score > best:
            best, state, since = score, copy.deepcopy(tuned.state_dict()), 0
        else:
            since += 1
            if since >= options.patience:
                break
    tuned.load_state_dict(state)
    return best


def _level(encoder: nn.Module, view: View, task: Task) -> Tensor:
    embedding: Embedding = encoder(view)
    return embedding[task.level]


def _joined(rows: Tensor, members: Tensor) -> Tensor:
    """(m, f) inputs of the head: the row itself, the product of members, and for pairs the absolute difference too."""
    product = rows[members[:, 0]]
    for column in range(1, members.shape[1]):
        product = product * rows[members[:, column]]
    if members.shape[1] != 2:
        return product
    return torch.cat([product, (rows[members[:, 0]] - rows[members[:, 1]]).abs()], dim=1)


def _shares(
    task: Task, rows: Sequence[View], counts: Sequence[int], instances: np.ndarray, device: torch.device
) -> list[_Share]:
    """Which of ``instances`` each view holds; views with none are left out."""
    members = np.arange(len(task.labels))[:, None] if task.members is None else task.members
    starts = np.concatenate([[0], np.cumsum(counts)])
    if members[instances].max() >= starts[-1]:
        raise DataError(
            f"Task {task.name!r} names row {int(members[instances].max())} of level {task.level!r}, "
            f"but the views hold {int(starts[-1])} rows."
        )
    owner = np.searchsorted(starts, members[instances], side="right") - 1
    torn = np.flatnonzero((owner != owner[:, :1]).any(axis=1))
    if len(torn):
        raise DataError(
            f"Task {task.name!r}: the members of instance {int(instances[torn[0]])} lie in different views and cannot be "
            "fine-tuned together; use a probe on frozen embeddings."
        )
    shares = []
    for number in np.unique(owner[:, 0]):
        mine = instances[owner[:, 0] == number]
        local = torch.as_tensor(members[mine] - starts[number], dtype=torch.int64, device=device)
        shares.append(_Share(rows[number], mine, local))
    return shares
