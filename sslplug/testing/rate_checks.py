"""Checks of what views declare to change: the measured share, nothing at rate 0, and still views near rate 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sslplug.contracts import View, Views
from sslplug.randomness import Rng
from sslplug.testing.leaves import leaves
from sslplug.testing.material import Material
from sslplug.testing.once import NotApplicable

TOLERANCE = 0.04
DRAWS = 20
NEARLY = 0.01
"""How far below a limit that a rate may not reach the kit stays."""


def rates(material: Material, name: str) -> str:
    """The measured share equals the declared rate, on average over draws.

    Mend: change the share that rates declares, not its complement; declare what is really changed.
    """
    return _compare(material, material.views(name))


def zero_rate(material: Material, name: str) -> str:
    """With every option that ends in "rate" at 0, the declared rates are 0 and nothing is changed.

    Mend: make rate 0 the identity: compare with ``<`` and not ``<=``, and set no least share.
    """
    zeroed = dict.fromkeys(_rate_options(material, name), 0.0)
    views = material.views(name, zeroed)
    declared = {what: share for what, share in views.rates.items() if share != 0}
    if declared:
        return f"with {', '.join(zeroed)} at 0, rates declares {declared}; expected 0 for each."
    return _compare(material, views, tolerance=0.0)


def extreme_rate(material: Material, name: str) -> str:
    """With every rate at the largest value its option allows, views are made and the encoder's embeddings are finite.

    Mend: keep one element where all would go, or bound the option (``Field(lt=1)``).
    """
    material.made(name).lend()
    most = {field: limit for field, limit in _rate_options(material, name).items() if limit is not None}
    if not most:
        raise NotApplicable("its rates have no upper limit.")
    views = material.views(name, most)(material.few_instances(), Rng.root(8))
    said = ", ".join(f"{field} {value:g}" for field, value in most.items())
    with torch.no_grad():
        for number, view in enumerate(views):
            for level, rows in material.default_encoder(view).levels.items():
                if not bool(torch.isfinite(rows).all()):
                    return f"at {said}, level {level!r} of view {number} is not finite; expected finite embeddings."
    return ""


def _rate_options(material: Material, name: str) -> Mapping[str, float | None]:
    """{option that ends in "rate": the largest value it may have, None without a limit}. NotApplicable where there is none."""
    described = type(material.picked("views", name).options).model_json_schema()["properties"]
    found = {field: _limit(said) for field, said in described.items() if field.endswith("rate")}
    if not found:
        raise NotApplicable("these views have no option that ends in 'rate'.")
    return found


def _limit(described: Mapping[str, Any]) -> float | None:
    """A field's largest value by its JSON Schema, a little less where it may not be reached."""
    if "exclusiveMaximum" in described:
        return float(described["exclusiveMaximum"]) - NEARLY
    return float(described["maximum"]) if "maximum" in described else None


def _compare(material: Material, views: Views, tolerance: float = TOLERANCE) -> str:
    batch, clean = material.batch(), material.clean[0]
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
    return "; ".join(
        f"{what}: measured {share:.3f} (mean of {DRAWS} draws), expected the declared {views.rates[what]:.3f}"
        for what, share in wrong.items()
    )


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


CHECKS: Mapping[str, Callable[[Material, str], str]] = {
    "rates": rates,
    "zero-rate": zero_rate,
    "extreme-rate": extreme_rate,
}
