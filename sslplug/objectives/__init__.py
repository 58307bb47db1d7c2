"""Objectives: what makes embeddings of the same instance agree, and of different ones differ. Name -> component."""

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component
from sslplug.objectives.barlow import BARLOW
from sslplug.objectives.cca_ssg import CCA_SSG
from sslplug.objectives.cosine import COSINE
from sslplug.objectives.cross_entropy import CROSS_ENTROPY
from sslplug.objectives.infonce import INFONCE
from sslplug.objectives.jsd_local_global import JSD_LOCAL_GLOBAL
from sslplug.objectives.metric_learning import METRIC_LEARNING
from sslplug.objectives.mse import MSE
from sslplug.objectives.sce import SCE
from sslplug.objectives.swav import SWAV
from sslplug.objectives.vicreg import VICREG

OBJECTIVES: Mapping[str, Component] = MappingProxyType(
    {
        "barlow": BARLOW,
        "cca_ssg": CCA_SSG,
        "cosine": COSINE,
        "cross_entropy": CROSS_ENTROPY,
        "infonce": INFONCE,
        "jsd_local_global": JSD_LOCAL_GLOBAL,
        "metric_learning": METRIC_LEARNING,
        "mse": MSE,
        "sce": SCE,
        "swav": SWAV,
        "vicreg": VICREG,
    }
)
"""Every objective a recipe can name, beside those a plugin brings."""

__all__ = ["OBJECTIVES"]
