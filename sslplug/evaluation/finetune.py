"""Fine-tuning: encoder and a linear head trained end to end on a task's training rows, stopped early on validation.

Frozen probes understate masked models (He et al. 2022, MAE, section 4.3); this is the other half of the picture.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from sslplug.contracts import Embedding, Options, Split, Task, View
from sslplug.errors import DataError, NonFiniteError
from sslplug.evaluation.metrics import selection_order
from sslplug.evaluation.probe import CLASS_KINDS, Prediction, held_out
from sslplug.evaluation.search import Space, best_of, log_uniform, settings, zero_or
from sslplug.randomness import Rng


class FinetuneOptions(Options):
    """Encoder and linear head trained end to end with AdamW on the labels of the training rows."""

    lr: float = Field(default=1e-3, gt=0, description="AdamW's learning rate, for encoder and head")
    weight_decay: float = Field(default=1e-4, ge=0, description="AdamW's weight decay")
    epochs: int = Field(default=200, ge=1, description="most passes over the training rows")
    patience: int = Field(default=30, ge=1, description="epochs without a better validation score before stopping")
    tune: int = Field(default=0, ge=0, description="random settings tried besides this one, chosen on validation rows")


SPACE: Space = {"lr": log_uniform(1e-5, 1e-2), "weight_decay": zero_or(log_uniform(1e-6, 1e-2))}
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
    Raises DataError where an instance's members lie in different views, where classes are too few or the kind has no head;
    NonFiniteError where the loss is.
    """
    if task.kind not in CLASS_KINDS | {"regression"}:
        raise DataError(f"Task {task.name!r}: a {task.kind} task cannot be fine-tuned; use a probe.")
    known = task.labels
    train, _, val, _ = held_out(split.train, known[split.train], split.val, known[split.val], task.kind, seed)
    classes = np.unique(task.labels[train]) if task.kind in CLASS_KINDS else None
    if classes is not None and len(classes) < 2:
        raise DataError(f"Task {task.name!r}: all {len(train)} training rows are of one class; fine-tuning needs two.")
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        draw = Rng.root(seed).fork("finetune", task.name).key % 2**63
        views = [view.to(device) for view in rows]

        def fit(chosen: FinetuneOptions) -> tuple[Callable[[np.ndarray], Prediction], tuple[float, ...]]:
            torch.manual_seed(draw)
            start = copy.deepcopy(encoder) if options.tune else encoder
            return _trained(start.to(device), views, task, train, val, classes, chosen)

        return best_of(settings(options, SPACE, options.tune, draw), fit)(split.test)


def _trained(
    encoder: nn.Module,
    rows: Sequence[View],
    task: Task,
    train: np.ndarray,
    val: np.ndarray,
    classes: np.ndarray | None,
    options: FinetuneOptions,
) -> tuple[Callable[[np.ndarray], Prediction], tuple[float, ...]]:
    """One setting, at its best epoch: what it says of instances, and how it is compared on validation rows."""
    encoder.eval()
    with torch.no_grad():
        counts = [len(_level(encoder, view, task)) for view in rows]
        width = _joined(_level(encoder, rows[0], task)[:1], torch.zeros(1, _order(task), dtype=torch.int64)).shape[1]
    device = next(encoder.parameters()).device
    learn = _shares(task, rows, counts, train, device)
    head = nn.Linear(width, 1 if classes is None else len(classes)).to(device)
    mean, scale = (
        (0.0, 1.0) if classes is not None else (float(task.labels[train].mean()), float(task.labels[train].std()) or 1.0)
    )
    # The evaluated encoder may be a teacher, whose parameters ask for no gradient.
    whole = nn.ModuleList([encoder, head]).requires_grad_(True)
    optimiser = torch.optim.AdamW(whole.parameters(), lr=options.lr, weight_decay=options.weight_decay)

    def predict(share: _Share) -> Tensor:
        output: Tensor = head(_joined(_level(encoder, share.view, task), share.members))
        return output

    def said(instances: np.ndarray) -> Prediction:
        encoder.eval()
        shares = _shares(task, rows, counts, instances, device)
        with torch.no_grad():
            values = torch.cat([predict(share) for share in shares]).to("cpu", torch.float64).numpy()
        order = np.argsort(np.argsort(instances))
        values = values[np.argsort(np.concatenate([share.instances for share in shares]))][order]
        return Prediction(mean + scale * values[:, 0]) if classes is None else Prediction(values, classes)

    best: tuple[float, ...] = (-math.inf,)
    state, since = {k: v.clone() for k, v in whole.state_dict().items()}, 0
    for epoch in range(options.epochs):
        encoder.train()
        for number in torch.randperm(len(learn)).tolist():
            share = learn[number]
            labels = task.labels[share.instances]
            if classes is None:
                target = torch.as_tensor((labels - mean) / scale, dtype=torch.float32, device=device)
                loss = mse_loss(predict(share)[:, 0], target)
            else:
                loss = cross_entropy(predict(share), torch.as_tensor(np.searchsorted(classes, labels), device=device))
            if not bool(torch.isfinite(loss)):
                raise NonFiniteError(
                    f"Fine-tuning {task.name!r}: the loss is {float(loss)} in epoch {epoch}; lower its lr ({options.lr})."
                )
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward([loss])
            optimiser.step()
        score = selection_order(task.kind, task.labels[val], said(val))
        if score > best:
            best, state, since = score, {k: v.clone() for k, v in whole.state_dict().items()}, 0
        else:
            since += 1
            if since >= options.patience:
                break
    whole.load_state_dict(state)
    return said, best


def _level(encoder: nn.Module, view: View, task: Task) -> Tensor:
    embedding: Embedding = encoder(view)
    return embedding[task.level]


def _order(task: Task) -> int:
    return 1 if task.members is None else int(task.members.shape[1])


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
