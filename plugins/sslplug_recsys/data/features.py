"""Feature tables from words: multi-valued categorical fields, coded by frequency over the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sslplug_recsys.feature_table import MISSING, FeatureTable

BINS = 10
"""A numeric feature becomes so many bins of equal frequency."""


@dataclass(frozen=True)
class Words:
    """One field of n entities: the (v,) ``values`` (words; "" is missing) and the (v,) int64 entities they belong to."""

    owner: np.ndarray
    values: np.ndarray


def table_of(
    fields: Mapping[str, Words], n: int, most: int = 1000, least: int = 1, known: Mapping[str, Sequence[str]] | None = None
) -> tuple[FeatureTable, dict[str, list[str]]]:
    """The coded table of ``n`` entities and {field: its vocabulary in order of code, from 1 on}.

    most   at most so many values of a field get a code; ties in frequency are broken by the word
    least  values of fewer entities get none
    known  vocabularies of an earlier table: nothing is counted, other words are unseen

    An entity's value counts once; unseen values vanish where the entity has others, else they leave :data:`MISSING`.
    """
    offsets, codes, vocabularies = [], [], {}
    for name, field in fields.items():
        words, place = np.unique(field.values.astype(str), return_inverse=True)
        single = np.unique(field.owner * max(len(words), 1) + place)
        owner, place = np.divmod(single, max(len(words), 1))
        if known is None:
            count = np.bincount(place, minlength=len(words))
            order = np.lexsort((words, -count))
            chosen = [int(w) for w in order if words[w] != "" and count[w] >= least][:most]
            vocabularies[name] = [str(words[w]) for w in chosen]
        else:
            vocabularies[name] = list(known[name])
        code_of = {word: code for code, word in enumerate(vocabularies[name], start=1)}
        lookup = np.array([code_of.get(str(word), MISSING) for word in words], np.int64)
        code = lookup[place] if len(words) else place
        owner, code = owner[code != MISSING], code[code != MISSING]
        bare = np.setdiff1d(np.arange(n), owner)
        owner, code = np.concatenate([owner, bare]), np.concatenate([code, np.full(len(bare), MISSING)])
        order = np.lexsort((code, owner))
        offsets.append(torch.from_numpy(np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=n))]).astype(np.int64)))
        codes.append(torch.from_numpy(code[order].astype(np.int64)))
    sizes = tuple(len(words) + 1 for words in vocabularies.values())
    return FeatureTable(tuple(fields), sizes, tuple(offsets), tuple(codes)), vocabularies


def single(values: Sequence[str] | np.ndarray) -> Words:
    """A field with one value an entity."""
    return Words(np.arange(len(values), dtype=np.int64), np.asarray(values, dtype=object))


def several(values: Sequence[Sequence[str]]) -> Words:
    """A field with a list of values an entity."""
    owner = np.repeat(np.arange(len(values), dtype=np.int64), [len(one) for one in values])
    return Words(owner, np.array([word for one in values for word in one], dtype=object))


def edges_of(values: np.ndarray) -> np.ndarray:
    """Inner edges of :data:`BINS` bins of equal frequency of the finite ``values``."""
    finite = values[np.isfinite(values)]
    return np.unique(np.quantile(finite, np.linspace(0, 1, BINS + 1)[1:-1])) if len(finite) else np.empty(0)


def binned(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(n,) words: the bin of each number, "" where it is missing. Bins are closed on the left."""
    words = np.array([f"bin {int(b)}" for b in np.searchsorted(edges, values, side="right")], dtype=object)
    words[~np.isfinite(values)] = ""
    return words
