"""The public contracts: everything a plugin needs to import from sslplug."""

from sslplug.contracts.component import Choice, Component, Options, Role, Tags, tags
from sslplug.contracts.data import DataContext, DomainData, LabelledRows, Order, RawFeatures
from sslplug.contracts.model import (
    Assembly,
    Decoder,
    Distribution,
    Embedding,
    Encoder,
    Method,
    Objective,
    Progress,
)
from sslplug.contracts.plugin import API, Plugin
from sslplug.contracts.task import Kind, Split, Task
from sslplug.contracts.view import Target, View, Views

__all__ = [
    "API",
    "Assembly",
    "Choice",
    "Component",
    "DataContext",
    "Decoder",
    "Distribution",
    "DomainData",
    "Embedding",
    "Encoder",
    "Kind",
    "LabelledRows",
    "Method",
    "Objective",
    "Options",
    "Order",
    "Plugin",
    "Progress",
    "RawFeatures",
    "Role",
    "Split",
    "Tags",
    "Target",
    "Task",
    "View",
    "Views",
    "tags",
]
