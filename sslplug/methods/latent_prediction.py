"""Latent prediction: from what a student sees of an instance, predict a slow teacher's code of the tokens it does not see.

I-JEPA (Assran et al. 2023, arXiv:2301.08243), T-JEPA (Thimonier et al. 2024, arXiv:2410.05016), data2vec (Baevski et al. 2022):

    L = mean over target tokens of objective(g(f(x_context), where), stop-gradient(f_teacher(x)[where]))

The domain brings three things: a view of one role with nothing hidden, a view of another role whose ``mask`` hides tokens and
whose targets' ``rows`` say which tokens to predict (their values only have to be something the decoder can use, such as the
tokens' positions), and a decoder, which is the predictor g.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Assembly, Choice, Component, Options, Progress, Role, Target, View, Views, observing
from sslplug.errors import UsageError
from sslplug.methods.momentum import Momentum, Schedule, teacher_of
from sslplug.methods.rows import select
from sslplug.randomness import Rng

PREFIX = "set"
"""Targets whose names begin so are predicted where none is named."""


class LatentPredictionOptions(Options):
    """Options of latent prediction."""

    decoder: Annotated[Choice, Role("decoder")] = Field(description="The predictor.")
    targets: tuple[str, ...] = Field((), description=f"Targets whose rows are predicted; default: all named {PREFIX}...")
    context: str = Field("context", min_length=1, description="Role of the views the student sees.")
    target: str = Field("target", min_length=1, description="Role of the view the teacher sees.")
    momentum: float = Field(0.996, ge=0.0, le=1.0, description="Share of the teacher that stays at each step, at the start.")
    schedule: Schedule = Field("linear", description="How the momentum goes from its start to 1.")
    normalise: Literal["none", "layer"] = Field(
        "none", description="The teacher's code as it is, or each token brought to mean 0 and variance 1 (I-JEPA)."
    )
    evaluate: Literal["teacher", "student"] = Field(
        "teacher", description="Which of the two is evaluated and exported; within a weighted sum it is the student."
    )
    level: str | None = Field(None, description="Embedding level that diagnostics look at; default: the data's instances.")


class LatentPrediction(nn.Module):
    """``objective([decoder(view, student(view)), teacher(whole view)[rows]])`` over all targets of all context views.

    All targets are scored together, so each token weighs the same. The teacher runs in train mode, as the student does, and
    gets no gradient. ``encoder`` is the one that is evaluated, ``other`` the other one.
    """

    def __init__(
        self,
        views: Views,
        student: nn.Module,
        teacher: nn.Module,
        decoder: nn.Module,
        objective: nn.Module,
        options: LatentPredictionOptions,
        level: str,
    ) -> None:
        super().__init__()
        self.views = views
        self.teaches = options.evaluate == "teacher"
        self.encoder, self.other = (teacher, student) if self.teaches else (student, teacher)
        self.decoder = decoder
        self.objective = objective
        self.options = options
        self.level = level
        self.momentum = Momentum(options.momentum, options.schedule)

    @property
    def student(self) -> nn.Module:
        """The encoder that learns by gradients."""
        return self.other if self.teaches else self.encoder

    @property
    def teacher(self) -> nn.Module:
        """The encoder that follows the student."""
        return self.encoder if self.teaches else self.other

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch."""
        views = self.views(batch, rng)
        with torch.no_grad():
            codes = self.teacher(self._whole(views))
        predicted: list[Tensor] = []
        wanted: list[Tensor] = []
        for view in select(views, (self.options.context,), fewest=1):
            targets = self._targets(view)
            predictions = self.decoder(view, self.student(view))
            for name, target in targets.items():
                if target.rows is None or target.rows.ndim != 1:
                    raise UsageError(f"Target {name!r} names no single rows to predict; give Target.rows as (m,) int64.")
                predicted.append(predictions[name])
                wanted.append(codes[target.level][target.rows])
        code = joined(wanted)
        if self.options.normalise == "layer":
            code = F.layer_norm(code.float(), code.shape[-1:])
        terms: dict[str, Tensor] = self.objective([joined(predicted), code])
        return terms

    def _whole(self, views: Sequence[View]) -> View:
        """The one view of the teacher."""
        found = select(views, (self.options.target,), fewest=1)
        if len(found) != 1:
            raise UsageError(
                f"{len(found)} views have the role {self.options.target!r}; expected one, whose codes are the targets."
            )
        return found[0]

    def _targets(self, view: View) -> dict[str, Target]:
        """The targets to predict, in the order of their names."""
        names = self.options.targets or sorted(name for name in view.targets if name.startswith(PREFIX))
        missing = [name for name in names if name not in view.targets]
        if missing or not names:
            raise UsageError(
                f"The context view brings the targets {', '.join(view.targets) or 'none'}; expected "
                f"{', '.join(missing) or f'names that begin with {PREFIX!r}'}. Choose views that bring them, or name "
                "others in method.targets."
            )
        return {name: view.targets[name] for name in names}

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """The teacher follows the student."""
        self.momentum.move(self.teacher, self.student, progress)

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """What is evaluated, on the whole view: {"view0": (n, d)}.

        Instances, not tokens: codes that tell the positions of tokens but not the instances look healthy token by token, and
        are the collapse to look for.
        """
        with observing(self):
            return {"view0": self.encoder(self._whole(self.views(batch, rng)))[self.level]}


def joined(parts: Sequence[Tensor]) -> Tensor:
    """All rows of all parts; one part is itself."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def build(options: LatentPredictionOptions, assembly: Assembly) -> LatentPrediction:
    """Latent prediction from finished parts."""
    (teacher,) = teacher_of(nn.ModuleList([assembly.encoder]))
    return LatentPrediction(
        assembly.views,
        assembly.encoder,
        teacher,
        assembly.decoder(options.decoder),
        assembly.objective(0),
        options,
        options.level or assembly.level,
    )


def needs(options: LatentPredictionOptions) -> frozenset[str]:
    """Views that hide and name targets, an encoder that hides, an objective for predictions."""
    targets = {f"target:{name}" for name in options.targets or (f"{PREFIX}0",)}
    level = {f"level:{options.level}"} if options.level else set()
    return frozenset({"masks", "hides", "score:prediction"} | targets | level)


LATENT_PREDICTION = Component(
    LatentPredictionOptions,
    build,
    "A student that sees some tokens predicts a slow teacher's codes of others (I-JEPA, T-JEPA).",
    needs=needs,
)
