"""What a domain's data may ask of embeddings: labelled, ranking and measured tasks, and how to pick one form of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from sslplug.contracts.measured import MeasuredTask
from sslplug.contracts.ranking import RankingTask
from sslplug.contracts.task import Task

AnyTask = Task | RankingTask | MeasuredTask

Form = TypeVar("Form", Task, RankingTask, MeasuredTask)


def tasks_of(form: type[Form], tasks: Mapping[str, AnyTask]) -> dict[str, Form]:
    """The tasks of one form, by name: ``tasks_of(Task, data.tasks)`` for all that needs labels."""
    return {name: task for name, task in tasks.items() if isinstance(task, form)}
