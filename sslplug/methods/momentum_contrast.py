"""Momentum contrast: queries against a teacher's keys and a queue of former keys (MoCo, He et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Component, Options, Progress, Views, observing
from sslplug.distributed import gather_rows
from sslplug.methods.heads import HeadOptions, make_head
from sslplug.methods.momentum import Momentum, Schedule, teacher_of
from sslplug.methods.rows import ids_of, select
from sslplug.randomness import Rng


class MomentumContrastOptions(Options):
    """Options of momentum contrast."""

    level: str | None = Field(None, description="Embedding level to compare; default: the data's instances.")
    projector: HeadOptions | None = Field(HeadOptions(), description="Head of student and teacher.")
    queue: int = Field(4096, ge=1, description="Former keys kept as further negatives.")
    momentum: float = Field(0.99, ge=0.0, le=1.0, description="Share of the teacher that stays at each step, at the start.")
    schedule: Schedule = Field("constant", description="How the momentum goes from its start to 1.")
    roles: tuple[str, ...] = Field((), description="Only views with these roles; default: all but corrupted ones.")


class MomentumContrast(nn.Module):
    """Mean over ordered pairs of views of ``objective([student(a), teacher(b)], negatives=queue)``.

    Keys enter the queue after the step, oldest out, so a batch never meets its own keys. Until the queue has filled, only its
    filled part is used.
    """

    def __init__(
        self,
        views: Views,
        encoder: nn.Module,
        projector: nn.Module,
        objective: nn.Module,
        level: str,
        roles: Sequence[str],
        momentum: Momentum,
        queue: int,
        dim: int,
    ) -> None:
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.projector = projector
        self.objective = objective
        self.level = level
        self.roles = tuple(roles)
        self.momentum = momentum
        self.teacher = teacher_of(nn.ModuleList([encoder, projector]))
        self.queue: Tensor
        self.filled: Tensor
        self.position: Tensor
        self.register_buffer("queue", torch.zeros(queue, dim))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))
        self._fresh: list[Tensor] = []

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        views = select(self.views(batch, rng), self.roles, fewest=2)
        ids = ids_of(views, self.level)
        queries = [self.projector(self.encoder(view)[self.level]) for view in views]
        encoder, projector = self.teacher
        with torch.no_grad():
            keys = [projector(encoder(view)[self.level]) for view in views]
        negatives = self.queue[: int(self.filled)].clone() if int(self.filled) else None
        pairs = list(permutations(range(len(views)), 2))
        total: dict[str, Tensor] = {}
        for a, b in pairs:
            pair_ids = None if ids is None else [ids[a], ids[b]]
            for name, value in self.objective([queries[a], keys[b]], pair_ids, negatives).items():
                total[name] = total.get(name, 0.0) + value / len(pairs)
        self._fresh.extend(keys)
        return total

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        """The teacher follows the student; the step's keys of all ranks enter the queue."""
        self.momentum.move(self.teacher, nn.ModuleList([self.encoder, self.projector]), progress)
        size = len(self.queue)
        keys = gather_rows(torch.cat(self._fresh))[-size:].to(self.queue.dtype)
        self._fresh.clear()
        places = (self.position + torch.arange(len(keys), device=keys.device)) % size
        self.queue[places] = keys
        self.position.copy_((self.position + len(keys)) % size)
        self.filled.copy_((self.filled + len(keys)).clamp(max=size))

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Projected student embeddings, {"view0": (n, d), ...}."""
        with observing(self):
            views = select(self.views(batch, rng), self.roles, fewest=2)
            return {f"view{n}": self.projector(self.encoder(view)[self.level]) for n, view in enumerate(views)}


def build(options: MomentumContrastOptions, assembly: Assembly) -> MomentumContrast:
    """Momentum contrast from finished parts."""
    level = options.level or assembly.level
    projector, dim = make_head(options.projector, assembly.dims[level])
    momentum = Momentum(options.momentum, options.schedule)
    return MomentumContrast(
        assembly.views,
        assembly.encoder,
        projector,
        assembly.objective(dim),
        level,
        options.roles,
        momentum,
        options.queue,
        dim,
    )


MOMENTUM_CONTRAST = Component(
    MomentumContrastOptions,
    build,
    "Queries against a momentum encoder's keys and a queue of former keys (MoCo).",
    needs=lambda options: frozenset(
        {"pair", "queue", "score:views"} | ({f"level:{options.level}"} if options.level else set())
    ),
)
