"""Stages: train, evaluate, embed, recommend, export, compare. The run folder is between them; tables in memory do without."""

from sslplug.stages.check_data import check_data
from sslplug.stages.embeddings import embed, export
from sslplug.stages.evaluate import evaluate
from sslplug.stages.memory import Trained, embed_memory, fit_memory
from sslplug.stages.recipes import schema
from sslplug.stages.recommend import recommend
from sslplug.stages.report import compare, doctor
from sslplug.stages.train import resume, train

__all__ = [
    "Trained",
    "check_data",
    "compare",
    "doctor",
    "embed",
    "embed_memory",
    "evaluate",
    "export",
    "fit_memory",
    "recommend",
    "resume",
    "schema",
    "train",
]
