"""One view's rows predict a slow teacher's rows of another view, in one direction: E-SSL3D's flow equivariance (Hegde et al. 2024).

Let c be the cells of a grid that both sweeps occupy, h the mean of an encoder's point embeddings in a cell, g a projector, q a
predictor, and a stroke the teacher's (slow) copies. Points of the sweep before lie in the cell to which scene flow or ego-motion
brings them:

    L = mean over c of objective(q(g(h_now(c))), stop-gradient(g'(h'_previous(c))))

With the objective ``cosine`` that is the mean squared distance of the unit rows, E-SSL3D's L_flow on the cells that both maps fill
(the paper averages over empty ones too, hence its weight of 300). At level cloud, where nothing is moved, the same method asks for
invariance to time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Component, Options, Progress, View, Views, observing
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_lidar.methods.perceptron import perceptron
from sslplug_lidar.methods.teacher import follow, teacher_of


class OneWayOptions(Options):
    """Options of one-way prediction."""

    level: str = Field("cell", description="embedding level whose rows are predicted")
    source: str = Field("previous", description="role of the view the teacher sees")
    target: str = Field("now", description="role of the view the student sees")
    projector: tuple[int, ...] = Field((64,), description="widths of student's and teacher's head; none: the identity")
    predictor: tuple[int, ...] = Field((64,), description="hidden widths of the student's own head")
    momentum: float = Field(0.99, ge=0, le=1, description="share of the teacher that stays at each step")


class OneWay(nn.Module):
    """See the module. Terms are the objective's."""

    def __init__(
        self,
        options: OneWayOptions,
        views: Views,
        encoder: nn.Module,
        projector: nn.Module,
        predictor: nn.Module,
        objective: nn.Module,
    ) -> None:
        super().__init__()
        self.options, self.views = options, views
        self.encoder, self.projector, self.predictor = encoder, projector, predictor
        self.teacher = teacher_of(encoder, projector)
        self.objective = objective

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        projected, wanted, ids = self._rows(self.views(batch, rng))
        terms: dict[str, Tensor] = self.objective([self.predictor(projected), wanted], ids)
        return terms

    def _rows(self, views: Sequence[View]) -> tuple[Tensor, Tensor, list[Tensor] | None]:
        """The student's projected rows of the target view, the teacher's of the source view, and their ids."""
        source, target = (self._with_role(views, role) for role in (self.options.source, self.options.target))
        level = self.options.level
        projected = self.projector(self.encoder(target)[level])
        encoder, projector = self.teacher
        with torch.no_grad():
            wanted = projector(encoder(source)[level])
        given = [view.ids[level] for view in (target, source) if level in view.ids]
        return projected, wanted, given if len(given) == 2 else None

    def _with_role(self, views: Sequence[View], role: str) -> View:
        found = [view for view in views if view.role == role]
        if len(found) != 1:
            have = ", ".join(repr(view.role) for view in views)
            raise UsageError(
                f"Method 'one_way' needs one view of role {role!r}, but the views' roles are {have}; choose the views sweeps, or "
                "set method.source and method.target to roles that exist."
            )
        return found[0]

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """The teacher follows the student."""
        follow(self.teacher, nn.ModuleList([self.encoder, self.projector]), self.options.momentum)

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """The projected rows of student and teacher: {"view0": (k, d), "view1": (k, d)}."""
        with observing(self):
            projected, wanted, _ = self._rows(self.views(batch, rng))
            return {"view0": projected, "view1": wanted}


def build(options: OneWayOptions, assembly: Assembly) -> OneWay:
    """One-way prediction from finished parts."""
    projector, dim = perceptron(assembly.dims[options.level], options.projector)
    predictor, _ = perceptron(dim, (*options.predictor, dim))
    return OneWay(options, assembly.views, assembly.encoder, projector, predictor, assembly.objective(dim))


ONE_WAY = Component(
    OneWayOptions,
    build,
    "Rows of one view predict a slow teacher's rows of another, in one direction (flow equivariance of E-SSL3D).",
    needs=lambda options: frozenset({"pair", "score:prediction", f"level:{options.level}"}),
)
