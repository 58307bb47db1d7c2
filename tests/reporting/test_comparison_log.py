"""The comparison in TensorBoard, read back with TensorBoard's own readers."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from sslplug.errors import UsageError
from sslplug.reporting.comparison import Comparison
from sslplug.reporting.comparison_log import step_unit, write_tensorboard
from sslplug.reporting.curve import label_curve

Make = Callable[..., Comparison]
FIRST = "graph/default-digits,objective=infonce/digit"


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def hparams(events: EventAccumulator, tag: str) -> HParamsPluginData:
    return HParamsPluginData.FromString(events.PluginTagToContent("hparams")[tag])


@pytest.fixture
def log(make_comparison: Make, tmp_path: Path) -> tuple[Comparison, Path]:
    comparison = make_comparison(projector=True)
    write_tensorboard(tmp_path / "log", comparison)
    return comparison, tmp_path / "log" / "comparison"


def test_a_row_of_the_table_holds_the_parts_and_the_cells_numbers(log: tuple[Comparison, Path]) -> None:
    comparison, folder = log
    events = read(folder / FIRST)
    start = hparams(events, "_hparams_/session_start_info").session_start_info.hparams
    assert start["00 plugin"].string_value == "graph"
    assert start["02 objective"].string_value == "infonce"
    cell = comparison.cells[0]
    for tag, value in (("score", cell.mean), ("gap_closed", cell.share), ("lightgbm_raw", cell.trees)):
        assert [(e.step, e.value) for e in events.Scalars(f"compare/{tag}")] == [(0, pytest.approx(value))]
    experiment = hparams(read(folder / "summary"), "_hparams_/experiment").experiment
    assert [info.display_name for info in experiment.hparam_infos][:4] == ["plugin", "recipe", "objective", "task"]
    assert {info.name for info in experiment.hparam_infos} == set(start)
    assert "compare/score" in {info.name.tag for info in experiment.metric_infos}


def test_a_number_that_is_not_known_has_no_scalar(log: tuple[Comparison, Path]) -> None:
    events = read(log[1] / "wearable/default-har,objective=mse/activity")
    assert "compare/gap_closed" not in events.Tags()["scalars"]


def test_curves_of_entries_and_trees_share_names_and_bring_their_bands(log: tuple[Comparison, Path]) -> None:
    comparison, folder = log
    tag = "graph/digits/digit/accuracy"
    for place, found in ((FIRST, comparison.entries[0].rows[0::2]), ("LightGBM raw", None)):
        events = read(folder / place)
        means = events.Scalars(f"labels/{tag}")
        assert [event.step for event in means] == [1, 10, 100]
        low, high = (events.Scalars(f"interval/{tag}/{end}") for end in ("low", "high"))
        assert all(a.value < b.value < c.value for a, b, c in zip(low, means, high, strict=True))
        if found is not None:
            np.testing.assert_allclose([event.value for event in means], [row.mean for row in found], rtol=1e-6)


def test_the_layout_groups_domains_and_names_tags_that_exist(log: tuple[Comparison, Path]) -> None:
    folder = log[1]
    (event,) = read(folder / "summary").Tensors("custom_scalars__config__")
    layout = Layout.FromString(event.tensor_proto.string_val[0])
    assert [category.title for category in layout.category] == ["graph", "tabular", "wearable"]
    tags = set(read(folder / FIRST).Tags()["scalars"])
    (series,) = layout.category[0].chart[0].margin.series
    assert {series.value, series.lower, series.upper} <= tags


def test_pictures_and_words_are_there(log: tuple[Comparison, Path]) -> None:
    comparison, folder = log
    events = read(folder / "summary")
    assert {"objectives/heat-map", "ranks/critical-difference", "diagnostics/predicts-rankme"} <= set(
        events.Tags()["images"]
    )
    (shown,) = events.Images("objectives/heat-map")
    image = Image.open(io.BytesIO(shown.encoded_image_string))
    assert image.size == (shown.width, shown.height)
    (text,) = events.Tensors("verdicts/text_summary")
    assert comparison.verdicts[0].task in text.tensor_proto.string_val[0].decode()


def test_the_projector_holds_the_best_of_every_domain(log: tuple[Comparison, Path]) -> None:
    comparison, folder = log
    config = text_format.Parse((folder / "summary" / "projector_config.pbtxt").read_text(), ProjectorConfig())
    best = {verdict.task: verdict.entry for verdict in comparison.verdicts}
    named = {entry.name: entry for entry in comparison.entries}
    expected = [named[best[task]] for task in sorted(best)]
    assert [one.tensor_name for one in config.embeddings] == [f"{e.plugin}, {e.data}, {e.objective}" for e in expected]
    for one, entry in zip(config.embeddings, expected, strict=True):
        copy = (folder / "summary" / one.tensor_path).read_text()
        assert copy == (entry.runs[0] / "projector" / "tensors.tsv").read_text()
        assert (folder / "summary" / one.metadata_path).read_text().splitlines()[0].split()[1].isdigit()


def test_writing_again_replaces_and_leaves_others_alone(
    log: tuple[Comparison, Path], make_comparison: Make, tmp_path: Path
) -> None:
    other = tmp_path / "log" / "graph" / "run"
    other.mkdir(parents=True)
    (other / "events.out.tfevents.1").write_text("somebody's")
    write_tensorboard(tmp_path / "log", make_comparison(objectives=("infonce",), projector=True))
    files = [str(file.relative_to(log[1])) for file in log[1].rglob("events.out.tfevents.*")]
    assert len(files) == 3 + 2  # an entry a domain, the trees, the summary
    assert not [file for file in files if "vicreg" in file]
    assert (other / "events.out.tfevents.1").read_text() == "somebody's"
    (tmp_path / "mine" / "comparison").mkdir(parents=True)
    (tmp_path / "mine" / "comparison" / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match="comparison: is there already and sslplug did not write it"):
        write_tensorboard(tmp_path / "mine", log[0])


def test_an_entrys_label_curves_lie_beside_its_events(log: tuple[Comparison, Path]) -> None:
    folder = log[1] / Path(FIRST).parent
    assert json.loads((folder / "labels.json").read_text())["points"] == label_curve(log[0].entries[0].rows)
    assert "| logistic on pretrained |" in (folder / "labels.md").read_text()
    assert list(folder.glob("labels-*.svg"))


def test_steps_are_fine_enough_for_every_share(make_comparison: Make) -> None:
    comparison = make_comparison(objectives=("infonce",))
    assert step_unit(comparison) == 100
    first = comparison.entries[0]
    rows = (replace(first.rows[0], fraction=0.002), replace(first.rows[0], fraction=0.0025), *first.rows)
    assert step_unit(replace(comparison, entries=(replace(first, rows=rows),))) == 10_000


def test_two_entries_of_one_slug_have_runs_of_their_own(make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison(objectives=("a*", "a+", "a?"), domains=(("graph", "digits", "digit"),))
    write_tensorboard(tmp_path / "log", comparison)
    assert len(list((tmp_path / "log" / "comparison" / "graph").iterdir())) == 3


def test_runs_are_counted_as_tensorboard_will(make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison(objectives=("infonce",))
    assert write_tensorboard(tmp_path / "log", comparison) == len(comparison.cells) + 2


def test_an_empty_comparison_leaves_an_empty_log(tmp_path: Path) -> None:
    assert write_tensorboard(tmp_path, Comparison((), (), None, (), (), {})) == 0
    assert not list((tmp_path / "comparison").rglob("events*"))
