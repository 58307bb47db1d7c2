"""Methods: how views, encoder, heads and teacher meet an objective."""

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug.methods.bootstrap import BOOTSTRAP
from sslplug.methods.joint import JOINT
from sslplug.methods.latent_prediction import LATENT_PREDICTION
from sslplug.methods.local_global import LOCAL_GLOBAL
from sslplug.methods.momentum_contrast import MOMENTUM_CONTRAST
from sslplug.methods.predict_targets import MASKED, PRETEXT
from sslplug.methods.weighted_sum import WEIGHTED_SUM

METHODS: Mapping[str, Component] = MappingProxyType(
    {
        "joint": JOINT,
        "bootstrap": BOOTSTRAP,
        "momentum_contrast": MOMENTUM_CONTRAST,
        "masked": MASKED,
        "latent_prediction": LATENT_PREDICTION,
        "local_global": LOCAL_GLOBAL,
        "pretext": PRETEXT,
        "weighted_sum": WEIGHTED_SUM,
    }
)
