"""Runs in every state of disrepair: each is left out with a sentence, none breaks the others; also while 64 processes write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sslplug.errors import RunFolderError
from sslplug.stages.gather import gather
from tests.stages.made_runs import MakeRun, beside, scored

SCORES = beside(0, 0.8, 0.7, 0.75)


def edit(name: str, change: Callable[[str], str]) -> Callable[[Path], object]:
    return lambda run: (run / name).write_text(change((run / name).read_text()))


def set_metrics(**values: object) -> Callable[[Path], object]:
    return edit("metrics.json", lambda text: json.dumps(json.loads(text) | values))


def score_with(**values: object) -> Callable[[Path], object]:
    def change(text: str) -> str:
        found = json.loads(text)
        found["scores"][0] |= values
        return json.dumps(found)

    return edit("metrics.json", change)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "still at work": (lambda run: (run / "metrics.json").unlink(), "Has no metrics.json, the run did not finish"),
    "trained, not judged": (edit("metrics.json", lambda text: json.dumps({**json.loads(text), "scores": 0} | {}).replace('"scores": 0', '"x": 0')), "was not judged; `sslplug resume"),
    "killed": (set_metrics(finished=False), "stopped at step 10; `sslplug resume"),
    "half written": (edit("metrics.json", lambda text: text[: len(text) // 2]), "is damaged"),
    "empty": (edit("metrics.json", lambda text: ""), "is damaged"),
    "no text": (lambda run: (run / "metrics.json").write_bytes(b"\xff\x00\x81"), "is damaged"),
    "nested beyond reason": (edit("metrics.json", lambda text: "[" * 100_000), "is damaged"),
    "a list": (edit("metrics.json", lambda text: "[1]"), "holds a list"),
    "another version": (set_metrics(format=2), "format 2, this version reads 1"),
    "no format": (edit("metrics.json", lambda text: "{}"), "format None"),
    "no scores": (set_metrics(scores=[]), "no task to judge"),
    "scores of another kind": (set_metrics(scores={"a": 1}), "scores cannot be read (expected a list of objects"),
    "a score without its value": (set_metrics(scores=[{"task": "t"}]), "scores cannot be read (0.protocol: Field required"),
    "a value in words": (score_with(value="good"), "scores cannot be read (0.value"),
    "no finite score": (edit("metrics.json", lambda text: json.dumps(json.loads(text) | {"scores": [s | {"value": None} for s in json.loads(text)["scores"]]})), "None of its scores is a finite number"),
    "seconds in words": (set_metrics(training_seconds="long"), "training_seconds is 'long'"),
    "no environment": (lambda run: (run / "environment.json").unlink(), "environment.json: cannot be read"),
    "torn recipe": (edit("recipe.yaml", lambda text: "a: [1"), "Its recipe cannot be read"),
    "recipe without plugin": (edit("recipe.yaml", lambda text: text.replace("plugin:", "plug:")), "Its recipe's plugin is None"),
    "seed in words": (edit("recipe.yaml", lambda text: text.replace("seed: 0", "seed: some")), "Its recipe's seed is 'some'"),
    "no encoder": (edit("recipe.yaml", lambda text: text.replace("encoder:", "decoder:")), "Its recipe's encoder names no component"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_run_leaves_it_out_with_a_sentence(make_run: MakeRun, tmp_path: Path, fault: str) -> None:
    spoil, sentence = FAULTS[fault]
    spoilt, whole = make_run(SCORES), make_run(SCORES, seed=1)
    spoil(spoilt)
    runs, left_out = gather([tmp_path / "runs"])
    assert [run.record.path for run in runs] == [whole]
    (said,) = left_out
    assert said.startswith(f"{spoilt}: left out. ")
    assert sentence in said


def test_scores_that_are_not_finite_are_left_out_alone(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run([*SCORES, replace(scored("logistic on pretrained", 0.5), metric="auroc", value=float("nan"))])
    runs, left_out = gather([folder])
    assert [len(run.scores) for run in runs] == [4]
    assert left_out == [f"{folder}: scores that are no finite number are left out: kind/auroc."]


def test_other_folders_are_no_runs(make_run: MakeRun, tmp_path: Path) -> None:
    whole = make_run(SCORES)
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "notes" / "metrics.json").write_text("not ours")
    exported = tmp_path / "runs" / "exported"
    exported.mkdir()
    shutil.copy(whole / "recipe.yaml", exported)
    runs, left_out = gather([tmp_path / "runs", whole])
    assert ([run.record.path for run in runs], left_out) == ([whole], [])
    with pytest.raises(RunFolderError, match="there is no such folder"):
        gather([tmp_path / "none"])


def test_runs_come_by_their_id(make_run: MakeRun, tmp_path: Path) -> None:
    """The id starts with the time: the newer of two runs counts wherever they lie."""
    old = make_run(SCORES, name="zz")
    new = make_run(SCORES, name="aa")
    old.rename(old.parent / "20200101T000000-aa")
    new.rename(new.parent / "20210101T000000-aa")
    assert [run.record.path.name[:4] for run in gather([tmp_path / "runs"])[0]] == ["2020", "2021"]


WRITERS = 64
WRITE = textwrap.dedent(
    """
    import json, os, sys, time
    from pathlib import Path
    from sslplug.reporting.runfolder import create_run, update_json, write_environment, write_json, write_text

    runs, recipe, metrics = Path(sys.argv[1]), Path(sys.argv[2]).read_text(), json.loads(Path(sys.argv[3]).read_text())
    scores = metrics.pop("scores")
    children = []
    for number in range(int(sys.argv[4])):
        child = os.fork()
        if not child:
            folder = create_run(runs, "none", "first")
            write_text(folder / "recipe.yaml", recipe.replace("seed: 0", f"seed: {number}"))
            write_environment(folder)
            for step in range(5):
                write_json(folder / "metrics.json", metrics | {"finished": False, "steps": step})
                time.sleep(0.02)
            write_json(folder / "metrics.json", metrics)
            update_json(folder / "metrics.json", {"scores": [score | {"seed": number} for score in scores]})
            os._exit(0)
        children.append(child)
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
    """
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the writers are forked")
def test_sixty_four_writers_break_nothing(make_run: MakeRun, tmp_path: Path) -> None:
    first = make_run(SCORES)
    busy = tmp_path / "busy"
    busy.mkdir()
    arguments = [str(busy), str(first / "recipe.yaml"), str(first / "metrics.json"), str(WRITERS)]
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    writers = subprocess.Popen([sys.executable, "-c", WRITE, *arguments], env=dict(os.environ) | {"PYTHONPATH": path})
    looks, unfinished, last = 0, 0, 0
    deadline = time.monotonic() + 60
    while writers.poll() is None and time.monotonic() < deadline:
        runs, left_out = gather([busy])
        looks += 1
        unfinished += len(left_out)
        assert len(runs) >= last, "what is judged stays judged"
        last = len(runs)
        assert all("resume" in sentence or "environment.json: cannot be read" in sentence for sentence in left_out), left_out
    assert writers.wait(60) == 0
    runs, left_out = gather([busy])
    assert sorted(run.seed for run in runs) == list(range(WRITERS))
    assert left_out == []
    assert looks > 1
    assert unfinished > 0, "the writers were seen at work"
