"""View sets of the events plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_sequence.events.views import masked_events, next_event, order, replaced_events, slices

VIEWS: Mapping[str, Component] = MappingProxyType(
    {
        "slices": Component(
            slices.SliceOptions, slices.build, "Random slices of each entity's events (CoLES)", slices.provides
        ),
        "next": Component(
            next_event.FieldOptions,
            next_event.build,
            "Clean events, each asked for the fields of the next one",
            next_event.provides,
            needs=tags("causal"),
            outputs=next_event.outputs,
        ),
        "mask": Component(
            masked_events.MaskOptions,
            masked_events.build,
            "Some events hidden and asked for",
            masked_events.brings,
            outputs=next_event.outputs,
        ),
        "replace": Component(
            replaced_events.ReplaceOptions,
            replaced_events.build,
            "Some events replaced by others; which? (RTD)",
            tags("target:replaced"),
            outputs=lambda options, spec: {"replaced": 2},
        ),
        "order": Component(
            order.OrderOptions,
            order.build,
            "Two parts of a sequence: in order (SOP), or of one entity (NSP)?",
            tags("target:order"),
            outputs=lambda options, spec: {"order": 2},
        ),
        "clean": Component(next_event.WindowOptions, next_event.build_clean, "The events as they are, one view"),
    }
)
