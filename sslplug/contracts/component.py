"""A component: a named part that a recipe can choose. Options in, object out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sslplug.contracts.fault import Fault


class Options(BaseModel):
    """Base of every component's options: frozen, typed, no unknown keys. Defaults live here and nowhere else.

    Give each field a ``Field(description=...)`` of one line: ``sslplug info`` and the JSON Schema print it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False, protected_namespaces=())


Positive = Annotated[int, Field(ge=1)]
"""A whole number from 1, for lists of widths: ``widths: tuple[Positive, ...]``."""


class Choice(Options):
    """A component chosen inside another component's options: ``{name: mlp, width: 64}``.

    The name picks the component, the other keys are its options. The composition file checks and builds them; the
    surrounding component receives the finished object through ``Assembly``.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str

    def given(self) -> dict[str, Any]:
        """The options as written, without the name."""
        return dict(self.model_extra or {})


@dataclass(frozen=True)
class Role:
    """Marks a field that holds a :class:`Choice` with the table it chooses from: ``Annotated[Choice, Role("decoder")]``.

    Tables: data, views, encoder, decoder, method, objective, probe. Fields may hold one Choice, an optional one, a list or a
    dict of them, or nested Options with such fields; the recipe checks them all before anything is built.
    """

    table: str


Tags = frozenset[str]


def no_outputs(options: Any, spec: Any) -> Mapping[str, int]:
    """The default of ``outputs``: no pretext target."""
    return {}


def no_tags(options: Any) -> Tags:
    """The default of ``provides``, ``needs`` and ``refuses``: nothing."""
    return frozenset()


@dataclass(frozen=True)
class Component:
    """One choosable part.

    options   the pydantic model of its options; ``options()`` must be valid, or name what is missing
    build     the function that makes the object; its arguments depend on the role, see :class:`sslplug.contracts.Plugin`
    summary   one line of meaning
    provides  options -> tags this part brings;  needs: options -> tags that some other part must bring
    refuses   options -> tags that no other part may bring: what this part cannot work with
    outputs   for views: (options, spec) -> {target name: width}, how many numbers or classes a pretext head must predict
    faults    for data that reads files: (options, context) -> every :class:`Fault` of these files, in their order, without
              training on them; ``sslplug check PLUGIN --data`` prints them. None where the data checks itself (sha256).
              A :data:`sslplug.contracts.Reading` that ``build`` finishes and ``faults`` lists keeps the two of one mind

    Tags, the whole vocabulary of "does this recipe fit together":
      pair                two or more views of the same instances (rows matched by position or ids)
      many                more than two views
      uneven              views hold an instance in different numbers of rows, so that rows match many to many, never one to one
      masks               views hide tokens (``View.mask``); an encoder that needs them says so, one that honours them provides
                          ``hides``
      negatives           views bring a corrupted view with role "negative"
      target:<name>       views bring ``View.targets[name]``
      reordered           two views that hold the same rows in another order, named by ids
      orderless           an encoder whose embeddings follow their rows in any order; the conformance kit holds it to that
      beside              an encoder whose embedding of an instance depends on the instances beside it, by design
      labels              training batches carry the labels of a task's training rows (``train.labels``)
      level:<level>       the encoder brings embeddings of that level
      two-levels          the encoder brings an ``owner`` from a fine to a coarse level
      score:views         an objective that compares any two or more views' embeddings
      score:prediction    an objective that compares a prediction (first) with a target (second)
      score:levels        an objective that compares rows with the summaries that own them
      queue               an objective that accepts further negatives
    """

    options: type[Options]
    build: Callable[..., Any]
    summary: str
    provides: Callable[[Any], Tags] = no_tags
    needs: Callable[[Any], Tags] = no_tags
    outputs: Callable[[Any, Any], Mapping[str, int]] = no_outputs
    faults: Callable[[Any, Any], Iterable[Fault]] | None = None
    refuses: Callable[[Any], Tags] = no_tags


def tags(*names: str) -> Callable[[Any], Tags]:
    """Tags that do not depend on the options.

    >>> sorted(tags("pair", "many")(None))
    ['many', 'pair']
    """
    fixed = frozenset(names)
    return lambda options: fixed
