"""Encoders and decoders of the events plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, Tags, tags
from sslplug_sequence.events.encoders import field_heads, gru, transformer

_LEVELS = frozenset({"level:entity", "level:event", "level:input", "hides"})


def _of_transformer(options: transformer.TransformerOptions) -> Tags:
    return _LEVELS | ({"causal"} if options.causal else set())


ENCODERS: Mapping[str, Component] = MappingProxyType(
    {
        "gru": Component(gru.GruOptions, gru.build, "Events as vectors, then a GRU (CoLES)", tags(*_LEVELS, "causal")),
        "transformer": Component(
            transformer.TransformerOptions, transformer.build, "Events as vectors, then attention blocks", _of_transformer
        ),
    }
)

DECODERS: Mapping[str, Component] = MappingProxyType(
    {
        "fields": Component(
            field_heads.FieldHeadOptions, field_heads.build, "Predicts an event's categories, numbers and time gap"
        )
    }
)
