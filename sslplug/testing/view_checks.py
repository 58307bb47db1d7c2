"""Checks of views: pure, repeatable, aligned with what they name, and honest about what they bring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from sslplug.contracts import LabelledRows, Order, View
from sslplug.errors import SslplugError
from sslplug.randomness import Rng
from sslplug.testing.batch_checks import dtypes
from sslplug.testing.devices import beside_another_device
from sslplug.testing.global_state import global_state
from sslplug.testing.leaves import differences, leaves, snapshot
from sslplug.testing.material import Material
from sslplug.testing.once import NotApplicable


def gives_list(material: Material, name: str) -> str:
    """The call gives a list of View, one at least.

    Mend: return [View(...), ...].
    """
    made = material.made(name).own()
    if not isinstance(made, list) or not made:
        return f"the call gave {type(made).__name__ if made else 'nothing'}; expected a list of View, one at least."
    strange = sorted({type(view).__name__ for view in made if not isinstance(view, View)})
    return f"the list holds {', '.join(strange)}; expected View alone." if strange else ""


def input_unchanged(material: Material, name: str) -> str:
    """Views never write into the batch.

    Mend: change a copy (dataclasses.replace), and use no in-place operation on what the batch holds.
    """
    views, batch = material.views(name), material.batch()
    before = snapshot(batch)
    views(batch, Rng.root(1))
    changed = differences(before, snapshot(batch))
    return f"the call wrote into the batch at {', '.join(changed)}; expected it unchanged." if changed else ""


def repeats(material: Material, name: str) -> str:
    """The same rng gives the same views, whatever was asked for between.

    Mend: draw from rng alone and remember nothing between calls.
    """
    views, batch = material.views(name), material.batch()
    first = snapshot(views(batch, Rng.root(2)))
    views(batch, Rng.root(3))
    second = snapshot(views(batch, Rng.root(2)))
    changed = differences(first, second) + differences(second, first)
    return f"two calls with one rng differ at {', '.join(changed[:5])}; expected the same bits." if changed else ""


def global_randomness(material: Material, name: str) -> str:
    """Global random state is neither read nor changed: reading it advances it.

    Mend: draw from rng (rng.uniform, rng.torch, rng.numpy); wrap a library that takes no generator in torch.random.fork_rng.
    """
    views, batch = material.views(name), material.few_instances()
    before = global_state()
    views(batch, Rng.root(3))
    moved = [which for which, state in global_state().items() if state != before[which]]
    return f"the call moved the global generator of {' and '.join(moved)}; expected no draw." if moved else ""


def single_row(material: Material, name: str) -> str:
    """A batch of one instance gives views.

    Mend: count on no second instance: no variance over the batch, no partner, no squeeze without a dimension.
    """
    material.made(name).lend()
    try:
        batch = material.data.batches(Order(0, 0, batch_size=1))[0]
    except SslplugError as error:
        raise NotApplicable(f"this data has no batch of one instance: {error}") from error
    usual, alone = material.made(name).lend(), material.views(name)(batch, Rng.root(7))
    if len(alone) != len(usual):
        return f"a batch of one instance gave {len(alone)} views; expected {len(usual)} as for other batches."
    for number, view in enumerate(alone):
        for path, leaf in leaves(view.data):
            if isinstance(leaf, Tensor) and leaf.is_floating_point() and bool(torch.isinf(leaf).any()):
                return f"view {number} of one instance holds infinities at {path}; expected none."
    return ""


def ids(material: Material, name: str) -> str:
    """Ids, masks and targets have one entry an embedding row, and ids name instances of the data (or -1).

    Mend: keep ids, masks and Target.rows in step with the rows that the encoder makes; take ids from the batch's numbers.
    """
    known: dict[str, list[Tensor]] = {}
    for view in material.clean:
        for level, rows in view.ids.items():
            known.setdefault(level, []).append(rows)
    instances = {level: torch.cat(parts) for level, parts in known.items()}
    for number, view in enumerate(material.made(name).lend()):
        found = _strange_ids(view, instances) or _unaligned(view, material)
        if found:
            return f"view {number}: {found}"
    return ""


def _unaligned(view: View, material: Material) -> str:
    with torch.no_grad():
        embedding = material.default_encoder(view)
    for level, rows in embedding.levels.items():
        for what, given in (("ids", view.ids), ("mask entries", view.mask)):
            if level in given and len(given[level]) != len(rows):
                return f"{len(given[level])} {what} of level {level!r}; expected one an embedding row, {len(rows)}."
    for target, wanted in view.targets.items():
        count = len(embedding[wanted.level])
        if wanted.rows is None and len(wanted.values) != count:
            return f"target {target!r} has {len(wanted.values)} values; expected {count}, or Target.rows that say whose."
        if wanted.rows is None or not wanted.rows.numel():
            continue
        if not 0 <= int(wanted.rows.min()) <= int(wanted.rows.max()) < count:
            return f"target {target!r} names row {int(wanted.rows.max())}; expected rows 0 to {count - 1}."
    return ""


def _strange_ids(view: View, instances: Mapping[str, Tensor]) -> str:
    for level, rows in view.ids.items():
        if level not in instances or view.role == "negative":
            continue
        strange = rows[~torch.isin(rows, instances[level]) & (rows != -1)]
        if len(strange):
            return (
                f"{len(strange)} ids of level {level!r}, first {int(strange[0])}, are none of rows(); expected ids that are."
            )
    return ""


def tags(material: Material, name: str) -> str:
    """What the views say they provide is there: pairs, masks, negatives, targets and their widths.

    Mend: make provides and outputs of the component say what the views bring.
    """
    picked = material.picked("views", name)
    made = material.views(name)(material.batch(), Rng.root(5))
    alike = sum(view.role != "negative" for view in made)
    there = {
        "pair": alike >= 2,
        "many": alike > 2,
        "uneven": _uneven(made, material.data.level),
        "reordered": len(made) == 2,
        "masks": any(bool(mask.any()) for view in made for mask in view.mask.values()),
        "negatives": any(view.role == "negative" for view in made),
        **{f"target:{target}": True for view in made for target in view.targets},
    }
    for tag in sorted(picked.component.provides(picked.options)):
        if not there.get(tag, False):
            return f"the component provides {tag!r}; expected its {len(made)} views to bring it, and they do not."
    for target, width in picked.component.outputs(picked.options, material.data.spec).items():
        for view in made:
            values = view.targets[target].values if target in view.targets else None
            if values is not None and not values.is_floating_point() and len(values) and int(values.max()) >= width:
                return f"target {target!r} has the value {int(values.max())}; expected less than {width}, as outputs says."
            if values is not None and values.is_floating_point() and values.flatten(1).shape[1] != width:
                return f"target {target!r} is {tuple(values.shape)}; expected width {width}, as outputs says."
    return ""


def _uneven(views: list[View], level: str) -> bool:
    """Whether an instance has another number of rows in one view than in another."""
    counts = [Counter(view.ids[level].tolist()) for view in views if level in view.ids]
    return any(counts[0] != other for other in counts[1:])


def same_number(material: Material, name: str) -> str:
    """The number and the roles of views do not depend on batch or rng.

    Mend: return the same views for every batch; an empty view is a view too.
    """
    views = material.views(name)
    orders = [Order(seed, seed, batch_size=material.few) for seed in range(3)]
    roles = [[view.role for view in views(material.batch(order), Rng.root(order.seed))] for order in orders]
    if len(set(map(tuple, roles))) > 1:
        return f"three batches gave views with the roles {roles}; expected the same number and roles."
    return ""


def labels(material: Material, name: str) -> str:
    """No label enters a view unless the order asked, and then only those of allowed rows.

    Mend: bring the target "label" exactly where the batch carries labels, with Target.rows for those that are known.
    """
    views = material.views(name)
    if any("label" in view.targets for view in material.made(name).lend()):
        return "a view has the target 'label' though Order.labels is None; expected none."
    for task in material.labelled.values():
        if task.kind != "classification" or task.level != material.data.level or "labels" not in material.plugin.traits:
            continue
        allowed = task.splits[0].train
        order = Order(0, 0, labels=LabelledRows(task, allowed))
        for view in views(material.batch(order), Rng.root(6)):
            if view.role == "negative":
                continue
            if "label" not in view.targets:
                return f"a view has no target 'label'; expected it, for Order.labels asked for task {task.name!r}."
            target = view.targets["label"]
            rows = torch.arange(len(target.values)) if target.rows is None else target.rows
            if task.level not in view.ids:
                continue
            instances = view.ids[task.level][rows].numpy()
            outside = instances[~np.isin(instances, allowed)]
            if len(outside):
                return f"target 'label' holds {len(outside)} rows, first instance {outside[0]}; expected allowed rows alone."
            if not np.array_equal(target.values.numpy(), task.labels[instances]):
                return f"target 'label' holds other values; expected the labels of task {task.name!r}."
    return ""


def dtype(material: Material, name: str) -> str:
    """Views keep the dtypes of the batch.

    Mend: cast what comes from numpy (rng.numpy() draws float64): torch.from_numpy(array).float().
    """
    batch = dtypes(material.few_instances())
    for number, view in enumerate(material.made(name).lend()):
        for path, found in dtypes(view.data).items():
            if found != batch.get(path, found):
                return f"view {number} holds {found} at {path}; expected {batch[path]} as in the batch."
    return ""


def device(material: Material, name: str) -> str:
    """Views are made on the batch's device: nothing relies on torch's default device.

    Mend: pass device=... wherever a tensor is made (torch.arange, zeros, tensor, ...), or use new_zeros and *_like.
    """
    material.made(name).lend()
    views, batch = material.views(name), material.few_instances()
    found = beside_another_device(lambda: views(batch, Rng.root(0)))
    if found or not torch.cuda.is_available():
        return found
    moved = views(batch.to("cuda"), Rng.root(0))
    lost = [path for path, leaf in leaves(moved) if isinstance(leaf, Tensor) and leaf.device.type != "cuda"]
    return f"views of a batch on CUDA hold {', '.join(lost[:5])} elsewhere; expected all on the card." if lost else ""


CHECKS: Mapping[str, Callable[[Material, str], str]] = {
    "list": gives_list,
    "input-unchanged": input_unchanged,
    "repeats": repeats,
    "global-randomness": global_randomness,
    "single-row": single_row,
    "ids": ids,
    "tags": tags,
    "same-number": same_number,
    "labels": labels,
    "dtype": dtype,
    "device": device,
}
