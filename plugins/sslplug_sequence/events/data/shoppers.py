"""Synthetic shoppers: a seeded marked self-exciting process with latent customer types. No real person's data.

Each shopper's purchases are a Hawkes process made by its clusters (Hawkes and Oakes 1974): spontaneous visits fall uniformly over a
year at a personal rate, and every purchase triggers Poisson(b) further ones after exponential delays. A latent type (four of
them) says how strongly purchases trigger others (bursty or steady) and what follows what: types of one temper buy alike over
and over, the others move on to the next department. Every shopper has personal tastes, so that counts of departments alone say
little about the type; times, order and amounts do.
"""

from __future__ import annotations

import numpy as np

from sslplug.randomness import Rng
from sslplug_sequence.events.data.table import EventTable, make_table

DAYS = 365.0
DEPARTMENTS = ("food", "drinks", "clothes", "shoes", "books", "toys", "tools", "garden", "pharmacy", "travel")
CHANNELS = ("shop", "web", "phone")
TYPES = ("steady loyal", "steady roaming", "bursty loyal", "bursty roaming")


def shoppers(count: int, events: float, rng: Rng) -> EventTable:
    """``count`` shoppers with ``events`` purchases each on average, labelled with their type.

    Fields: department and channel (categories), amount (a number, lognormal by department and person, 3 % missing).
    """
    draw = rng.fork("shoppers").numpy()
    kinds = draw.integers(len(TYPES), size=count)
    bursty, roaming = kinds >= 2, kinds % 2 == 1
    branching = np.where(bursty, 0.6, 0.25)
    tastes = draw.dirichlet(np.full(len(DEPARTMENTS), 0.8), count)
    thrift = draw.normal(0.0, 0.4, count)
    rate = events * (1 - branching) * draw.gamma(4.0, 0.25, count)
    visits = draw.poisson(rate)
    owner = np.repeat(np.arange(count), visits)
    time = draw.uniform(0.0, DAYS, len(owner))
    department = _by_taste(tastes, owner, draw)
    parts = [(owner, time, department)]
    while len(owner):
        children = draw.poisson(branching[owner])
        # A follower of a roaming shopper moves to the next department, one of a loyal shopper mostly stays.
        moves = draw.random(children.sum()) < np.where(np.repeat(roaming[owner], children), 0.8, 0.15)
        department = (np.repeat(department, children) + moves) % len(DEPARTMENTS)
        delay = draw.exponential(np.where(np.repeat(bursty[owner], children), 0.5, 3.0))
        time = np.repeat(time, children) + delay
        owner = np.repeat(owner, children)
        inside = time < DAYS
        owner, time, department = owner[inside], time[inside], department[inside]
        parts.append((owner, time, department))
    owner, time, department = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(time, kind="stable")
    owner, time, department = owner[order], time[order], department[order]
    prices = np.linspace(1.5, 4.5, len(DEPARTMENTS))[department]
    amount = np.exp(prices + thrift[owner] + draw.normal(0.0, 0.5, len(owner)))
    amount[draw.random(len(amount)) < 0.03] = np.nan
    online = draw.random(len(owner)) < 0.2 + 0.5 * draw.beta(2, 2, count)[owner]
    channel = np.where(online, 1, 2 * (draw.random(len(owner)) < 0.1))
    return make_table(
        "shoppers (synthetic)",
        np.arange(count),
        owner,
        time,
        {"department": np.asarray(DEPARTMENTS)[department], "channel": np.asarray(CHANNELS)[channel]},
        {"amount": amount},
        "days",
        kinds.astype(np.int64),
        TYPES,
        ("generated: no real data",),
    )


def _by_taste(tastes: np.ndarray, owner: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A department for each visit, drawn from its shopper's tastes."""
    edges = np.cumsum(tastes, 1)[owner]
    found: np.ndarray = (draw.random(len(owner))[:, None] > edges[:, :-1]).sum(1)
    return found
