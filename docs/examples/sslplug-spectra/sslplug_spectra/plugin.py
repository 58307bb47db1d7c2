"""The table of contents: what the entry point names."""

from __future__ import annotations

from sslplug.contracts import API, Component, Plugin, tags
from sslplug_spectra import data, encoder, views

PLUGIN = Plugin(
    name="spectra",
    api=API,
    summary="one-dimensional spectra: Raman, infrared, channel estimates, and your own",
    data={
        "minerals": Component(data.MineralsOptions, data.minerals, "generated: peaks of some minerals, distorted and noisy"),
        "files": Component(data.FilesOptions, data.files, "your own spectra: a CSV file, a row a spectrum"),
    },
    views={
        "distorted": Component(
            views.DistortedOptions, views.build, "two views: shift, gain, background, noise, a missing band", tags("pair")
        )
    },
    encoders={
        "convolution": Component(
            encoder.ConvolutionOptions, encoder.build, "three convolutions, pooled in parts", tags("level:spectrum")
        )
    },
    default_recipe="simclr-minerals",
    recipes="sslplug_spectra.recipes",
    traits=frozenset({"beats-untrained"}),
)
