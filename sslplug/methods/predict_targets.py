"""Methods that predict what views ask for: masked reconstruction through a decoder, pretext and supervised tasks through heads.

Masked reconstruction: GraphMAE (Hou et al. 2022), MAE (He et al. 2022). Pretext heads: rotation, permutation, arrow of time,
node properties. A supervised term is the pretext whose target is the label, so joint supervised and self-supervised training
is a weighted sum with a part of this kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import (
    Assembly,
    Choice,
    Component,
    Embedding,
    Options,
    Positive,
    Progress,
    Role,
    Target,
    View,
    Views,
    observing,
)
from sslplug.errors import UsageError
from sslplug.methods.heads import Head, HeadOptions
from sslplug.methods.rows import take
from sslplug.randomness import Rng

Predict = Callable[[View, Embedding, str, Target], Tensor]


class PredictTargets(nn.Module):
    """Mean over the views' targets of ``objective([prediction, values])``, each on its target's rows alone.

    ``predictor`` is a module called with (view, embedding, target name, target) that returns the predictions for the target's
    rows, (m, k). Targets are chosen by ``names`` (all, when empty).
    """

    def __init__(
        self, views: Views, encoder: nn.Module, predictor: nn.Module, objective: nn.Module, names: Sequence[str], level: str
    ) -> None:
        super().__init__()
        self.views = views
        self.encoder = encoder
        self.predictor = predictor
        self.objective = objective
        self.names = tuple(names)
        self.level = level

    def forward(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Terms of one batch, one a target name: ``<name>`` (or ``<name>/<term>`` for objectives of several terms)."""
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        for view in self.views(batch, rng):
            wanted = {name: t for name, t in view.targets.items() if not self.names or name in self.names}
            if not wanted:
                continue
            embedding = self.encoder(view)
            for name, target in wanted.items():
                prediction = self.predictor(view, embedding, name, target)
                if len(prediction) != len(target.values):
                    raise UsageError(
                        f"Target {name!r}: {len(prediction)} predictions for {len(target.values)} values; give Target.rows, or "
                        f"one value a row of level {target.level!r}."
                    )
                terms = self.objective([prediction, target.values])
                for term, value in terms.items():
                    key = name if len(terms) == 1 else f"{name}/{term}"
                    sums[key] = sums.get(key, 0.0) + value
                    counts[key] = counts.get(key, 0) + 1
        if not sums:
            raise UsageError(
                f"No view brings a target ({', '.join(self.names) or 'of any name'}); choose views that do, "
                "or set train.labels for the target 'label'."
            )
        return {key: value / counts[key] for key, value in sums.items()}

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing changes between epochs."""

    def after_step(self, progress: Progress) -> None:
        """Nothing moves but the parameters."""

    def observe(self, batch: Any, rng: Rng) -> dict[str, Tensor]:
        """Embeddings of the first view, {"view0": (n, d)}."""
        with observing(self):
            return {"view0": self.encoder(self.views(batch, rng)[0])[self.level]}


class DecoderPredictor(nn.Module):
    """Predictions of a domain's decoder, which decodes the target's rows alone."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, view: View, embedding: Embedding, name: str, target: Target) -> Tensor:
        """(m, k) predictions of ``target``."""
        prediction: Tensor = self.decoder(view, embedding)[name]
        return prediction


class HeadPredictor(nn.Module):
    """One head a target on the embedding of the target's level."""

    def __init__(self, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        # ModuleDict refuses dots in names, and names of its own attributes, such as "type".
        self.heads = nn.ModuleDict({_key(name): head for name, head in heads.items()})

    def forward(self, view: View, embedding: Embedding, name: str, target: Target) -> Tensor:
        """(m, k) predictions of ``target``."""
        prediction: Tensor = self.heads[_key(name)](take(embedding[target.level], target.rows))
        return prediction


def _key(name: str) -> str:
    """A target's name as a module's name."""
    return f"of_{name.replace('.', '_')}"


class MaskedOptions(Options):
    """Options of masked reconstruction."""

    decoder: Annotated[Choice, Role("decoder")] = Field(Choice(name="mlp"), description="The network that reconstructs.")
    targets: tuple[str, ...] = Field((), description="Names of the targets to reconstruct; default: all the views bring.")


def build_masked(options: MaskedOptions, assembly: Assembly) -> PredictTargets:
    """Masked reconstruction from finished parts."""
    predictor = DecoderPredictor(assembly.decoder(options.decoder))
    return PredictTargets(
        assembly.views, assembly.encoder, predictor, assembly.objective(0), options.targets, assembly.level
    )


MASKED = Component(
    MaskedOptions,
    build_masked,
    "Hide tokens, encode, decode, and match what was hidden (GraphMAE, MAE).",
    needs=lambda options: frozenset({"masks", "hides", "score:prediction", *(f"target:{name}" for name in options.targets)}),
)


class PretextOptions(Options):
    """Options of pretext and supervised prediction."""

    targets: tuple[str, ...] = Field(("label",), min_length=1, description="Names of the targets to predict.")
    level: str | None = Field(None, description="Embedding level the heads read; default: the data's instances.")
    hidden: tuple[Positive, ...] = Field((), description="Hidden widths of each head; none: a linear head.")


def build_pretext(options: PretextOptions, assembly: Assembly) -> PredictTargets:
    """Pretext prediction from finished parts."""
    level = options.level or assembly.level
    unknown = [name for name in options.targets if name not in assembly.outputs]
    if unknown:
        raise UsageError(
            f"method.targets: {', '.join(unknown)} unknown; the views and data offer "
            f"{', '.join(sorted(assembly.outputs)) or 'none'}. For 'label', set train.labels to a task's name."
        )
    heads = {
        name: Head(HeadOptions(widths=(*options.hidden, assembly.outputs[name])), assembly.dims[level])
        for name in options.targets
    }
    return PredictTargets(
        assembly.views, assembly.encoder, HeadPredictor(heads), assembly.objective(0), options.targets, level
    )


PRETEXT = Component(
    PretextOptions,
    build_pretext,
    "Heads predict what was done to a view, or the labels of the rows that have one (supervised part).",
    needs=lambda options: frozenset(
        {"score:prediction", *("labels" if name == "label" else f"target:{name}" for name in options.targets)}
    ),
)
