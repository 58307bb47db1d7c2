"""A plain click model to be corrected: user, item and the item's features, a perceptron whose last hidden layer is the key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.randomness import Rng
from sslplug_recsys.batch import Entities
from sslplug_recsys.reloop.events import Clicks
from sslplug_recsys.towers.feature_input import FeatureInput


@dataclass(frozen=True)
class ClickOptions:
    """Size of the model and of its training."""

    width: int = 16
    hidden: tuple[int, ...] = (64, 32)
    dropout: float = 0.2
    lr: float = 2e-3
    weight_decay: float = 1e-5
    epochs: int = 3
    batch_size: int = 256


class ClickModel(nn.Module):
    """(users, items) -> probabilities (n,) and keys (n, hidden[-1])."""

    def __init__(self, options: ClickOptions, events: Clicks, rng: Rng) -> None:
        super().__init__()
        self.options = options
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(rng.fork("click-model").key % (1 << 63))
            everyone = torch.ones(events.users), torch.ones(events.items)
            self.user = FeatureInput(None, options.width, events.users, everyone[0], hides=False)
            self.item = FeatureInput(events.item_features, options.width, events.items, everyone[1], hides=False)
            widths = (self.user.width + self.item.width + options.width, *options.hidden)
            self.cross = nn.Linear(self.item.width, self.user.width)
            self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False))
            self.out = nn.Linear(widths[-1], 1)

    def forward(self, users: np.ndarray, items: np.ndarray) -> tuple[Tensor, Tensor]:
        """Probabilities and keys of impressions."""
        logits, keys = self.logits(users, items)
        return logits.sigmoid(), keys

    def logits(self, users: np.ndarray, items: np.ndarray) -> tuple[Tensor, Tensor]:
        """Log-odds (n,) and keys (n, d)."""
        user, item = (part(Entities(torch.from_numpy(rows))) for part, rows in ((self.user, users), (self.item, items)))
        x = torch.cat([user, item, user * self.cross(item)], 1)
        for layer in self.layers:
            x = F.dropout(layer(x).relu(), self.options.dropout, self.training)
        return self.out(x)[:, 0], x


def train_clicks(model: ClickModel, events: Clicks, rows: np.ndarray, epochs: int, rng: Rng) -> torch.optim.Optimizer:
    """Train on the impressions ``rows`` by cross-entropy, shuffled; the optimiser, for incremental training."""
    o = model.options
    optimiser = torch.optim.Adam(model.parameters(), o.lr, weight_decay=o.weight_decay)
    for epoch in range(epochs):
        shuffled = rng.fork("epoch", epoch).numpy().permutation(rows)
        one_pass(model, optimiser, events.user[shuffled], events.item[shuffled], events.click[shuffled], rng.fork(epoch))
    model.eval()
    return optimiser


def one_pass(
    model: ClickModel, optimiser: torch.optim.Optimizer, user: np.ndarray, item: np.ndarray, click: np.ndarray, rng: Rng
) -> None:
    """One pass over impressions in their order; the model is left in eval mode."""
    model.train()
    size = model.options.batch_size
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.fork("dropout").key % (1 << 63))
        for start in range(0, len(user), size):
            part = slice(start, start + size)
            logits, _ = model.logits(user[part], item[part])
            loss = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(click[part]).float())
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    model.eval()


def incremental(
    model: ClickModel, frozen: ClickModel, optimiser: torch.optim.Optimizer, rng: Rng
) -> tuple[Callable[[np.ndarray, np.ndarray], tuple[Tensor, Tensor]], Callable[[np.ndarray, np.ndarray, np.ndarray], None]]:
    """(score, learn) of a model that is trained one pass a slot; keys stay those of ``frozen``, its state before the
    stream."""
    passes = [0]

    def score(users: np.ndarray, items: np.ndarray) -> tuple[Tensor, Tensor]:
        return model(users, items)[0], frozen(users, items)[1]

    def learn(users: np.ndarray, items: np.ndarray, clicks: np.ndarray) -> None:
        one_pass(model, optimiser, users, items, clicks, rng.fork("pass", passes[0]))
        passes[0] += 1

    return score, learn
