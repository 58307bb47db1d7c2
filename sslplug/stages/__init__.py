"""Stages: train, evaluate, embed, export, compare. They hand over through the run folder alone."""

from sslplug.stages.embeddings import embed, export
from sslplug.stages.evaluate import evaluate
from sslplug.stages.recipes import schema
from sslplug.stages.report import compare, doctor
from sslplug.stages.train import resume, train

__all__ = ["compare", "doctor", "embed", "evaluate", "export", "resume", "schema", "train"]
