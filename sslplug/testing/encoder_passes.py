"""What an encoder does with the views it meets: embedded twice in eval mode, trained on once. Every check reads these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug.randomness import Rng
from sslplug.testing.global_state import global_state
from sslplug.testing.leaves import Leaf, differences, snapshot
from sslplug.testing.material import Material
from sslplug.testing.once import Broken, Once


@dataclass(frozen=True)
class Evaluated:
    """Two passes in eval mode, without gradients.

    embeddings  {view: its embedding}
    unlike      {view: paths at which the second pass gave another embedding}
    wrote       {view: paths of the view that a pass changed}
    drew        names of global generators that moved
    changed     names of parameters and buffers that moved
    """

    embeddings: Mapping[str, Embedding]
    unlike: Mapping[str, list[str]]
    wrote: Mapping[str, list[str]]
    drew: list[str]
    changed: list[str]


@dataclass(frozen=True)
class Trained:
    """One pass in training mode over the small views, and its gradients.

    infinite  {view: (level, rows that are not finite, rows)}
    wrote     {view: paths of the view that the pass changed}
    dead      names of parameters without a gradient, or with one that is zero
    """

    infinite: Mapping[str, tuple[str, int, int]]
    wrote: Mapping[str, list[str]]
    dead: list[str]


class EncoderPasses:
    """The passes of every encoder of a plugin, made when a check first asks. Views are shared; one that was written into is
    made anew for the next encoder."""

    def __init__(self, material: Material) -> None:
        self.material = material
        self._views = Once(material.some_views, "data/rows-fixed")
        names = material.plugin.encoders
        self.evaluated = {name: Once(partial(self._evaluate, name), f"encoder/{name}/embedding") for name in names}
        self.trained = {name: Once(partial(self._train, name), f"encoder/{name}/gradients") for name in names}

    @property
    def views(self) -> Mapping[str, View]:
        """Every kind of view that encoders meet."""
        return self._views.lend()

    def small(self) -> Mapping[str, View]:
        """The views of small batches, and those of rows() whose role no other has: a pass over rows() may be long."""
        made = {where: view for where, view in self.views.items() if where not in self.material.clean_views()}
        roles = {view.role for view in made.values()}
        return {where: view for where, view in self.views.items() if where in made or view.role not in roles}

    def a_view_a_role(self) -> Mapping[str, View]:
        """One view of each role: the fewest that reach every part of an encoder."""
        return {view.role: view for view in self.small().values()}

    def _evaluate(self, name: str) -> Evaluated:
        encoder, small = self.material.encoder(name).eval(), self.small()
        before, state = self._snapshots(), snapshot(encoder.state_dict())
        embeddings, unlike, drew = {}, {}, set()
        with torch.no_grad():
            for where, view in self.views.items():
                generators = global_state()
                embeddings[where] = embedding(encoder, view)
                first = snapshot(embeddings[where])
                unlike[where] = differences(first, snapshot(embedding(encoder, view))) if where in small else []
                drew |= {which for which, found in global_state().items() if found != generators[which]}
        changed = differences(state, snapshot(encoder.state_dict()))
        return Evaluated(embeddings, unlike, self._wrote(before), sorted(drew), [path.strip("[']") for path in changed])

    def _train(self, name: str) -> Trained:
        encoder = self.material.encoder(name).train()
        before, total, infinite = self._snapshots(), [], {}
        for number, (where, view) in enumerate(self.small().items()):
            for level, rows in embedding(encoder, view).levels.items():
                bad = int((~torch.isfinite(rows)).any(1).sum())
                if bad:
                    infinite[where] = (level, bad, len(rows))
                weight = torch.randn(rows.shape, generator=Rng.root(number).fork(level).torch())
                total.append((rows * weight).sum())
        torch.stack(total).sum().backward()  # type: ignore[no-untyped-call]
        return Trained(infinite, self._wrote(before), _dead(encoder))

    def _snapshots(self) -> dict[str, dict[str, Leaf]]:
        return {where: snapshot(view) for where, view in self.views.items()}

    def _wrote(self, before: Mapping[str, Mapping[str, Leaf]]) -> dict[str, list[str]]:
        changed = {where: differences(before[where], snapshot(view)) for where, view in self.views.items()}
        found = {where: paths for where, paths in changed.items() if paths}
        if found:
            self._views = Once(self.material.some_views, "data/rows-fixed")
        return found


def embedding(encoder: nn.Module, view: View) -> Embedding:
    """The encoder's embedding. Broken where it is none."""
    found = encoder(view)
    if not isinstance(found, Embedding) or not found.levels:
        what = f"a {type(found).__name__}" if not isinstance(found, Embedding) else "an Embedding without a level"
        raise Broken(
            f"the encoder gave {what} for a view of role {view.role!r}; expected an Embedding with one level at least."
        )
    return found


def _dead(encoder: nn.Module) -> list[str]:
    def lives(weight: Tensor) -> bool:
        return weight.grad is not None and bool(weight.grad.any())

    return [key for key, weight in encoder.named_parameters() if not lives(weight)]
