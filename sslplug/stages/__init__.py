"""Stages: train, evaluate, embed, recommend, export, compare, bench. The run folder is between them; tables in memory need none."""

from sslplug.stages.bench import Matrix, bench, listed, matrix
from sslplug.stages.check_data import check_data
from sslplug.stages.compare import compare
from sslplug.stages.embeddings import embed
from sslplug.stages.evaluate import evaluate
from sslplug.stages.export import export
from sslplug.stages.exported import ExportedEncoder, load_encoder
from sslplug.stages.memory import Trained, embed_memory, fit_memory
from sslplug.stages.publish import Outputs
from sslplug.stages.recipes import schema
from sslplug.stages.recommend import recommend
from sslplug.stages.report import doctor
from sslplug.stages.train import resume, train

__all__ = [
    "ExportedEncoder",
    "Matrix",
    "Outputs",
    "Trained",
    "bench",
    "check_data",
    "compare",
    "doctor",
    "embed",
    "embed_memory",
    "evaluate",
    "export",
    "fit_memory",
    "listed",
    "load_encoder",
    "matrix",
    "recommend",
    "resume",
    "schema",
    "train",
]
