"""Encoders of the tabular plugin: name -> component. All read cells through one tokeniser."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sslplug.contracts import Component, tags
from sslplug_tabular.encoders import ft_transformer, mlp, resnet

_ROW = tags("level:row", "hides")

ENCODERS: Mapping[str, Component] = MappingProxyType(
    {
        "mlp": Component(mlp.MlpOptions, mlp.build, "Multilayer perceptron (SCARF, VIME, SubTab)", _ROW),
        "resnet": Component(resnet.ResnetOptions, resnet.build, "Residual network for tables", _ROW),
        "ft_transformer": Component(
            ft_transformer.FtTransformerOptions,
            ft_transformer.build,
            "Transformer over columns with a [REG] token (FT-Transformer, T-JEPA, SAINT)",
            ft_transformer.provides,
        ),
    }
)
