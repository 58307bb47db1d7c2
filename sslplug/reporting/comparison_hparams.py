"""TensorBoard's table of hyper-parameters over a comparison: a row an entry and task, what it is made of, its numbers."""

from __future__ import annotations

from typing import Any

from sslplug.reporting.comparison import Cell, Comparison, Entry
from sslplug.reporting.objective_view import model_of
from sslplug.reporting.pictures import OUTCOMES

METRICS = {
    "compare/score": "score",
    "compare/untrained": "untrained encoder",
    "compare/lightgbm_raw": "LightGBM raw",
    "compare/best_known": "best known",
    "compare/gap_closed": "gap closed",
    "compare/rankme": "RankMe",
    "compare/training_seconds": "training, s",
}
"""The columns of numbers: tag, and heading."""

PARTS = (
    "plugin", "recipe", "objective", "task", "against LightGBM", "metric", "method", "views", "encoder", "seeds", "collapsed",
)  # fmt: skip
"""The columns of words, what a reader looks for first before the rest."""


def session(entry: Entry, cell: Cell) -> list[tuple[int, Any]]:
    """One row as (step, summary) for its run's event file; unknown numbers are left out."""
    from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

    start = SessionStartInfo()
    for name, value in zip(PARTS, _parts(entry, cell), strict=True):
        start.hparams[_key(name)].string_value = value
    numbers = {
        "compare/score": cell.mean,
        "compare/untrained": cell.untrained,
        "compare/lightgbm_raw": cell.trees,
        "compare/best_known": cell.best,
        "compare/gap_closed": cell.share,
        "compare/rankme": entry.diagnostics.get("rankme"),
        "compare/training_seconds": entry.training_seconds,
    }
    end = SessionEndInfo(status=STATUS_SUCCESS)
    return [
        (0, _summary("_hparams_/session_start_info", HParamsPluginData(version=0, session_start_info=start))),
        *((0, scalar(tag, value)) for tag, value in numbers.items() if value is not None),
        (0, _summary("_hparams_/session_end_info", HParamsPluginData(version=0, session_end_info=end))),
    ]


def columns(comparison: Comparison) -> list[tuple[int, Any]]:
    """The table's columns, with every value that a part takes, so that TensorBoard offers them for filtering."""
    from tensorboard.plugins.hparams.api_pb2 import DATA_TYPE_STRING, Experiment, HParamInfo, MetricInfo, MetricName
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    named = {entry.name: entry for entry in comparison.entries}
    rows = [_parts(named[cell.entry], cell) for cell in comparison.cells]
    if not rows:
        return []
    experiment = Experiment(
        metric_infos=[MetricInfo(name=MetricName(tag=tag), display_name=heading) for tag, heading in METRICS.items()]
    )
    for part, values in zip(PARTS, zip(*rows, strict=True), strict=True):
        info = HParamInfo(name=_key(part), display_name=part, type=DATA_TYPE_STRING)
        info.domain_discrete.extend(sorted(set(values)))
        experiment.hparam_infos.append(info)
    return [(0, _summary("_hparams_/experiment", HParamsPluginData(version=0, experiment=experiment)))]


def scalar(tag: str, value: float) -> Any:
    """A summary of one number."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=tag, simple_value=value)])


def _key(part: str) -> str:
    """A part's name with its number before it: TensorBoard orders columns by name and shows the first five."""
    return f"{PARTS.index(part):02d} {part}"


def _parts(entry: Entry, cell: Cell) -> tuple[str, ...]:
    return (
        entry.plugin,
        entry.recipe,
        model_of(entry),
        cell.task,
        "not tested" if cell.outcome is None else OUTCOMES[cell.outcome],
        cell.metric if cell.higher_is_better else f"{cell.metric} (smaller is better)",
        entry.method,
        entry.views,
        entry.encoder,
        ", ".join(map(str, entry.seeds)),
        "yes" if entry.collapsed else "no",
    )


def _summary(tag: str, content: Any) -> Any:
    """A summary that holds nothing but data of the hparams plugin (the form of its own summary_v2, which needs TensorFlow)."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

    data = SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
    return Summary(value=[Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=data))])
