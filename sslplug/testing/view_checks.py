"""Checks of views: pure, repeatable, honest about what they change and what they bring."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslplug.contracts import LabelledRows, Order, Task, View, tasks_of
from sslplug.randomness import Rng
from sslplug.testing.leaves import differences, leaves, snapshot
from sslplug.testing.material import Material, NotApplicable

TOLERANCE = 0.04
DRAWS = 20


def input_unchanged(material: Material, name: str) -> str:
    """Views never write into the batch."""
    views, batch = material.views(name), material.batch()
    before = snapshot(batch)
    views(batch, Rng.root(1))
    changed = differences(before, snapshot(batch))
    return f"the call wrote into the batch at {', '.join(changed)}; change a copy (dataclasses.replace)." if changed else ""


def repeats(material: Material, name: str) -> str:
    """The same rng gives the same views."""
    views, batch = material.views(name), material.batch()
    first, second = (snapshot(views(batch, Rng.root(2))) for _ in range(2))
    changed = differences(first, second) + differences(second, first)
    return f"two calls with one rng differ at {', '.join(changed[:5])}; draw from rng alone." if changed else ""


def global_randomness(material: Material, name: str) -> str:
    """Global random state is neither read nor changed: reading it advances it."""
    views, batch = material.views(name), material.batch()
    before = global_state()
    views(batch, Rng.root(3))
    moved = [which for which, state in global_state().items() if state != before[which]]
    where = " and ".join(moved)
    return (
        f"the call drew from the global generator of {where}; draw from rng (rng.uniform, rng.torch, rng.numpy)."
        if moved
        else ""
    )


def global_state() -> dict[str, Any]:
    """The state of the three global generators, comparable."""
    numpy_state = np.random.get_state(legacy=False)
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": repr(numpy_state) + str(hash(numpy_state["state"]["key"].tobytes())),
        "python": random.getstate(),
    }


def measure(what: str, batch: Any, view: View, clean: View | None) -> float | None:
    """The share really changed, for a name the kit can measure; None for a plugin's own word.

    mask:<level>    share of the level's tokens that are hidden
    drop:<level>    share of the clean view's ids of the level that the view lacks
    change:<field>  share of entries of the batch's tensor of that (dotted) name that differ in the view's data; None in the
                    batch stands for ones (weights that are all one need no memory)
    """
    kind, colon, field = what.partition(":")
    if not colon:
        return None
    if kind == "mask":
        return float(view.mask[field].float().mean())
    if kind == "drop" and clean is not None:
        kept = torch.isin(clean.ids[field], view.ids[field])
        return 1.0 - float(kept.float().mean())
    if kind == "change":
        old, new = (dict(leaves(data)).get(f".{field}") for data in (batch, view.data))
        if not isinstance(new, Tensor):
            return None
        old = torch.ones_like(new) if old is None else old
        if not isinstance(old, Tensor) or old.shape != new.shape:
            return None
        return float((old != new).float().mean())
    return None


def rates(material: Material, name: str) -> str:
    """The measured share equals the declared rate, on average over draws."""
    return _compare_rates(material, material.views(name))


def zero_rate(material: Material, name: str) -> str:
    """With every option that ends in "rate" at 0, the declared rates are 0 and nothing is changed."""
    picked = material.picked("views", name)
    zeroed = {field: 0.0 for field in type(picked.options).model_fields if field.endswith("rate")}
    if not zeroed:
        raise NotApplicable("these views have no option that ends in 'rate'.")
    views = material.views(name, zeroed)
    declared = {what: share for what, share in views.rates.items() if share != 0}
    if declared:
        return f"with {', '.join(zeroed)} at 0, rates still declares {declared}; rate 0 must be the identity."
    return _compare_rates(material, views, tolerance=0.0)


def _compare_rates(material: Material, views: Any, tolerance: float = TOLERANCE) -> str:
    batch, clean = material.batch(), next(iter(material.data.rows()))
    if not views.rates:
        raise NotApplicable("these views declare no rates.")
    measured: dict[str, list[float]] = {}
    for draw in range(DRAWS):
        made = views(batch, Rng.root(10 + draw))
        for what in views.rates:
            number, slash, word = what.rpartition("/")
            for view in made if not slash else [made[int(number)]]:
                share = measure(word, batch, view, clean)
                if share is not None:
                    measured.setdefault(what, []).append(share)
    if not measured:
        words = ", ".join(views.rates)
        raise NotApplicable(
            f"the kit knows mask:, drop: and change:, and cannot measure {words}; test these shares yourself."
        )
    wrong = {what: float(np.mean(shares)) for what, shares in measured.items()}
    wrong = {what: share for what, share in wrong.items() if abs(share - views.rates[what]) > tolerance}
    found = ", ".join(f"{what}: declared {views.rates[what]:.3f}, measured {share:.3f}" for what, share in wrong.items())
    return f"{found} (mean of {DRAWS} draws); a rate is the share that is changed." if wrong else ""


def ids(material: Material, name: str) -> str:
    """Ids, masks and targets have one entry an embedding row, and ids name instances of the data (or -1)."""
    known: dict[str, list[Tensor]] = {}
    for view in material.data.rows():
        for level, rows in view.ids.items():
            known.setdefault(level, []).append(rows)
    for number, view in enumerate(material.views(name)(material.batch(), Rng.root(4))):
        with torch.no_grad():
            embedding = material.default_encoder(view)
        for level, rows in embedding.levels.items():
            for what, given in (("ids", view.ids), ("mask", view.mask)):
                if level in given and len(given[level]) != len(rows):
                    return f"view {number}: {len(given[level])} {what} of level {level!r} for {len(rows)} embedding rows."
        for level, rows in view.ids.items():
            if level not in known or view.role == "negative":
                continue
            strange = rows[~torch.isin(rows, torch.cat(known[level])) & (rows != -1)]
            if len(strange):
                first = f"first {int(strange[0])}"
                return f"view {number}: {len(strange)} ids of level {level!r} name no instance of rows(), {first}."
        for target, wanted in view.targets.items():
            count = len(embedding[wanted.level])
            if wanted.rows is None and len(wanted.values) != count:
                return (
                    f"view {number}: target {target!r} has {len(wanted.values)} values for {count} rows; give Target.rows."
                )
            if (
                wanted.rows is not None
                and wanted.rows.numel()
                and not 0 <= int(wanted.rows.min()) <= int(wanted.rows.max()) < count
            ):
                return f"view {number}: target {target!r} names rows outside 0..{count - 1}."
    return ""


def tags(material: Material, name: str) -> str:
    """What the views say they provide is there: pairs, masks, negatives, targets and their widths."""
    picked = material.picked("views", name)
    made = material.views(name)(material.batch(), Rng.root(5))
    alike = sum(view.role != "negative" for view in made)
    there = {
        "pair": alike >= 2,
        "many": alike > 2,
        "masks": any(bool(mask.any()) for view in made for mask in view.mask.values()),
        "negatives": any(view.role == "negative" for view in made),
        **{f"target:{target}": True for view in made for target in view.targets},
    }
    for tag in sorted(picked.component.provides(picked.options)):
        if not there.get(tag, False):
            return f"the component provides {tag!r}, but its {len(made)} views do not bring it; mend provides or the views."
    for target, width in picked.component.outputs(picked.options, material.data.spec).items():
        for view in made:
            values = view.targets[target].values if target in view.targets else None
            if values is not None and not values.is_floating_point() and len(values) and int(values.max()) >= width:
                return f"outputs says {width} classes for {target!r}, but a value is {int(values.max())}."
            if values is not None and values.is_floating_point() and values.flatten(1).shape[1] != width:
                return f"outputs says width {width} for {target!r}, but values are {tuple(values.shape)}."
    return ""


def same_shape_always(material: Material, name: str) -> str:
    """The number and the roles of views do not depend on batch or rng."""
    views = material.views(name)
    roles = [[view.role for view in views(material.batch(Order(seed, seed)), Rng.root(seed))] for seed in range(3)]
    return (
        f"three batches gave views with the roles {roles}; number and roles must not depend on the batch."
        if len(set(map(tuple, roles))) > 1
        else ""
    )


def labels(material: Material, name: str) -> str:
    """No label enters a view unless the order asked, and then only those of allowed rows."""
    views = material.views(name)
    for view in views(material.batch(), Rng.root(6)):
        if "label" in view.targets:
            return "a view has the target 'label' though Order.labels is None; labels may enter only where the order asks."
    for task in tasks_of(Task, material.data.tasks).values():
        if task.kind != "classification" or task.level != material.data.level or "labels" not in material.plugin.traits:
            continue
        allowed = task.splits[0].train
        order = Order(0, 0, labels=LabelledRows(task, allowed))
        for view in views(material.batch(order), Rng.root(6)):
            if view.role == "negative":
                continue
            if "label" not in view.targets:
                return f"Order.labels asked for task {task.name!r}, but a view has no target 'label'."
            target = view.targets["label"]
            rows = torch.arange(len(target.values)) if target.rows is None else target.rows
            if task.level not in view.ids:
                continue
            instances = view.ids[task.level][rows].numpy()
            outside = instances[~np.isin(instances, allowed)]
            if len(outside):
                return f"target 'label' holds {len(outside)} rows that may not be known, first instance {outside[0]}."
            if not np.array_equal(target.values.numpy(), task.labels[instances]):
                return f"target 'label' differs from the labels of task {task.name!r}."
    return ""


CHECKS: Mapping[str, Callable[[Material, str], str]] = {
    "input-unchanged": input_unchanged,
    "repeats": repeats,
    "global-randomness": global_randomness,
    "rates": rates,
    "zero-rate": zero_rate,
    "ids": ids,
    "tags": tags,
    "same-number": same_shape_always,
    "labels": labels,
}
