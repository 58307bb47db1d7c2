"""Checks of batches: pure functions of their order, of their own memory, shared out over ranks and workers without a loss."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sslplug.contracts import Order
from sslplug.errors import SslplugError
from sslplug.testing.global_state import global_state
from sslplug.testing.leaves import differences, leaves, snapshot, whole_vectors
from sslplug.testing.material import Material
from sslplug.testing.once import NotApplicable

STEPS = 4
"""Batches of an epoch that the costlier checks look at."""


def contract(material: Material) -> str:
    """The data has all that DomainData names: batches, rows, tasks, spec, level, description, fitted.

    Mend: give the missing attribute; sslplug.contracts.DomainData says what each is.
    """
    data = material.default_data.own()
    level = data.level
    dims: Mapping[str, int] = material.default_encoder.dims  # type: ignore[assignment]
    if level not in dims:
        return f"data.level is {level!r}; expected a level of the default recipe's encoder: {', '.join(dims)}."
    try:
        count = len(data.batches(Order(0, 0, batch_size=material.batch_size)))
    except SslplugError as error:
        return f"batches(order) refuses the default recipe's batch size {material.batch_size}: {error}"
    return "" if count else "an epoch of the default recipe has 0 batches; expected 1 at least."


def batches_pure(material: Material) -> str:
    """``batches(order)[step]`` is the same whenever and wherever it is asked for.

    Mend: draw from (order, step) alone, Rng.root(order.seed).fork(...), and remember nothing between calls.
    """
    order = Order(seed=5, epoch=1, batch_size=material.several)
    batches, again = material.data.batches(order), material.again.batches(order)
    steps = range(len(batches))
    forward = [snapshot(batches[step]) for step in steps]
    for step in reversed(steps):
        changed = differences(forward[step], snapshot(again[step]))
        if changed:
            where = ", ".join(changed[:5])
            return f"batch {step} differs at {where} when asked for in another order; expected the same bits."
    return ""


def batches_own_memory(material: Material) -> str:
    """A caller that edits a batch changes no other batch, unless the plugin claims ``shared-batches``.

    Mend: hand out copies (fancy indexing copies, slicing does not).
    """
    if "shared-batches" in material.plugin.traits:
        raise NotApplicable("the plugin's trait shared-batches says that batches share memory and nobody writes into them.")
    material.default_data.lend()
    order = Order(seed=5, epoch=0, batch_size=material.several)
    data = material.new_data()
    before = snapshot(data.batches(order)[0])
    for _, leaf in leaves(data.batches(order)[0]):
        if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.numel():
            leaf.add_(1.0)
    changed = differences(before, snapshot(data.batches(order)[0]))
    return f"editing a batch changed the data at {', '.join(changed)}; expected the same batch again." if changed else ""


def ranks_join(material: Material) -> str:
    """The shares of two ranks are the one-process batch, and both ranks count the same steps.

    Mend: cut each global batch by order.rank and order.world (numpy.array_split), after the shuffle.
    """
    size = material.several
    whole = material.data.batches(Order(0, 0, batch_size=size))
    try:
        shares = [material.data.batches(Order(0, 0, rank, 2, size)) for rank in range(2)]
    except SslplugError as error:
        raise NotApplicable(f"this data is not shared over ranks: {error}") from error
    if len({len(whole), *map(len, shares)}) > 1:
        return f"two ranks count {[len(share) for share in shares]} steps; expected {len(whole)} as one process does."
    for step in range(len(whole)):
        joined = whole_vectors(whole[step])
        parts = [whole_vectors(share[step]) for share in shares]
        for path, values in joined.items():
            both = torch.cat([part[path] for part in parts])
            if len(both) == len(values) and not torch.equal(both.sort().values, values.sort().values):
                return f"step {step}: the ranks' {path} joined are others; expected those of the one-process batch."
            if len(both) < len(values):
                return f"step {step}: two ranks hold {len(both)} {path}; expected the one-process batch's {len(values)}."
    return ""


def workers(material: Material) -> str:
    """Two loader processes give the batches that no process gives.

    Mend: make batch ``step`` from (order, step) alone: no counter, no open file, no generator that lives in the object.
    """
    order = Order(seed=5, epoch=0, batch_size=material.several)
    batches = material.data.batches(order)
    steps = range(min(len(batches), STEPS))
    plain = [snapshot(batches[step]) for step in steps]
    helped: DataLoader[Any] = DataLoader(material.again.batches(order), batch_size=None, sampler=steps, num_workers=2)  # type: ignore[arg-type]
    for step, batch in zip(steps, helped, strict=True):
        changed = differences(plain[step], snapshot(batch))
        if changed:
            return f"batch {step} of two workers differs at {', '.join(changed[:5])}; expected the same bits."
    return ""


def reshuffled(material: Material) -> str:
    """Another epoch and another seed give other batches.

    Mend: shuffle by Rng.root(order.seed).fork("order", order.epoch).
    """
    size = material.several
    if len(material.data.batches(Order(0, 0, batch_size=size))) == 1:
        raise NotApplicable("an epoch is one batch.")
    first, *others = (
        snapshot(material.data.batches(Order(seed, epoch, batch_size=size))[0]) for seed, epoch in ((0, 0), (0, 1), (1, 0))
    )
    for what, other in zip(("epoch", "seed"), others, strict=True):
        if not differences(first, other):
            return f"another {what} gave the same first batch; expected another shuffle."
    return ""


def sizes(material: Material) -> str:
    """A batch size that cannot be served is refused with a DataError, never with another error or an empty batch.

    Mend: check order.batch_size against the rows and the ranks, and raise sslplug.errors.DataError with what would do.
    """
    rows = max((len(task.labels) for task in material.labelled.values()), default=0)
    for size, world in ((1, 1), (3, 2), (2 * rows + 2 if rows else 1_000_003, 1)):
        try:
            batches = material.data.batches(Order(0, 0, 0, world, size))
            first = whole_vectors(batches[0]) if len(batches) else {}
            if first and not any(len(numbers) for numbers in first.values()):
                return f"batch size {size} gave a batch without instances; expected a DataError, or no batch."
        except SslplugError:
            continue
        except Exception as error:
            what = f"batch size {size} on {world} rank{'s' if world > 1 else ''}"
            return f"{what} raised {type(error).__name__}: {error}; expected batches or a DataError."
    return ""


def device(material: Material) -> str:
    """``batch.to(device)`` and ``View.to(device)`` move every tensor, and leave the batch as it was.

    Mend: move every tensor of the batch in its ``to``, with dataclasses.replace.
    """
    targets = ["meta", "cuda"] if torch.cuda.is_available() else ["meta"]
    material.default_data.lend()
    data = material.new_data()  # batches may remember where they were moved
    batch, clean = data.batches(Order(0, 0, batch_size=material.few))[0], next(iter(data.rows()))
    for where in targets:
        before = snapshot(batch)
        for what, moved in (("batch", batch.to(where)), ("a view of rows()", clean.to(where))):
            stayed = [path for path, v in leaves(moved) if isinstance(v, Tensor) and v.numel() and v.device.type != where]
            if stayed:
                return f"after to({where!r}), {what} holds {', '.join(stayed[:5])} elsewhere; expected all of it there."
        changed = differences(before, snapshot(batch))
        if changed:
            return f"to({where!r}) changed the batch itself at {', '.join(changed[:5])}; expected a new batch."
    return ""


def dtype(material: Material) -> str:
    """A field has one dtype, in every batch and in ``rows()``, and no number has fewer bits than float32.

    Mend: convert once, when the data is built: array.astype(numpy.float32).
    """
    batch, clean = dtypes(material.few_instances()), dtypes(material.clean[0].data)
    for path, found in [*batch.items(), *clean.items()]:
        if found in (torch.float16, torch.bfloat16):
            return f"a batch holds {found} at {path}; expected torch.float32."
    for path in batch.keys() & clean.keys():
        if batch[path] != clean[path]:
            return f"{path} is {clean[path]} in rows(); expected {batch[path]} as in batches."
    return ""


def dtypes(value: Any) -> dict[str, torch.dtype]:
    """{path: dtype} of every tensor inside."""
    return {path: leaf.dtype for path, leaf in leaves(value) if isinstance(leaf, Tensor)}


def finite(material: Material) -> str:
    """Batches hold no infinity, and no NaN unless the plugin claims ``missing-values``.

    Mend: refuse such data with a DataError that names file, row and column, or encode what is missing.
    """
    allowed = "missing-values" in material.plugin.traits
    for path, leaf in leaves(material.batch()):
        if isinstance(leaf, Tensor) and leaf.is_floating_point():
            bad = int((torch.isinf(leaf) if allowed else ~torch.isfinite(leaf)).sum())
            if bad:
                return f"a batch holds {bad} numbers that are not finite at {path}; expected none."
    return ""


def global_randomness(material: Material) -> str:
    """Building the data, asking for a batch and passing over ``rows()`` draw from no global generator and seed none.

    Mend: draw from Rng.root(context.seed) and Rng.root(order.seed) alone.
    """
    material.default_data.lend()
    before = global_state()
    data = material.new_data()
    data.batches(Order(seed=3, epoch=0, batch_size=material.several))[0]
    next(iter(data.rows()))
    moved = [which for which, state in global_state().items() if state != before[which]]
    return f"it moved the global generator of {' and '.join(moved)}; expected no draw." if moved else ""


def description(material: Material) -> str:
    """The record of the data is plain, with the sha256 of its content.

    Mend: give numbers, words, lists and dicts, and description["sha256"] = hashlib.sha256(content).hexdigest().
    """
    try:
        json.dumps(dict(material.data.description))
    except TypeError as error:
        return f"description is not plain data: {error}; expected what JSON can hold."
    sha = material.data.description.get("sha256")
    return "" if isinstance(sha, str) and sha else f"description['sha256'] is {sha!r}; expected the hash of the content."


def fitted(material: Material) -> str:
    """What was fitted is plain JSON, and encodes the same rows to the same views when it is handed back.

    Mend: fit where context.fitted is None and encode by context.fitted where it is given; hand it on as ``fitted``.
    """
    try:
        kept = json.loads(json.dumps(dict(material.data.fitted), allow_nan=False))
    except (TypeError, ValueError) as error:
        return f"fitted is not JSON: {error}; expected plain finite numbers, words, lists and dicts."
    if not kept:
        raise NotApplicable("this data fits nothing.")
    again = material.new_data(kept)
    first, second = snapshot(material.clean), snapshot(list(again.rows()))
    changed = differences(first, second) + differences(second, first)
    if changed:
        return f"rows() encoded by DataContext.fitted differ at {', '.join(changed[:5])}; expected the same bits."
    return (
        "" if json.loads(json.dumps(dict(again.fitted))) == kept else "data built by fitted has another; expected the same."
    )


CHECKS: Mapping[str, Callable[[Material], str]] = {
    "contract": contract,
    "batches-pure": batches_pure,
    "batches-own-memory": batches_own_memory,
    "ranks-join": ranks_join,
    "workers": workers,
    "reshuffled": reshuffled,
    "sizes": sizes,
    "device": device,
    "dtype": dtype,
    "finite": finite,
    "global-randomness": global_randomness,
    "description": description,
    "fitted": fitted,
}
