"""The comparison of runs that were never trained: what joins, what is kept apart, and that no NaN reaches the reader."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sslplug.errors import RunFolderError
from sslplug.evaluation import Score
from sslplug.evaluation.statistics import interval
from sslplug.reporting.comparison import Comparison
from sslplug.reporting.comparison_json import comparison_text, parsed
from sslplug.stages.compare import compare, compared
from sslplug.stages.entries import differences, group_runs
from sslplug.stages.gather import gather
from sslplug.stages.publish import Outputs
from tests.stages.made_runs import MakeRun, beside, scored


def comparison(root: Path) -> Comparison:
    """Of the runs below a folder. Whatever it is, it goes through JSON, which refuses a number that is not finite."""
    groups, _ = group_runs(gather([root])[0])
    found = compared(groups)
    assert parsed(comparison_text(found)) == found
    assert "NaN" not in str(found)
    assert all(math.isfinite(x) for x in _numbers(dataclasses.asdict(found)))
    return found


def _numbers(value: Any) -> list[float]:
    if isinstance(value, float):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [number for item in items for number in _numbers(item)]


def objectives(make_run: MakeRun, tasks: int, means: dict[str, float], seeds: int = 3) -> None:
    """Runs of several objectives on several data sets; each data set is a little harder than the last."""
    for number in range(tasks):
        for objective, mean in means.items():
            for seed in range(seeds):
                scores = beside(seed, mean - 0.01 * number, 0.5 - 0.01 * number, 0.7 - 0.01 * number)
                make_run(
                    scores, seed, name=f"on-{number}", data={"name": f"data{number}"}, objective={"name": objective},
                    metrics={"data": {"sha256": f"{number}"}},
                )  # fmt: skip


def test_objectives_over_tasks(make_run: MakeRun, tmp_path: Path) -> None:
    objectives(make_run, 7, {"infonce": 0.8, "vicreg": 0.75, "barlow": 0.65})
    found = comparison(tmp_path)
    assert len(found.entries) == 21
    assert {entry.seeds for entry in found.entries} == {(0, 1, 2)}
    assert "none/on-0 (objective=vicreg)" in {entry.name for entry in found.entries}
    ranking = found.ranking
    assert ranking is not None
    assert ranking.models == ("infonce", "vicreg", "LightGBM raw", "barlow")
    assert ranking.mean_ranks == (1.0, 2.0, 3.0, 4.0)
    assert len(ranking.tasks) == 7
    assert ranking.p == pytest.approx(math.factorial(4) ** -6)
    assert ranking.groups == (("infonce", "vicreg"), ("vicreg", "LightGBM raw"), ("LightGBM raw", "barlow"))
    pairs = {(pair.first, pair.second): pair for pair in ranking.pairs}
    best = pairs["infonce", "LightGBM raw"]
    assert (best.wins, best.ties, best.losses, best.effect, best.p) == (7, 0, 0, 1.0, pytest.approx(2**-6))
    (cell,) = [c for c in found.cells if (c.task, c.entry) == ("none/data0/kind", "none/on-0 (objective=vicreg)")]
    assert (cell.mean, cell.untrained, cell.trees, cell.best) == pytest.approx((0.751, 0.5, 0.7, 0.801))
    assert cell.share == pytest.approx(0.251 / 0.301)
    assert cell.outcome == 1
    assert cell.effect is not None
    d = np.array([0.05, 0.051, 0.052])
    assert cell.effect == pytest.approx(d.mean() / d.std(ddof=1))
    want = interval([0.75, 0.751, 0.752])
    assert (cell.low, cell.high, cell.n) == (pytest.approx(want.low), pytest.approx(want.high), 3)
    assert "Student's t" in cell.note
    assert found.against_trees["none/on-3 (objective=barlow)"] == (0, 0, 1)
    assert {verdict.word for verdict in found.verdicts} == {"helps"}
    assert all("objective=infonce" in verdict.entry for verdict in found.verdicts)


def test_rankme_is_held_against_the_share(make_run: MakeRun, tmp_path: Path) -> None:
    for number, mean in enumerate((0.6, 0.7, 0.65, 0.8)):
        for seed in range(2):
            make_run(
                beside(seed, mean, 0.5, 0.7), seed, objective={"name": f"o{number}"},
                metrics={"diagnostics": {"diag/rankme": 10.0 * number + seed, "diag/std": None}},
            )  # fmt: skip
    (found,) = comparison(tmp_path).predictions
    assert (found.diagnostic, found.task, found.note) == ("rankme", "none/rows/kind", "")
    assert [point[1] for point in sorted(found.points)] == [0.5, 10.5, 20.5, 30.5]
    want = stats.kendalltau([0, 1, 2, 3], [0.6, 0.7, 0.65, 0.8])
    assert (found.tau, found.p) == (pytest.approx(float(want.statistic)), pytest.approx(float(want.pvalue)))


def test_ten_seeds_have_a_bootstrap_interval(make_run: MakeRun, tmp_path: Path) -> None:
    for seed in range(10):
        make_run(beside(seed, 0.8, 0.5, 0.7), seed)
    (cell,) = comparison(tmp_path).cells
    assert (cell.n, cell.note) == (10, "")
    t = interval([0.8 + 0.001 * seed for seed in range(10)])
    assert cell.low is not None
    assert t.low is not None
    assert cell.low != t.low
    assert cell.low == pytest.approx(t.low, abs=5e-4)


ALONE = {
    "one seed": [beside(0, 0.8, 0.7, 0.75)],
    "one seed, ten splits": [[score for split in range(10) for score in beside(0, 0.8, 0.7, 0.75, split=split)]],
    "no control": [[scored("logistic on pretrained", 0.8, seed)] for seed in range(3)],
    "everything alike": [[scored(model, 0.8, seed) for model in ("logistic on pretrained", "logistic on untrained", "lightgbm on raw")] for seed in range(3)],
    "no trees": [[scored("logistic on pretrained", 0.8 + seed / 99, seed), scored("logistic on untrained", 0.7, seed)] for seed in range(3)],
    "untrained is the best": [beside(seed, 0.7, 0.8, 0.75) for seed in range(3)],
    "few labels alone": [beside(seed, 0.8, 0.7, 0.75, share=0.1) for seed in range(3)],
    "old scores without rows": [[dataclasses.replace(s, without=()) for s in beside(seed, 0.8, 0.7, 0.75)] for seed in range(3)],
    "a ranking": [[scored("ranking on pretrained", 0.3 + seed / 99, seed, metric="ndcg@20"), scored("popularity on raw", 0.2, seed, metric="ndcg@20")] for seed in range(3)],
}  # fmt: skip
SAID = {
    "one seed": ("one seed; one observation: no interval", "cannot be told", "train more seeds (--seeds 5)"),
    "one seed, ten splits": ("one seed: the interval is over its 10 splits", "cannot be told", "one seed of pretraining says nothing"),
    "no control": ("no untrained encoder was judged", "cannot be told", "evaluate.controls=true"),
    "everything alike": ("there is no gap to close", "does not help", "equal to"),
    "no trees": ("too few for a bootstrap", "helps", "better than logistic on untrained"),
    "untrained is the best": ("there is no gap to close", "does not help", "the encoder is as good untrained"),
    "few labels alone": ("judged with 10 % of the labels at most", "helps", "up to 10 % of the labels (10 rows)"),
    "old scores without rows": ("too few", "cannot be told", "`sslplug evaluate`"),
    "a ranking": ("no untrained encoder", "helps", "Pretraining helps: "),
}  # fmt: skip


@pytest.mark.parametrize("case", ALONE)
def test_what_is_missing_becomes_a_sentence(make_run: MakeRun, tmp_path: Path, case: str) -> None:
    for seed, scores in enumerate(ALONE[case]):
        make_run(scores, seed)
    found = comparison(tmp_path)
    (cell,), (verdict,), (prediction,) = found.cells, found.verdicts, found.predictions
    note, word, words = SAID[case]
    assert note in cell.note
    assert verdict.word == word
    assert words in verdict.sentence
    assert (prediction.tau, prediction.note) == (None, "3 entries are needed")
    if found.ranking is not None:
        assert found.ranking.p is None
        assert found.ranking.difference is None
        assert len(found.ranking.groups) == 1
        assert "One task allows no test over tasks" in found.ranking.note


def test_tasks_that_are_judged_otherwise_share_no_row(make_run: MakeRun, tmp_path: Path) -> None:
    for seed in range(2):
        make_run(beside(seed, 0.8, 0.5, 0.7), seed, name="a", data={"name": "rows", "split": "given"})
        make_run(beside(seed, 0.7, 0.5, 0.6), seed, name="b", data={"name": "rows", "split": "given"})
        make_run(beside(seed, 0.9, 0.5, 0.7, protocol="random"), seed, name="c", data={"name": "rows", "split": "random"})
        make_run(beside(seed, 0.9, 0.5, 0.7), seed, name="d", metrics={"data": {"sha256": "other"}})
    found = comparison(tmp_path)
    where = {cell.entry: cell.task for cell in found.cells}
    assert where["none/a"] == where["none/b"]
    assert len(set(where.values())) == 3
    assert "split=random" in where["none/c"]
    assert all("are other tasks" in cell.note for cell in found.cells)
    assert [len([v for v in found.verdicts if v.task == task]) for task in set(where.values())] == [1, 1, 1]


@pytest.mark.parametrize("words", ["", "from day"])
def test_data_and_words_that_a_seed_draws_keep_its_runs_together(make_run: MakeRun, tmp_path: Path, words: str) -> None:
    for name, seeds in (("a", (0, 1)), ("b", (2, 3)), ("c", (1, 2))):
        for seed in seeds:
            make_run(
                beside(seed, 0.8, 0.5, 0.7, protocol=words and f"{words} {seed}"), seed, name=name,
                metrics={"data": {"sha256": f"drawn {seed}"}},
            )  # fmt: skip
    found = comparison(tmp_path)
    assert [cell.n for cell in found.cells] == [2, 2, 2]
    assert words or len({cell.task for cell in found.cells}) == 1
    assert [len([row for row in entry.rows if row.primary]) for entry in found.entries] == [1, 1, 1]


def test_a_model_that_lacks_tasks_is_not_ranked_and_named(make_run: MakeRun, tmp_path: Path) -> None:
    objectives(make_run, 4, {"infonce": 0.8, "vicreg": 0.75})
    make_run(
        beside(0, 0.9, 0.5, 0.7),
        name="on-0",
        data={"name": "data0"},
        objective=None,
        method={"name": "masked"},
        metrics={"data": {"sha256": "0"}},
    )
    ranking = comparison(tmp_path).ranking
    assert ranking is not None
    assert set(ranking.models) == {"infonce", "vicreg", "LightGBM raw"}
    assert "lack too many of these tasks: masked" in ranking.note


def test_one_recipe_in_three_variants_keeps_all_of_them(make_run: MakeRun, tmp_path: Path) -> None:
    for objective in ({"name": "infonce", "t": 1}, {"name": "infonce", "t": 2}, {"name": "vicreg"}):
        make_run(beside(0, 0.8, 0.5, 0.7), objective=objective)
    names = [entry.name for entry in comparison(tmp_path).entries]
    assert sorted(names) == [
        "none/first (objective=infonce, objective.t=1)", "none/first (objective=infonce, objective.t=2)",
        "none/first (objective=vicreg)",
    ]  # fmt: skip
    assert differences([{"a": 1}, {"a": "1"}]) == ["a=1, no 1", "a=1, no 2"]
    assert differences([{"a": 1}]) == [""]


def test_an_objective_inside_a_sum_is_the_entrys(make_run: MakeRun, tmp_path: Path) -> None:
    parts = [{"method": {"name": "joint"}, "objective": {"name": "vicreg"}}, {"method": {"name": "pretext"}}]
    make_run(beside(0, 0.8, 0.5, 0.7), objective=None, method={"name": "sum", "parts": parts})
    (entry,) = comparison(tmp_path).entries
    assert (entry.objective, entry.method) == ("vicreg", "sum")


def test_what_an_entry_says_of_its_runs(make_run: MakeRun, tmp_path: Path) -> None:
    folders = [
        make_run(beside(seed, 0.8, 0.5, 0.7), seed, metrics={"training_seconds": 2.0 + seed, "evaluation_seconds": None, "collapsed": "std 0" if seed else None})
        for seed in (1, 0)
    ]  # fmt: skip
    make_run(beside(0, 0.7, 0.5, 0.7), 0, name="second")
    entry, second = comparison(tmp_path).entries
    assert (entry.runs, entry.seeds) == ((folders[1], folders[0]), (0, 1))
    assert (entry.training_seconds, entry.evaluation_seconds, entry.collapsed) == (2.5, None, "std 0")
    assert entry.diagnostics == {"rankme": 5.5}
    assert entry.command == f"sslplug train --plugin none --recipe {folders[1]}/recipe.yaml --set seed=0 --seeds 2"
    assert len(entry.digest) == 64
    assert entry.digest != second.digest


def test_it_is_printed_and_published_and_drawn_again(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objectives(make_run, 2, {"infonce": 0.8, "vicreg": 0.6}, seeds=2)
    torn = make_run(beside(0, 0.8, 0.5, 0.7))
    (torn / "metrics.json").write_text("{")
    compare([tmp_path / "runs"], Outputs(json=tmp_path / "all.json", page=tmp_path / "all.html"))
    said, errors = capsys.readouterr()
    assert said.count("none/on-0 (objective=infonce), seeds 0..1") == 1
    assert f"{torn}: left out. {torn}/metrics.json: is damaged" in errors
    across = said[said.index("Objectives by task") :]
    (line,) = [line for line in across.splitlines() if line.startswith("│ none/data1/kind")]
    cells = [cell.strip() for cell in line.split("│")][1:-1]
    assert cells == ["none/data1/kind", "accuracy", "0.7905 (100 %) win", "0.5905 (33 %) loss", "0.6900", "0.4900"]
    assert "nan" not in said.lower()
    assert across.count("Mean ranks") == across.count("Against LightGBM on raw features") == 1
    assert across.count("none/data0/kind: Pretraining helps with all labels (100 rows): ") == 1
    assert "<h1>" in (tmp_path / "all.html").read_text()
    compare([tmp_path / "all.json"], Outputs())
    again, _ = capsys.readouterr()
    assert again.split("Objectives by task")[1] == across.split("Objectives by task")[1]
    assert json.loads((tmp_path / "all.json").read_text())["left_out"]


def test_no_judged_run_is_an_error(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (make_run(beside(0, 0.8, 0.5, 0.7)) / "metrics.json").write_text("{")
    with pytest.raises(RunFolderError, match="No judged run below"):
        compare([tmp_path / "runs"], Outputs())
    assert "is damaged" in capsys.readouterr().err


def test_scores_are_what_the_recipe_judged(make_run: MakeRun, tmp_path: Path) -> None:
    """A second probe, fine-tuning and trees on embeddings are no controls and no cell, but what to try next."""
    more: list[list[Score]] = [
        [*beside(s, 0.7, 0.6, 0.8), scored("finetune on pretrained", 0.9, s), scored("knn on pretrained", 0.5, s)]
        for s in range(5)
    ]
    for seed, scores in enumerate(more):
        make_run(scores, seed)
    found = comparison(tmp_path)
    (cell,), (verdict,) = found.cells, found.verdicts
    assert cell.mean == pytest.approx(0.702)
    assert cell.best == pytest.approx(0.9)
    assert (verdict.word, verdict.control) == ("does not help", "lightgbm on raw")
    assert "next: finetune on pretrained, which has 0.9000 here (not tested)." in verdict.sentence
