"""Bootstrap: predict, from one view, what a teacher makes of another view. No negatives.

BYOL (Grill et al. 2020), BGRL (Thakoor et al. 2022); with ``teacher: student``, SimSiam (Chen and He 2021).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Component, Options, Progress, Views, observing
from sslplug.methods.heads import HeadOptions, make_head
from sslplug.methods.momentum import Momentum, Schedule, teacher_of
from sslplug.methods.rows import ids_of, select
from sslplug.randomness import Rng


class BootstrapOptions(Options):
    """Options of the bootstrap method."""

    level: str | None = Field(None, description="Embedding level to compare; default: the data's instances.")
    projector: HeadOptions | None = Field(None, description="Head of student and teacher.")
    predictor: HeadOptions = Field(
        HeadOptions(widths=(512,), activation="prelu"),
        description="Hidden layers of the student's own head; a last layer to the projector's width is added.",
    )
    teacher: Literal["momentum", "student"] = Field(
        "momentum",
        description="momentum: exponential average of the student; student: the student itself, detached (SimSiam).",
    )
    momentum: float = Field(0.99, ge=0.0, le=1.0, description="Share of the teacher that stays at each step, at the start.")
    schedule: Schedule = Field("cosine", description="How the momentum goes from its start to 1.")
    reinitialise: bool = Field(
        False, description="Draw the teacher's first parameters independently of the student's (BGRL)."
    )
    roles: tuple[str, ...] = Field((), description="Only views with these roles; default: all but corrupted ones.")


class Bootstrap(nn.Module):
    """Mean over ordered pairs of views of ``objective([predictor(student(a)), teacher(b).detach()])``.

    With the cosine objective and two views this is BGRL's 2 - cos(q(h1), t2) - cos(q(h2), t1): 0 when all agree, 4 when all
    are opposite.
    """

    def __init__(
        self,
        views: Views,
        encoder: nn.Module,
        projector: nn.Module,
        predictor: nn.Module,
        objective: nn.Module,
        level: str,
        roles: Sequence[str],
        momentum: Momentum | None,
        teacher: nn.ModuleList | None,
    ) -> None:
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.projector = projector
        self.predictor = predictor
        self.objective = objective
        self.level = level
        self.roles = tuple(roles)
        self.momentum = momentum
        self.teacher = teacher

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        views = select(self.views(batch, rng), self.roles, fewest=2)
        ids = ids_of(views, self.level)
        projected = [self.projector(self.encoder(view)[self.level]) for view in views]
        predicted = [self.predictor(rows) for rows in projected]
        if self.teacher is None:
            wanted = [rows.detach() for rows in projected]
        else:
            encoder, projector = self.teacher
            with torch.no_grad():
                wanted = [projector(encoder(view)[self.level]) for view in views]
        pairs = list(permutations(range(len(views)), 2))
        total: dict[str, Tensor] = {}
        for a, b in pairs:
            pair_ids = None if ids is None else [ids[a], ids[b]]
            for name, value in self.objective([predicted[a], wanted[b]], pair_ids).items():
                total[name] = total.get(name, 0.0) + value / len(pairs)
        return total

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """The teacher follows the student."""
        if self.momentum is not None and self.teacher is not None:
            self.momentum.move(self.teacher, nn.ModuleList([self.encoder, self.projector]), progress)

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Projected student embeddings, {"view0": (n, d), ...}."""
        with observing(self):
            views = select(self.views(batch, rng), self.roles, fewest=2)
            return {f"view{n}": self.projector(self.encoder(view)[self.level]) for n, view in enumerate(views)}


def build(options: BootstrapOptions, assembly: Assembly) -> Bootstrap:
    """The bootstrap method from finished parts."""
    level = options.level or assembly.level
    projector, dim = make_head(options.projector, assembly.dims[level])
    predictor_options = options.predictor.model_copy(update={"widths": (*options.predictor.widths, dim)})
    predictor, _ = make_head(predictor_options, dim)
    momentum = Momentum(options.momentum, options.schedule) if options.teacher == "momentum" else None
    teacher = None
    if momentum is not None:
        other = [assembly.another(), make_head(options.projector, assembly.dims[level])[0]]
        teacher = teacher_of(nn.ModuleList(other if options.reinitialise else [assembly.encoder, projector]))
    return Bootstrap(
        assembly.views,
        assembly.encoder,
        projector,
        predictor,
        assembly.objective(dim),
        level,
        options.roles,
        momentum,
        teacher,
    )


BOOTSTRAP = Component(
    BootstrapOptions,
    build,
    "A student predicts a slowly moving teacher's view of the same instance (BYOL, BGRL, SimSiam).",
    needs=lambda options: frozenset({"pair", "score:prediction"} | ({f"level:{options.level}"} if options.level else set())),
)
