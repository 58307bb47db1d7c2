"""Checks of encoders: finite, deterministic, trainable in every parameter, aligned with ids, the same after saving."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations

import torch
from safetensors.torch import load, save

from sslplug.contracts import Order, View
from sslplug.errors import SslplugError
from sslplug.randomness import Rng
from sslplug.testing.devices import beside_another_device, elsewhere
from sslplug.testing.encoder_passes import EncoderPasses, embedding
from sslplug.testing.leaves import differences, snapshot
from sslplug.testing.material import Material
from sslplug.testing.once import NotApplicable


def gives_embedding(passes: EncoderPasses, name: str) -> str:
    """An encoder gives an Embedding with one level at least for every kind of view.

    Mend: return Embedding({level: rows}) for every view, whatever its role, its masks and the instances it lost.
    """
    passes.evaluated[name].own()
    return ""


def finite(passes: EncoderPasses, name: str) -> str:
    """Embeddings of all kinds of views are finite, in training and in eval mode.

    Mend: look for 0/0 (the mean of nothing), log(0) and the softmax of a row that is masked as a whole.
    """
    for where, found in passes.evaluated[name].lend().embeddings.items():
        for level, rows in found.levels.items():
            bad = int((~torch.isfinite(rows)).any(1).sum())
            if bad:
                return f"{bad} of {len(rows)} rows of level {level!r} are not finite in eval mode: {where}; expected none."
    for where, (level, bad, count) in passes.trained[name].lend().infinite.items():
        return f"{bad} of {count} rows of level {level!r} are not finite in training mode: {where}; expected none."
    return ""


def deterministic(passes: EncoderPasses, name: str) -> str:
    """In eval mode the same view gives the same embedding, and no global random number is drawn.

    Mend: switch dropout and every other draw off when not self.training.
    """
    found = passes.evaluated[name].lend()
    for where, paths in found.unlike.items():
        if paths:
            return f"embedded twice in eval mode, {where} differs at {', '.join(paths)}; expected the same bits."
    if found.drew:
        return f"in eval mode it draws from the global generator of {' and '.join(found.drew)}; expected no draw."
    return ""


def eval_keeps_state(passes: EncoderPasses, name: str) -> str:
    """Embedding in eval mode changes no parameter and no buffer.

    Mend: update running statistics only when self.training.
    """
    changed = passes.evaluated[name].lend().changed
    return f"embedding in eval mode changed {', '.join(changed[:5])}; expected nothing to move." if changed else ""


def input_unchanged(passes: EncoderPasses, name: str) -> str:
    """Encoders never write into the view.

    Mend: use no in-place operation on what a view holds.
    """
    for wrote in (passes.evaluated[name].lend().wrote, passes.trained[name].lend().wrote):
        for where, paths in wrote.items():
            return f"the call wrote into {where} at {', '.join(paths[:5])}; expected it unchanged."
    return ""


def gradients(passes: EncoderPasses, name: str) -> str:
    """Every parameter gets a gradient that is not zero, from some level of some view.

    Mend: use these parameters, or leave them out; freeze them with requires_grad_(False) and register_buffer if they are meant
    to stay.
    """
    passes.evaluated[name].lend()
    dead = passes.trained[name].own().dead
    return f"no view gives a gradient to {', '.join(dead)}; expected one that is not zero for each." if dead else ""


def shapes(passes: EncoderPasses, name: str) -> str:
    """Levels and widths are those of ``dims`` (a role may have fewer), with one row an id; level tags are true.

    Mend: make dims, the tags of the component and what forward returns say the same.
    """
    found = passes.evaluated[name].lend().embeddings
    dims: Mapping[str, int] = passes.material.encoder(name).dims  # type: ignore[assignment]
    picked = passes.material.picked("encoder", name)
    for tag in sorted(tag for tag in picked.component.provides(picked.options) if tag.startswith("level:")):
        if tag.removeprefix("level:") not in dims:
            return f"the component provides {tag!r}; expected dims to have that level, found {', '.join(dims)}."
    met: set[str] = set()
    for where, embedded in found.items():
        met |= set(embedded.levels)
        if not set(embedded.levels) <= set(dims):
            return f"{where} has embeddings of the levels {sorted(embedded.levels)}; expected those of dims, {sorted(dims)}."
        for level, rows in embedded.levels.items():
            if rows.ndim != 2 or rows.shape[1] != dims[level]:
                return f"level {level!r} of {where} is {tuple(rows.shape)}; expected (n, {dims[level]}), as dims says."
            ids = passes.views[where].ids
            if level in ids and len(ids[level]) != len(rows):
                return f"the encoder made {len(rows)} rows of level {level!r} of {where}; expected one an id, {len(ids[level])}."
    never = sorted(set(dims) - met)
    return f"dims names {', '.join(never)}; expected a view with embeddings of that level, found none." if never else ""


def owner(passes: EncoderPasses, name: str) -> str:
    """``Embedding.owner`` leads every row of a fine level to a row of a coarser one.

    Mend: give owner[level] as int64, one entry a row, counting the rows of the coarser level from 0.
    """
    picked = passes.material.picked("encoder", name)
    two = "two-levels" in picked.component.provides(picked.options)
    some = False
    for where, embedded in passes.evaluated[name].lend().embeddings.items():
        if two and not embedded.owner:
            return f"the embedding of {where} has no owner; expected one, for the component provides 'two-levels'."
        for level, of in embedded.owner.items():
            some = True
            coarsest = max(len(rows) for other, rows in embedded.levels.items() if other != level)
            if of.dtype != torch.int64 or len(of) != len(embedded[level]):
                found = f"{tuple(of.shape)} {of.dtype}"
                return f"owner[{level!r}] of {where} is {found}; expected ({len(embedded[level])},) torch.int64."
            if len(of) and not 0 <= int(of.min()) <= int(of.max()) < coarsest:
                return f"owner[{level!r}] of {where} points at row {int(of.max())}; expected 0 to {coarsest - 1}."
    if not some:
        raise NotApplicable("its embeddings have no owner.")
    return ""


def state_round_trip(passes: EncoderPasses, name: str) -> str:
    """What training changes lies in the state: saved and loaded into a fresh encoder, embeddings are bit-identical.

    Mend: keep everything that training changes in parameters and buffers.
    """
    passes.evaluated[name].lend()
    encoder, fresh = passes.material.encoder(name), passes.material.encoder(name)
    moved = {key: value + 0.01 if value.is_floating_point() else value for key, value in encoder.state_dict().items()}
    encoder.load_state_dict(moved)
    stored = save({key: value.clone().contiguous() for key, value in encoder.state_dict().items()})
    fresh.load_state_dict(load(stored))
    for role, view in passes.a_view_a_role().items():
        with torch.no_grad():
            changed = differences(snapshot(encoder.eval()(view)), snapshot(fresh.eval()(view)))
        if changed:
            where = ", ".join(changed)
            return (
                f"after save and load the embedding of a view of role {role!r} differs at {where}; expected the same bits."
            )
    return ""


def single_row(passes: EncoderPasses, name: str) -> str:
    """A batch of one instance is embedded, finite, in eval mode.

    Mend: keep dimensions of size 1 (no squeeze without a dimension), and divide by no count that may be 0.
    """
    material = passes.material
    passes.evaluated[name].lend()
    views = single_row_views(material, material.default.picked["views"].name)
    encoder = material.encoder(name).eval()
    with torch.no_grad():
        for number, view in enumerate(views):
            for level, rows in embedding(encoder, view).levels.items():
                if not bool(torch.isfinite(rows).all()):
                    return f"level {level!r} of view {number} of one instance is not finite; expected finite rows."
    return ""


def single_row_views(material: Material, name: str) -> list[View]:
    """The views of a batch of one instance; NotApplicable where the data does not serve one."""
    try:
        batch = material.data.batches(Order(0, 0, batch_size=1))[0]
    except SslplugError as error:
        raise NotApplicable(f"this data has no batch of one instance: {error}") from error
    return list(material.views(name)(batch, Rng.root(7)))


def alone(passes: EncoderPasses, name: str) -> str:
    """In eval mode an instance has one embedding, whatever instances of whatever length stand beside it.

    Mend: mask padding in every sum, mean and attention, and use running statistics in eval mode; an encoder that compares
    instances by design provides ``beside``.
    """
    material = passes.material
    if "beside" in material.provided("encoder", name):
        raise NotApplicable("it compares instances by design (tag 'beside').")
    passes.evaluated[name].lend()
    encoder, level = material.encoder(name).eval(), material.data.level
    compared = 0
    for made in material.plain_views():
        with torch.no_grad():
            found = [(view.ids[level], embedding(encoder, view)) for view in made if level in view.ids]
        for (ids, by_itself), (others, together) in combinations(found, 2):
            if level not in by_itself.levels or level not in together.levels:
                continue
            place = (others[None, :] == ids[:, None]).float().argmax(1)
            shared = torch.isin(ids, others)
            rows, again = by_itself[level][shared], together[level][place[shared]]
            if not bool(torch.isfinite(rows).all()):
                raise NotApplicable(f"alone, an instance has no finite embedding; encoder/{name}/single-row says so.")
            compared += len(rows)
            apart = float((rows - again).abs().max()) / max(float(again.abs().max()), 1e-6) if len(rows) else 0.0
            if apart > 1e-3:
                return f"level {level!r}: alone, an instance moves by {apart:.2g} of the largest number; expected 0.001 at most."
    if not compared:
        raise NotApplicable("no view set without randomness shows one instance alone and among others.")
    return ""


def dtype(passes: EncoderPasses, name: str) -> str:
    """Embeddings are float32, as parameters are.

    Mend: let no float64 in: torch.tensor(numpy array) and torch.from_numpy keep numpy's float64; add .float().
    """
    for where, embedded in passes.evaluated[name].lend().embeddings.items():
        for level, rows in embedded.levels.items():
            if rows.dtype != torch.float32:
                return f"level {level!r} of {where} is {rows.dtype}; expected torch.float32."
    return ""


def device(passes: EncoderPasses, name: str) -> str:
    """Everything is made on the view's device: nothing relies on torch's default device.

    Mend: pass device=... wherever a tensor is made (torch.arange, zeros, tensor, ...), or use new_zeros and *_like.
    """
    passes.evaluated[name].lend()
    encoder = passes.material.encoder(name).eval()
    for role, view in passes.a_view_a_role().items():
        found = beside_another_device(lambda view=view: encoder(view))  # type: ignore[misc]
        if found:
            return f"embedding a view of role {role!r}: {found}"
        found = elsewhere(encoder, view)
        if found:
            return f"embedding a view of role {role!r} on CUDA: {found}"
    return ""


def seeded(passes: EncoderPasses, name: str) -> str:
    """Parameters are drawn from torch's global generator, which the engine seeds: the same seed, the same parameters.

    Mend: initialise with torch's functions, seed nothing yourself, and draw from no generator of your own.
    """
    material = passes.material
    first, same, other = (snapshot(dict(material.encoder(name, seed).named_parameters())) for seed in (1, 1, 2))
    changed = differences(first, same)
    if changed:
        return f"built twice with one seed, {', '.join(changed[:5])} differ; expected the same parameters."
    if first and not differences(first, other):
        return "built with two seeds, all parameters are the same; expected other ones."
    return ""


def permutation(passes: EncoderPasses, name: str) -> str:
    """An encoder that provides ``orderless`` gives the same embeddings whatever the order of a set's elements.

    Mend: use sums, means and maxima over the elements, and break ties by content and not by place; or drop the tag.
    """
    material = passes.material
    picked = material.picked("encoder", name)
    if "orderless" not in picked.component.provides(picked.options):
        raise NotApplicable("it does not claim it (tag 'orderless').")
    fitting = [other for other in material.plugin.views if "reordered" in material.provided("views", other)]
    if not fitting:
        return "the component provides 'orderless'; expected a view set that provides 'reordered' to hold it to, found none."
    passes.evaluated[name].lend()
    encoder = material.encoder(name).eval()
    for other in fitting:
        views = material.made(other).lend()
        with torch.no_grad():
            plain, moved = (encoder(view) for view in views[:2])
        for level in plain.levels:
            rows, again = plain[level], moved[level]
            if level in views[0].ids:
                if not torch.equal(views[0].ids[level].sort().values, views[1].ids[level].sort().values):
                    return f"views of {other!r} hold other instances of level {level!r}; expected the same in another order."
                rows, again = rows[views[0].ids[level].argsort()], again[views[1].ids[level].argsort()]
            apart = float((rows - again).abs().max()) / max(float(rows.abs().max()), 1e-6)
            if apart > 1e-4:
                return f"{other!r}: level {level!r} moves by {apart:.2g} of its largest number; expected 0.0001 at most."
    return ""


CHECKS: Mapping[str, Callable[[EncoderPasses, str], str]] = {
    "embedding": gives_embedding,
    "finite": finite,
    "deterministic": deterministic,
    "eval-keeps-state": eval_keeps_state,
    "input-unchanged": input_unchanged,
    "gradients": gradients,
    "shapes": shapes,
    "owner": owner,
    "state-round-trip": state_round_trip,
    "single-row": single_row,
    "alone": alone,
    "dtype": dtype,
    "device": device,
    "seeded": seeded,
    "permutation": permutation,
}
