"""Sequences with item attributes in S3-Rec's format (Zhou et al. 2020): Beauty, Sports, Yelp, LastFM.

The files hold bare attribute numbers, without names or types. So that masking can act on fields, the attributes become
:data:`BANDS` fields by how many items have them: each field holds an equal share of all assignments, the first the broadest
attributes (top categories), the last the rarest (brands, fine categories). This division is this library's own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from sslplug.errors import DataError
from sslplug_recsys.data.corpus import Corpus
from sslplug_recsys.data.features import Words, table_of
from sslplug_recsys.data.lightgcn_text import read_lines

BANDS = 4
TITLES = {"Beauty": "Amazon Beauty", "Sports_and_Outdoors": "Amazon Sports and Outdoors", "Yelp": "Yelp", "LastFM": "LastFM"}


def read_s3rec(folder: Path, name: str) -> Corpus:
    """One of :data:`TITLES`. Users and items are numbered from 0; ``time`` is the place in the user's sequence, from 0.

    ``item_features`` are the attributes in bands; ``relations["item-attribute"]`` are (item, attribute) pairs.
    """
    user, item = read_lines(folder / f"{name}.txt")
    order = np.argsort(user, kind="stable")
    user, item = user[order] - 1, item[order] - 1
    if user.min() < 0 or item.min() < 0:
        raise DataError(f"{folder / name}.txt: number 0; users and items of these sets count from 1.")
    start = np.concatenate([[0], np.cumsum(np.bincount(user))])
    items = int(item.max()) + 1
    file = folder / f"{name}_item2attributes.json"
    try:
        given = {int(key) - 1: values for key, values in json.loads(file.read_text()).items()}
    except (ValueError, AttributeError) as error:
        raise DataError(f"{file}: {error}; expected an object of item number -> list of attribute numbers.") from error
    outside = [number for number in given if not 0 <= number < items]
    if outside:
        raise DataError(f"{file}: item {outside[0] + 1}; expected items from 1 to {items}.")
    pairs = np.unique(np.array([(n, a) for n in sorted(given) for a in given[n]], np.int64).reshape(-1, 2), axis=0)
    # Attributes are numbered anew, the most frequent first.
    found, place, count = np.unique(pairs[:, 1], return_inverse=True, return_counts=True)
    rank = np.empty(len(found), np.int64)
    rank[np.lexsort((found, -count))] = np.arange(len(found))
    attribute = rank[place]
    band = (BANDS * (np.cumsum(np.sort(count)[::-1]) - 1) // len(pairs))[attribute]
    words = attribute.astype(str).astype(object)
    fields = {f"attributes {b + 1}": Words(pairs[band == b, 0], words[band == b]) for b in range(BANDS)}
    return Corpus(
        f"{TITLES[name]} (S3-Rec)",
        int(user.max()) + 1,
        items,
        user,
        item,
        (np.arange(len(user)) - start[user]).astype(np.float64),
        item_features=table_of(fields, items, most=len(found))[0],
        relations={"item-attribute": torch.from_numpy(np.stack([pairs[:, 0], attribute]))},
        unit="places in the sequence",
    )
