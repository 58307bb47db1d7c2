"""Views of the tabular plugin: name -> component."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_tabular.views import identity, masked, noise, quantize, saint, scarf, subsets, targets, tjepa_masks, vime

_CELLS = ("target:numeric", "target:categories")

VIEWS: Mapping[str, Component] = MappingProxyType(
    {
        "scarf": Component(
            scarf.ScarfOptions, scarf.build, "The row and its marginal-swap corruption (SCARF)", tags("pair")
        ),
        "vime": Component(
            vime.VimeOptions,
            vime.build,
            "Corrupted cells to find and to put right (VIME)",
            tags("target:mask", *_CELLS),
            outputs=targets.outputs_with_mask,
        ),
        "subsets": Component(
            subsets.SubsetsOptions,
            subsets.build,
            "Overlapping column subsets with swap noise, each asked for the whole row (SubTab)",
            lambda options: frozenset({"pair", "masks", *_CELLS} | ({"many"} if options.count > 2 else set())),
            outputs=targets.outputs,
        ),
        "saint": Component(
            saint.SaintOptions,
            saint.build,
            "CutMix on cells and mixup on embeddings, beside the clean row (SAINT)",
            tags("pair", *_CELLS),
            outputs=targets.outputs,
        ),
        "quantize": Component(
            quantize.QuantizeOptions, quantize.build, "Two randomly quantized views of the numbers", tags("pair")
        ),
        "noise": Component(noise.NoiseOptions, noise.build, "Two views with Gaussian and swap noise", tags("pair")),
        "masked": Component(
            masked.MaskedOptions,
            masked.build,
            "One view with hidden cells to predict (MAE)",
            tags("masks", *_CELLS),
            outputs=targets.outputs,
        ),
        "tjepa_masks": Component(
            tjepa_masks.TJepaMasksOptions,
            tjepa_masks.build,
            "Context and target columns, row by row (T-JEPA)",
            tjepa_masks.provides,
        ),
        "identity": Component(identity.IdentityOptions, identity.build, "The row as it is, one view"),
    }
)
