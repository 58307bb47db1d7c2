"""Random search: the same number of settings from the same space whatever features are judged, chosen on validation rows.

Bergstra and Bengio 2012, "Random search for hyper-parameter optimization". A space is a table of draws, written where the
model is; the settings depend on the space, their number and the seed alone, so two kinds of features get the very same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from sslplug.contracts import Options

Draw = Callable[[np.random.Generator], Any]
Space = Mapping[str, Draw]

Setting = TypeVar("Setting", bound=Options)
Model = TypeVar("Model")


def uniform(low: float, high: float) -> Draw:
    """A number between ``low`` and ``high``."""
    return lambda rng: float(rng.uniform(low, high))


def log_uniform(low: float, high: float) -> Draw:
    """A number whose logarithm is uniform."""
    return lambda rng: float(np.exp(rng.uniform(np.log(low), np.log(high))))


def log_integer(low: int, high: int) -> Draw:
    """A whole number, small ones as likely as large ones on the scale of logarithms."""
    return lambda rng: int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))


def one_of(values: Sequence[Any]) -> Draw:
    """One of some values, each as likely."""
    return lambda rng: values[int(rng.integers(len(values)))]


def zero_or(draw: Draw) -> Draw:
    """Zero in half of the cases."""

    def drawn(rng: np.random.Generator) -> Any:
        value = draw(rng)
        return value if rng.random() < 0.5 else 0.0

    return drawn


def settings(options: Setting, space: Space, count: int, seed: int) -> list[Setting]:
    """``options`` as they are, then ``count`` copies with every option of ``space`` drawn anew. More draws keep the first ones.

    >>> from sslplug.evaluation.ridge import RidgeOptions
    >>> [o.folds for o in settings(RidgeOptions(), {"folds": one_of([7])}, 2, 0)]
    [5, 7, 7]
    """
    rng = np.random.default_rng(seed)
    drawn = [{name: draw(rng) for name, draw in space.items()} for _ in range(count)]
    return [options, *(options.model_copy(update=values) for values in drawn)]


def best_of(candidates: Sequence[Setting], fit: Callable[[Setting], tuple[Model, tuple[float, ...]]]) -> Model:
    """The fitted model of the setting with the largest validation score; the earlier of two equal ones.

    ``fit`` returns the model and its score on validation rows: a tuple, compared from its first number on.
    """
    kept, top = fit(candidates[0])
    for candidate in candidates[1:]:
        fitted, score = fit(candidate)
        if score > top:
            kept, top = fitted, score
    return kept
