"""Checks of encoders: finite, deterministic, trainable in every parameter, aligned with ids, the same after saving."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from safetensors.torch import load, save
from torch import Tensor

from sslplug.randomness import Rng
from sslplug.testing.leaves import differences, snapshot
from sslplug.testing.material import Material
from sslplug.testing.view_checks import global_state


def finite(material: Material, name: str) -> str:
    """Embeddings of all kinds of views are finite, in training and in eval mode."""
    encoder = material.encoder(name)
    for training in (True, False):
        encoder.train(training)
        for number, view in enumerate(material.some_views()):
            for level, rows in encoder(view).levels.items():
                if not bool(torch.isfinite(rows).all()):
                    bad = int((~torch.isfinite(rows)).any(1).sum())
                    where = f"level {level!r}, view {number} (role {view.role!r})"
                    return f"{bad} of {len(rows)} embedding rows are not finite: {where}; look for 0/0 and log(0)."
    return ""


def deterministic(material: Material, name: str) -> str:
    """In eval mode the same view gives the same embedding, and no global random number is drawn."""
    encoder = material.encoder(name).eval()
    with torch.no_grad():
        for number, view in enumerate(material.some_views()):
            before = global_state()
            first, second = snapshot(encoder(view)), snapshot(encoder(view))
            changed = differences(first, second)
            if changed or global_state() != before:
                what = f"differs at {', '.join(changed)}" if changed else "draws from a global generator"
                return f"in eval mode, embedding view {number} twice {what}; switch randomness off when not self.training."
    return ""


def input_unchanged(material: Material, name: str) -> str:
    """Encoders never write into the view."""
    encoder = material.encoder(name)
    for number, view in enumerate(material.some_views()):
        before = snapshot(view)
        encoder(view)
        changed = differences(before, snapshot(view))
        if changed:
            return (
                f"the call wrote into view {number} at {', '.join(changed)}; use no in-place operation on what a view holds."
            )
    return ""


def gradients(material: Material, name: str) -> str:
    """Every parameter gets a gradient that is not zero, from some level of some view."""
    encoder = material.encoder(name).train()
    total: list[Tensor] = []
    for number, view in enumerate(material.some_views()):
        for level, rows in encoder(view).levels.items():
            weight = torch.randn(rows.shape, generator=Rng.root(number).fork(level).torch())
            total.append((rows * weight).sum())
    torch.stack(total).sum().backward()  # type: ignore[no-untyped-call]
    dead = [key for key, weight in encoder.named_parameters() if weight.grad is None or not bool(weight.grad.any())]
    return f"no view gives a gradient to {', '.join(dead)}; use these parameters or leave them out." if dead else ""


def shapes(material: Material, name: str) -> str:
    """Levels and widths are those of ``dims`` (a role may have fewer). One row an id. Owners point at rows. Tags are true."""
    encoder = material.encoder(name).eval()
    dims: Mapping[str, int] = encoder.dims  # type: ignore[assignment]
    picked = material.picked("encoder", name)
    brought = picked.component.provides(picked.options)
    for tag in sorted(tag for tag in brought if tag.startswith("level:")):
        if tag.removeprefix("level:") not in dims:
            return f"the component provides {tag!r}, but dims has {', '.join(dims)}."
    met: set[str] = set()
    for number, view in enumerate(material.some_views()):
        with torch.no_grad():
            embedding = encoder(view)
        met |= set(embedding.levels)
        if not set(embedding.levels) <= set(dims):
            return f"dims has the levels {sorted(dims)}, the embedding of view {number} has {sorted(embedding.levels)}."
        for level, rows in embedding.levels.items():
            if rows.ndim != 2 or rows.shape[1] != dims[level]:
                return f"level {level!r} of view {number} is {tuple(rows.shape)}; dims says (n, {dims[level]})."
            if level in view.ids and len(view.ids[level]) != len(rows):
                return f"view {number} has {len(view.ids[level])} ids of level {level!r}; the encoder made {len(rows)} rows."
        if "two-levels" in brought and not embedding.owner:
            return f"the component provides 'two-levels', but the embedding of view {number} has no owner."
        for level, owner in embedding.owner.items():
            coarsest = max(len(rows) for other, rows in embedding.levels.items() if other != level)
            if owner.dtype != torch.int64 or len(owner) != len(embedding[level]):
                return f"owner[{level!r}] of view {number} is {tuple(owner.shape)} {owner.dtype}; expected int64, one a row."
            if len(owner) and not 0 <= int(owner.min()) <= int(owner.max()) < coarsest:
                return f"owner[{level!r}] of view {number} points at row {int(owner.max())} of {coarsest}."
    never = sorted(set(dims) - met)
    return f"dims names {', '.join(never)}, but no view has embeddings of that level." if never else ""


def state_round_trip(material: Material, name: str) -> str:
    """What training changes lies in the state: saved and loaded into a fresh encoder, embeddings are bit-identical."""
    encoder, fresh = material.encoder(name), material.encoder(name)
    moved = {key: value + 0.01 if value.is_floating_point() else value for key, value in encoder.state_dict().items()}
    encoder.load_state_dict(moved)
    stored = save({key: value.contiguous() for key, value in encoder.state_dict().items()})
    fresh.load_state_dict(load(stored))
    view = next(iter(material.data.rows()))
    with torch.no_grad():
        changed = differences(snapshot(encoder.eval()(view)), snapshot(fresh.eval()(view)))
    where = ", ".join(changed)
    return (
        f"after save and load the embedding differs at {where}; keep all state in parameters and buffers." if changed else ""
    )


CHECKS: Mapping[str, Callable[[Material, str], str]] = {
    "finite": finite,
    "deterministic": deterministic,
    "input-unchanged": input_unchanged,
    "gradients": gradients,
    "shapes": shapes,
    "state-round-trip": state_round_trip,
}
