"""Encoders of signals, by the name a recipe uses."""

from __future__ import annotations

from collections.abc import Mapping

from sslplug.contracts import Component, tags
from sslplug_sequence.signals.encoders import gru, resnet1d, tpn, transformer, ts2vec, tstcc

ENCODERS: Mapping[str, Component] = {
    "tpn": Component(
        tpn.TpnOptions,
        tpn.build,
        "three convolutions without padding, maximum over time (SimCLR-HAR, ColloSSL)",
        provides=tags("level:window", "level:step", "two-levels"),
    ),
    "resnet1d": Component(
        resnet1d.ResNet1dOptions,
        resnet1d.build,
        "pre-activation ResNet with anti-aliased downsampling to one frame (ssl-wearables)",
        provides=tags("level:window"),
    ),
    "tstcc": Component(
        tstcc.TstccOptions,
        tstcc.build,
        "three halving convolution blocks with batch norm (TS-TCC, CL-HAR's FCN)",
        provides=tags("level:window", "level:frame", "two-levels"),
    ),
    "ts2vec": Component(
        ts2vec.Ts2VecOptions,
        ts2vec.build,
        "residual blocks of dilated convolutions, samples hidden behind the first map (TS2Vec)",
        provides=tags("level:window", "level:step", "two-levels", "hides"),
    ),
    "transformer": Component(
        transformer.TransformerOptions,
        transformer.build,
        "transformer over patches of samples, for masked prediction (SPT, E4mer, TERA)",
        provides=tags("level:window", "level:frame", "two-levels", "hides"),
    ),
    "gru": Component(
        gru.GruOptions,
        gru.build,
        "convolutions and a GRU over what they make (CPC)",
        provides=tags("level:window", "level:frame", "level:latent", "two-levels"),
    ),
}
