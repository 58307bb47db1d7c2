"""Judging frozen embeddings: probes, metrics, controls, label fractions, statistics."""

from sslplug.contracts import Component
from sslplug.evaluation.clusters import KMeans, KMeansOptions
from sslplug.evaluation.embedding import embed
from sslplug.evaluation.finetune import FinetuneOptions, finetune
from sslplug.evaluation.judge import judge
from sslplug.evaluation.judging import EvaluateOptions
from sslplug.evaluation.labelled import default_probe
from sslplug.evaluation.linear_adam import LinearAdam, LinearAdamOptions
from sslplug.evaluation.logistic import Logistic, LogisticOptions, OneVsRest, OneVsRestOptions
from sslplug.evaluation.neighbours import Knn, KnnOptions
from sslplug.evaluation.network import MlpOptions, ResNetOptions, make_mlp, make_resnet
from sslplug.evaluation.one_class import OneClass, OneClassOptions
from sslplug.evaluation.probe import Prediction, Probe
from sslplug.evaluation.ridge import Ridge, RidgeOptions
from sslplug.evaluation.score import Score
from sslplug.evaluation.statistics import Comparison, Interval, Summary, compare_to_controls, summarise
from sslplug.evaluation.svm import Svm, SvmOptions
from sslplug.evaluation.trees import LightGbm, LightGbmOptions

PROBES: dict[str, Component] = {
    "logistic": Component(
        LogisticOptions, Logistic, "multinomial logistic regression, C chosen on validation (the default)"
    ),
    "logistic_ovr": Component(OneVsRestOptions, OneVsRest, "one-vs-rest logistic regression on unit rows (GRACE, BGRL)"),
    "linear_adam": Component(LinearAdamOptions, LinearAdam, "linear softmax layer trained by Adam (DGI, GraphMAE, GCA)"),
    "svm": Component(SvmOptions, Svm, "support vector classifier, C by inner cross-validation (graph-level papers)"),
    "ridge": Component(RidgeOptions, Ridge, "ridge regression, penalty chosen on validation"),
    "knn": Component(KnnOptions, Knn, "weighted nearest neighbours in cosine similarity"),
    "mlp": Component(MlpOptions, make_mlp, "multilayer perceptron, stopped early on validation, can be tuned there"),
    "resnet": Component(ResNetOptions, make_resnet, "residual network, stopped early on validation, can be tuned there"),
    "kmeans": Component(KMeansOptions, KMeans, "k-means clusters against classes: NMI, ARI, AMI"),
    "one_class": Component(
        OneClassOptions, OneClass, "distance from the normal training rows, for anomalies; learns from no anomaly"
    ),
    "lightgbm": Component(LightGbmOptions, LightGbm, "gradient-boosted trees with early stopping"),
}
"""The probes a recipe can name; build(options) -> Probe (or KMeans, which reads no label)."""

__all__ = [
    "PROBES",
    "Comparison",
    "EvaluateOptions",
    "FinetuneOptions",
    "Interval",
    "KMeans",
    "Prediction",
    "Probe",
    "Score",
    "Summary",
    "compare_to_controls",
    "default_probe",
    "embed",
    "finetune",
    "judge",
    "summarise",
]
