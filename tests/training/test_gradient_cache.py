"""The gradient-cached step gives the gradient of the joined batch, dropout included."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug.training.device import seed_dropout
from sslplug.training.gradient_cache import cached_backward, require_cacheable

CPU = torch.device("cpu")


class Contrast(nn.Module):
    """Two noisy views through one encoder with dropout, one-sided InfoNCE over the joined batch."""

    def __init__(self, norm: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            layers = [nn.Linear(5, 7), *([nn.BatchNorm1d(7)] if norm else []), nn.Dropout(0.4), nn.Linear(7, 4)]
            self.encoder = nn.Sequential(*layers).double()

    def encode(self, batch: Tensor, rng: Rng) -> tuple[list[Tensor], list[Tensor] | None]:
        noise = torch.randn(batch.shape, generator=rng.torch(), dtype=torch.float64)
        return [self.encoder(batch), self.encoder(batch + 0.1 * noise)], None

    def score(self, embeddings: Sequence[Tensor], ids: Sequence[Tensor] | None) -> dict[str, Tensor]:
        a, b = (F.normalize(rows) for rows in embeddings)
        return {"contrast": F.cross_entropy(a @ b.T / 0.2, torch.arange(len(a)))}


def test_cached_gradient_equals_the_joined_gradient() -> None:
    batches = list(torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    rngs = [Rng.root(0).fork(number) for number in range(4)]

    def seed(rng: Rng) -> None:
        seed_dropout(CPU, rng.key)

    with torch.random.fork_rng(devices=[]):
        whole = Contrast()
        parts = []
        for batch, rng in zip(batches, rngs, strict=True):
            seed(rng)
            parts.append(whole.encode(batch, rng)[0])
        loss = whole.score([torch.cat(views) for views in zip(*parts, strict=True)], None)["contrast"]
        loss.backward()
        cached = Contrast()
        terms = cached_backward(require_cacheable(cached), batches, rngs, seed)
    assert float(terms["contrast"]) == pytest.approx(float(loss.detach()), abs=1e-14)
    for left, right in zip(whole.parameters(), cached.parameters(), strict=True):
        assert torch.allclose(left.grad, right.grad, rtol=0, atol=1e-14)


def test_batch_norm_is_refused() -> None:
    with pytest.raises(UsageError, match=r"change what batch normalisation sees \(encoder.1\)"):
        require_cacheable(Contrast(norm=True))


def test_a_method_without_halves_is_refused() -> None:
    with pytest.raises(UsageError, match="Linear does not. Use method joint"):
        require_cacheable(nn.Linear(2, 2))
