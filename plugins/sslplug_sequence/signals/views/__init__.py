"""View sets of the wearable plugin: name -> component. Their transforms are listed in ``step``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_sequence.signals.views import composed, crops, devices, masking, pretext

VIEWS: Mapping[str, Component] = MappingProxyType(
    {
        "pairs": Component(
            composed.PairOptions,
            composed.build_pairs,
            "Two views, a list of transforms each (SimCLR-HAR, TS-TCC)",
            tags("pair"),
        ),
        "compose": Component(
            composed.ComposeOptions, composed.build_compose, "Any transforms in any number of views", composed.compose_tags
        ),
        "negatives": Component(
            composed.NegativeOptions,
            composed.build_negatives,
            "The windows and a corrupted view of them (CLAN)",
            composed.negative_tags,
        ),
        "devices": Component(
            devices.DeviceOptions, devices.build, "Devices at one time, a view each (ColloSSL)", devices.provides
        ),
        "overlap_crops": Component(
            crops.CropOptions, crops.build, "Two overlapping crops, samples matched by ids (TS2Vec)", tags("pair")
        ),
        "masked": Component(
            masking.MaskOptions,
            masking.build_masked,
            "One view with hidden samples to predict (SPT, MAE)",
            tags("masks", "target:signal"),
            outputs=masking.outputs,
        ),
        "altered": Component(
            masking.AlterOptions,
            masking.build_altered,
            "One altered view whose clean signal is to be restored (TERA, denoising)",
            tags("target:signal"),
            outputs=masking.outputs,
        ),
        "multitask": Component(
            pretext.MultiTaskOptions,
            pretext.build_multitask,
            "One view: was it reversed, permuted, warped? (ssl-wearables)",
            pretext.multitask_tags,
            outputs=pretext.multitask_outputs,
        ),
        "which_transform": Component(
            pretext.WhichOptions,
            pretext.build_which,
            "One view: which of several transforms was it? (E4mer)",
            pretext.which_tags,
            outputs=pretext.which_outputs,
        ),
        "identity": Component(composed.NoOptions, composed.build_identity, "The windows as they are, one view"),
    }
)

__all__ = ["VIEWS"]
