"""The gradient-cached step: one contrast over many micro-batches, the encoder's memory that of one.

Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup": (1) encode every micro-batch
without gradients; (2) score the joined embeddings and take the gradient with respect to them; (3) encode every micro-batch
again, with the same randomness, and push its share of that gradient through. Exact; costs one more forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from sslplug.errors import UsageError
from sslplug.randomness import Rng


@runtime_checkable
class Cacheable(Protocol):
    """A method whose forward is ``score(*encode(batch, rng))``."""

    def encode(self, batch: Any, rng: Rng) -> tuple[list[Tensor], list[Tensor] | None]:
        """Embeddings and ids of one micro-batch, (n_v, d) a view."""
        ...

    def score(self, embeddings: Sequence[Tensor], ids: Sequence[Tensor] | None) -> dict[str, Tensor]:
        """The terms of joined embeddings."""
        ...


def require_cacheable(method: nn.Module) -> Cacheable:
    """The method, if its step can be cached exactly; UsageError with the reason if not."""
    if not isinstance(method, Cacheable):
        raise UsageError(
            f"train.gradient_cache needs a method that encodes and scores apart; {type(method).__name__} does not. "
            "Use method joint, or train.gradient_cache false."
        )
    for name, module in method.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise UsageError(
                f"train.gradient_cache would change what batch normalisation sees ({name}): each micro-batch has statistics of "
                "its own. Choose norm layer or none, or train.gradient_cache false."
            )
    return method


def cached_backward(
    method: Cacheable,
    batches: Sequence[Any],
    rngs: Sequence[Rng],
    seed: Callable[[Rng], None],
    score_scale: float = 1.0,
) -> dict[str, Tensor]:
    """Accumulate the gradient of the joined batch and return its terms.

    batches      the micro-batches of one step, and the stream of each
    seed         sets dropout's generator for a micro-batch, before each of its two encodings
    score_scale  factor of the loss before backward (the fp16 scaler's)
    """
    encoded: list[list[Tensor]] = []
    ids: list[list[Tensor] | None] = []
    with torch.no_grad():
        for batch, rng in zip(batches, rngs, strict=True):
            seed(rng)
            embeddings, batch_ids = method.encode(batch, rng)
            encoded.append(embeddings)
            ids.append(batch_ids)
    joined = [torch.cat(parts).requires_grad_() for parts in zip(*encoded, strict=True)]
    given = [part for part in ids if part is not None]
    joined_ids = [torch.cat(parts) for parts in zip(*given, strict=True)] if given else None
    terms = method.score(joined, joined_ids)
    (torch.stack(list(terms.values())).sum() * score_scale).backward()  # type: ignore[no-untyped-call]
    starts = [0] * len(joined)
    for batch, rng in zip(batches, rngs, strict=True):
        seed(rng)
        embeddings, _ = method.encode(batch, rng)
        shares = []
        for view, rows in enumerate(embeddings):
            grad = joined[view].grad
            assert grad is not None  # every joined view took part in the score
            shares.append(grad[starts[view] : starts[view] + len(rows)])
            starts[view] += len(rows)
        torch.autograd.backward(embeddings, shares)
    return {name: value.detach() for name, value in terms.items()}
