"""Synthetic tastes: seeded interactions with latent tastes, power-law popularity, correlated features, and new items.

No real person's data. Every item stands near one of :data:`TASTES` latent tastes, its brand shifts it further, and a part of it is
its own. Its features tell the taste and the brand through several correlated fields (a brand implies the maker's country and mostly
the style), others are noise. A user is a mixture of tastes. The probability that a user takes an item next is

    p(i | u, last) ~ popularity_i exp(pull <u, v_i> + stay <v_last, v_i>),   popularity ~ rank^-decay

among items that are out already and that the user does not have. A share of the items comes out later, so that a split by time has
items that training has never seen.
"""

from __future__ import annotations

import numpy as np

from sslplug.randomness import Rng
from sslplug_recsys.data.corpus import Corpus
from sslplug_recsys.data.features import Words, single, table_of

DAYS = 365.0
TASTES, WIDTH, BRANDS, COUNTRIES, STYLES, TAGS = 8, 8, 60, 12, 16, 48
PULL, STAY, DECAY = 5.0, 1.5, 0.8
LATE = 0.15
"""Share of the items that come out after the first day."""
FEWEST = 5
"""Fewest interactions of a user; the others are geometric."""
BLOCK = 1024
"""Users drawn at a time."""


def tastes(users: int, items: int, interactions: float, rng: Rng) -> Corpus:
    """``users`` with ``interactions`` each on average, over ``items``; sorted by time within a user.

    Item fields: brand, country, style, tags (several), season, price. User fields: age, region. Item ``i``'s popularity rank is
    random, so that numbers tell nothing.
    """
    draw = rng.fork("items").numpy()
    centres = _unit(draw.normal(size=(TASTES, WIDTH)))
    brand_taste = draw.integers(TASTES, size=BRANDS)
    brand_shift = 0.5 * _unit(draw.normal(size=(BRANDS, WIDTH)))
    # Brands are of very different size, and most items' brands stand for the item's taste.
    taste = draw.integers(TASTES, size=items)
    brand = _brands(taste, brand_taste, draw)
    place = _unit(centres[taste] + brand_shift[brand] + 0.35 * _unit(draw.normal(size=(items, WIDTH))))
    popularity = (1.0 + draw.permutation(items)) ** -DECAY
    out = np.where(draw.random(items) < LATE, draw.uniform(0.0, DAYS, items), 0.0)
    fields = _item_fields(taste, brand, draw)

    draw = rng.fork("users").numpy()
    mixture = draw.dirichlet(np.full(TASTES, 0.25), users)
    region = draw.integers(6, size=users)
    likes = _unit(mixture @ centres + 0.15 * draw.normal(size=(users, WIDTH)))
    sizes = FEWEST + draw.geometric(1.0 / max(interactions - FEWEST + 1, 1.0), users) - 1
    sizes = np.minimum(sizes, max(int(items * (1 - LATE)) // 4, 1))
    age = np.where(draw.random(users) < 0.6, mixture.argmax(1) % 5, draw.integers(5, size=users))

    parts = []
    for block, first in enumerate(range(0, users, BLOCK)):
        who = np.arange(first, min(first + BLOCK, users))
        parts.append(_walk(who, likes[who], sizes[who], place, popularity, out, rng.fork("walk", block).numpy()))
    user, item, time = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((time, user))
    return Corpus(
        "tastes (synthetic)",
        users,
        items,
        user[order],
        item[order],
        time[order],
        user_features=table_of({"age": single(age.astype(str)), "region": single(region.astype(str))}, users)[0],
        item_features=table_of(fields, items)[0],
        notes=("generated: no real data",),
    )


def _walk(
    who: np.ndarray,
    likes: np.ndarray,
    sizes: np.ndarray,
    place: np.ndarray,
    popularity: np.ndarray,
    out: np.ndarray,
    draw: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, items and times of the block's interactions, drawn step by step for all of its users at once."""
    n, longest = len(who), int(sizes.max())
    times = np.full((n, longest), np.inf)
    filled = np.arange(longest)[None, :] < sizes[:, None]
    times[filled] = draw.uniform(0.0, DAYS, int(sizes.sum()))
    times.sort(1)
    base = (np.log(popularity)[None, :] + PULL * (likes @ place.T)).astype(np.float32)
    last = np.zeros((n, place.shape[1]))
    users, items, when = [], [], []
    for step in range(longest):
        rows = np.flatnonzero(sizes > step)
        gumbel = -np.log(draw.standard_exponential((len(rows), len(place)), np.float32) + np.float32(1e-30))
        score = base[rows] + (STAY * (last[rows] @ place.T)).astype(np.float32) + gumbel
        score[out[None, :] > times[rows, step][:, None]] = -np.inf
        chosen = score.argmax(1)
        base[rows, chosen] = -np.inf
        last[rows] = place[chosen]
        users.append(who[rows])
        items.append(chosen.astype(np.int64))
        when.append(times[rows, step])
    return np.concatenate(users), np.concatenate(items), np.concatenate(when)


def _brands(taste: np.ndarray, brand_taste: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """A brand for each item: 90 % of its own taste, the larger brands more often."""
    size = (1.0 + np.arange(BRANDS)) ** -0.7
    weight = size[None, :] * np.where(brand_taste[None, :] == np.arange(TASTES)[:, None], 1.0, 0.0)
    weight += 0.1 * size[None, :] * (weight.sum(1, keepdims=True) / size.sum())
    weight[weight.sum(1) == 0] = size
    edges = np.cumsum(weight / weight.sum(1, keepdims=True), 1)[taste]
    found: np.ndarray = (draw.random(len(taste))[:, None] > edges[:, :-1]).sum(1)
    return found


def _item_fields(taste: np.ndarray, brand: np.ndarray, draw: np.random.Generator) -> dict[str, Words]:
    n = len(taste)

    def noisy(values: np.ndarray, share: float, kinds: int) -> np.ndarray:
        return np.where(draw.random(n) < share, draw.integers(kinds, size=n), values)

    style = noisy(2 * taste + brand % 2, 0.25, STYLES)
    count = draw.integers(1, 5, size=n)
    owner = np.repeat(np.arange(n), count)
    own = draw.random(len(owner)) < 0.7
    per_taste = TAGS // TASTES
    tag = np.where(
        own, taste[owner] * per_taste + draw.integers(per_taste, size=len(owner)), draw.integers(TAGS, size=len(owner))
    )
    price = noisy((brand * 7) % 5, 0.3, 5).astype(str).astype(object)
    price[draw.random(n) < 0.05] = ""
    return {
        "brand": single(brand.astype(str)),
        "country": single(noisy(brand % COUNTRIES, 0.1, COUNTRIES).astype(str)),
        "style": single(style.astype(str)),
        "tags": Words(owner.astype(np.int64), tag.astype(str).astype(object)),
        "season": single(draw.integers(4, size=n).astype(str)),
        "price": single(price),
    }


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
