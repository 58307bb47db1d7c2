"""Replaying a stream in chronological slots: predict a slot first, then learn from its labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sslplug.errors import DataError, UsageError
from sslplug_recsys.reloop.events import Clicks
from sslplug_recsys.reloop.memory import Blend, ErrorMemory
from sslplug_recsys.reloop.metrics import auc, grouped_auc

Score = Callable[[np.ndarray, np.ndarray], tuple[Tensor, Tensor]]
"""(users (n,), items (n,)) -> probabilities (n,), keys (n, d). It sees no label; keys must come from a model that stays
frozen."""
Learn = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
"""(users, items, clicks) of a slot that was predicted: one pass of incremental training."""

SLOTS = 10


@dataclass(frozen=True)
class Outcome:
    """Predictions of the impressions ``rows``, each made before any label of its slot was known.

    base, corrected  (n,) probabilities of the model, and of the model with the memory (the same where there is none)
    slot             (n,) the slot of each
    """

    rows: np.ndarray
    base: np.ndarray
    corrected: np.ndarray
    slot: np.ndarray


def replay(
    events: Clicks,
    score: Score,
    *,
    rows: np.ndarray | None = None,
    slots: int = SLOTS,
    memory: ErrorMemory | None = None,
    blend: Blend | None = None,
    learn: Learn | None = None,
) -> Outcome:
    """Replay the impressions ``rows`` (default: all), which must be in time order, in ``slots`` slots of like size.

    In each slot: ``score`` predicts, ``blend`` corrects by what ``memory`` holds of earlier slots, then the slot's labels
    are written into the memory and handed to ``learn``. Without a memory the corrected predictions are the base's. Raises
    UsageError where there are fewer impressions than slots, DataError where they are not in time order.
    """
    chosen = np.arange(len(events)) if rows is None else rows
    if slots < 1 or len(chosen) < slots:
        raise UsageError(f"{len(chosen)} impressions in {slots} slots; expected an impression in each slot at least.")
    if (np.diff(events.time[chosen]) < 0).any():
        raise DataError("replay: the impressions are not in time order; sort the rows.")
    blend = blend or Blend()
    base, corrected, slot = [], [], []
    for number, part in enumerate(np.array_split(chosen, slots)):
        user, item = events.user[part], events.item[part]
        with torch.no_grad():
            said, keys = score(user, item)
        said, keys = said.detach().double().cpu(), keys.detach().cpu()
        base.append(said.numpy())
        corrected.append((blend.correct(said, *memory.read(keys)) if memory is not None else said).numpy())
        slot.append(np.full(len(part), number))
        # Only now are the labels of the slot known.
        click = events.click[part]
        if memory is not None:
            memory.write(keys, torch.from_numpy(click), said)
        if learn is not None:
            learn(user, item, click)
    return Outcome(chosen, *(np.concatenate(parts) for parts in (base, corrected, slot)))


def report(events: Clicks, outcome: Outcome) -> Mapping[str, float]:
    """AUC and gAUC (per user) of the base model and of the corrected one, over all slots."""
    click, user = events.click[outcome.rows], events.user[outcome.rows]
    scores = {"base": outcome.base, "corrected": outcome.corrected}
    return {
        f"{metric}/{name}": value
        for name, score in scores.items()
        for metric, value in (("gauc", grouped_auc(click, score, user)), ("auc", auc(click, score)))
    }
