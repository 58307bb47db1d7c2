"""hparams and projector, read back with TensorBoard's own readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from sslplug.errors import UsageError
from sslplug.reporting.tensorboard import write_hparams, write_projector


def test_hparams_carry_the_metric_under_its_shared_name(tmp_path: Path) -> None:
    write_hparams(tmp_path, {"plugin": "toy", "lr": 0.01, "seed": 3}, {"eval/class/logistic/accuracy": 0.75})
    accumulator = EventAccumulator(str(tmp_path))
    accumulator.Reload()
    assert accumulator.Scalars("eval/class/logistic/accuracy")[0].value == 0.75
    content = accumulator.PluginTagToContent("hparams")
    start = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/session_start_info"]).session_start_info.hparams
    assert start["plugin"].string_value == "toy"
    assert (start["lr"].number_value, start["seed"].number_value) == (0.01, 3)
    experiment = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/experiment"]).experiment
    assert [info.name.tag for info in experiment.metric_infos] == ["eval/class/logistic/accuracy"]


def test_projector_files_match(tmp_path: Path) -> None:
    rows = np.array([[0.5, -1.25], [3.0, 1e-7]], dtype=np.float32)
    for _ in range(2):  # a second evaluation replaces the first
        write_projector(tmp_path, rows, ["a\tb", "c\nd"], 12)
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (entry,) = config.embeddings
    assert entry.tensor_name == "embeddings at step 12"
    np.testing.assert_allclose(np.loadtxt(tmp_path / entry.tensor_path, delimiter="\t"), rows, rtol=1e-5)
    assert (tmp_path / entry.metadata_path).read_text() == "a b\nc d\n"
    with pytest.raises(UsageError, match="2 embeddings and 1 labels; expected one label a row"):
        write_projector(tmp_path, rows, ["a"], 1)
