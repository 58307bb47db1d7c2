"""The public contracts: everything a plugin needs to import from sslplug."""

from sslplug.contracts.archives import plain_arrays, unpacked
from sslplug.contracts.component import Choice, Component, Options, Positive, Role, Tags, tags
from sslplug.contracts.data import DataContext, DomainData, LabelledRows, NamedRows, Order
from sslplug.contracts.fault import Fault
from sslplug.contracts.features import RawFeatures
from sslplug.contracts.measured import Measured, MeasuredTask
from sslplug.contracts.model import (
    Assembly,
    Decoder,
    Distribution,
    Embedding,
    Encoder,
    Method,
    Objective,
    Progress,
    observing,
)
from sslplug.contracts.plugin import API, Plugin
from sslplug.contracts.published import PublishedSet
from sslplug.contracts.ranking import PairFeatures, RankingPart, RankingTask
from sslplug.contracts.reading import Faults, Reading, Refused, attempt, collected, finished, listed
from sslplug.contracts.task import Kind, Split, Task
from sslplug.contracts.tasks import AnyTask, tasks_of
from sslplug.contracts.view import Target, View, Views

__all__ = [
    "API",
    "AnyTask",
    "Assembly",
    "Choice",
    "Component",
    "DataContext",
    "Decoder",
    "Distribution",
    "DomainData",
    "Embedding",
    "Encoder",
    "Fault",
    "Faults",
    "Kind",
    "LabelledRows",
    "Measured",
    "MeasuredTask",
    "Method",
    "NamedRows",
    "Objective",
    "Options",
    "Order",
    "PairFeatures",
    "Plugin",
    "Positive",
    "Progress",
    "PublishedSet",
    "RankingPart",
    "RankingTask",
    "RawFeatures",
    "Reading",
    "Refused",
    "Role",
    "Split",
    "Tags",
    "Target",
    "Task",
    "View",
    "Views",
    "attempt",
    "collected",
    "finished",
    "listed",
    "observing",
    "plain_arrays",
    "tags",
    "tasks_of",
    "unpacked",
]
