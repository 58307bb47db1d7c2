"""The rule whether pretraining helps: what it counts, what it refuses to say, and how it says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from sslplug.evaluation.paired import ALPHA
from sslplug.evaluation.score import Score
from sslplug.evaluation.statistics import pair
from sslplug.evaluation.verdict import WORTH, Candidate, judge_pretraining
from sslplug.evaluation.verdict_words import verdict_sentence

SEEDS = 6


def scores(
    mean: float, model: str, spread: float = 0.002, seeds: int = SEEDS, rng: int = 0, **more: object
) -> tuple[Score, ...]:
    """A model's scores on one split, around ``mean``; leaving a group of rows out moves them by a tenth of ``spread``."""
    draw = np.random.default_rng([rng, len(model)])
    probe, _, features = model.partition(" on ")
    found = []
    for seed, value in enumerate(mean + spread * _standard(draw.normal(size=seeds))):
        without = tuple(value + 0.1 * spread * draw.normal(size=20))
        score = Score("t", "given", probe, features, "accuracy", 1.0, 0, float(value), 0.4, True, seed, 100, 500, without)
        found.append(replace(score, **more))  # type: ignore[arg-type]
    return tuple(found)


def _standard(x: np.ndarray) -> np.ndarray:
    return x if len(x) < 2 else (x - x.mean()) / x.std(ddof=1)


def candidate(mean: float, entry: str = "a", trees: float = 0.8, untrained: float = 0.7, **more: object) -> Candidate:
    controls = {
        "logistic on untrained": scores(untrained, "logistic on untrained"), "lightgbm on raw": scores(trees, "lightgbm on raw"),
    }  # fmt: skip
    found = Candidate(entry, scores(mean, "logistic on pretrained", rng=sum(map(ord, entry))), controls, seconds=30.0)
    return replace(found, **more)  # type: ignore[arg-type]


def shares(means: Mapping[float, float], **more: object) -> Candidate:
    """A candidate judged with several shares of the labels, beside controls that do not change."""
    parts = {share: candidate(mean) for share, mean in means.items()}

    def moved(found: tuple[Score, ...], share: float) -> list[Score]:
        return [replace(score, fraction=share, train=round(100 * share)) for score in found]

    own = tuple(score for share, one in parts.items() for score in moved(one.scores, share))
    controls = {
        name: tuple(score for share, one in parts.items() for score in moved(one.controls[name], share))
        for name in ("logistic on untrained", "lightgbm on raw")
    }
    return replace(candidate(0.8), scores=own, controls=controls, **more)  # type: ignore[arg-type]


def test_a_gain_over_all_controls_helps() -> None:
    found = judge_pretraining([candidate(0.83)])
    assert (found.word, found.labels, found.claim.control) == ("helps", 1.0, "lightgbm on raw")
    assert found.claim.gain == pytest.approx(0.03)
    assert found.claim.low is not None
    assert 0 < found.claim.low < 0.03


@pytest.mark.parametrize(("trees", "untrained"), [(0.85, 0.7), (0.7, 0.85)])
def test_one_control_that_is_better_is_enough(trees: float, untrained: float) -> None:
    found = judge_pretraining([candidate(0.83, trees=trees, untrained=untrained)])
    assert found.word == "does not help"
    assert found.claim.gain == pytest.approx(-0.02)


def test_a_gain_not_worth_having_is_none_and_what_is_open_is_called_so() -> None:
    assert WORTH * 0.8 > 0.001
    found = judge_pretraining([candidate(0.801)])
    assert found.word == "does not help"
    assert found.claim.gain == pytest.approx(0.001)
    wide = candidate(0.801)
    noisy = replace(wide, scores=scores(0.801, "logistic on pretrained", spread=0.05))
    assert judge_pretraining([noisy]).word == "cannot be told"


def test_smaller_is_better() -> None:
    def turned(found: tuple[Score, ...]) -> tuple[Score, ...]:
        return tuple(
            replace(s, metric="rmse", higher_is_better=False, value=1 - s.value, without=tuple(1 - x for x in s.without))
            for s in found
        )

    plain = candidate(0.83)
    found = judge_pretraining(
        [replace(plain, scores=turned(plain.scores), controls={k: turned(v) for k, v in plain.controls.items()})]
    )
    want = judge_pretraining([plain])
    assert (found.word, found.claim.control) == (want.word, want.claim.control)
    assert (found.claim.gain, found.claim.low, found.claim.high) == pytest.approx(
        (want.claim.gain, want.claim.low, want.claim.high)
    )


def test_the_interval_counts_every_claim_and_the_high_end_every_control() -> None:
    alone = candidate(0.83)
    claim = judge_pretraining([alone]).claim
    trees, untrained = (pair(alone.scores, alone.controls[name]) for name in ("lightgbm on raw", "logistic on untrained"))
    assert trees is not None
    assert untrained is not None
    assert claim.low == min(one.tested(ALPHA).low for one in (trees, untrained))  # type: ignore[type-var]
    assert claim.high == min(one.tested(ALPHA / 2).high for one in (trees, untrained))  # type: ignore[type-var]
    others = [candidate(0.75, f"b{number}") for number in range(9)]
    (tenth,) = [one for one in judge_pretraining([alone, *others]).claims if one.entry == "a"]
    assert tenth.low == trees.tested(ALPHA / 10).low
    both = judge_pretraining([shares({0.1: 0.83, 1.0: 0.83})]).claims
    assert both[1].low == trees.tested(ALPHA / 2).low


def test_one_of_many_noisy_models_that_looks_best_is_not_called_a_gain() -> None:
    """Alone it would be."""

    def noisy(number: int, mean: float) -> Candidate:
        return replace(candidate(0.8, f"n{number}"), scores=scores(mean, "logistic on pretrained", spread=0.02, rng=number))

    lucky = noisy(0, 0.83)
    assert judge_pretraining([lucky]).word == "helps"
    found = judge_pretraining([lucky, *(noisy(number, 0.78) for number in range(1, 12))])
    assert found.word == "cannot be told"
    assert found.claim.entry == "n0"


def test_controls_of_other_entries_on_the_same_rows_count() -> None:
    """Somebody else's untrained encoder that is better than this pretrained one needs no pretraining either."""
    weak, other = candidate(0.83, "weak"), candidate(0.84, "other", untrained=0.87)
    found = judge_pretraining([weak, other])
    assert found.word == "does not help"
    assert {claim.control for claim in found.claims} == {"logistic on untrained of other", "logistic on untrained"}
    elsewhere = judge_pretraining([weak, replace(other, rows="another split")])
    assert (elsewhere.word, elsewhere.claim.entry) == ("helps", "weak")


def test_a_control_without_all_seeds_of_another_entry_is_not_lent() -> None:
    few = candidate(0.7, "few", untrained=0.9)
    few = replace(few, scores=few.scores[:2], controls={name: found[:2] for name, found in few.controls.items()})
    assert judge_pretraining([candidate(0.83), few]).word == "helps"


def test_a_candidate_without_trees_is_held_against_those_of_others() -> None:
    bare = candidate(0.75, "bare")
    bare = replace(bare, controls={"logistic on untrained": bare.controls["logistic on untrained"]})
    assert judge_pretraining([bare]).word == "helps"
    found = judge_pretraining([bare, candidate(0.7, "full")])
    assert found.word == "does not help"
    assert found.claim.control == "lightgbm on raw"


def test_one_seed_says_nothing_on_however_many_splits() -> None:
    splits = candidate(0.9)
    own = tuple(replace(splits.scores[0], split=number, value=0.9 + number / 1000) for number in range(10))
    trees = tuple(replace(splits.controls["lightgbm on raw"][0], split=number) for number in range(10))
    found = judge_pretraining([replace(splits, scores=own, controls={"lightgbm on raw": trees})])
    assert (found.word, found.claim.note) == ("cannot be told", "one seed of pretraining says nothing of others")
    drawn = tuple(replace(score, seed=score.split) for score in own)
    beside = tuple(replace(score, seed=score.split) for score in trees)
    assert judge_pretraining([replace(splits, scores=drawn, controls={"lightgbm on raw": beside})]).word == "helps"


def test_up_to_how_many_labels() -> None:
    found = judge_pretraining([shares({0.01: 0.9, 0.1: 0.85, 1.0: 0.75})])
    assert (found.word, found.labels, found.claim.share) == ("helps", 0.1, 0.1)
    said = verdict_sentence(found, [shares({0.01: 0.9, 0.1: 0.85, 1.0: 0.75})])
    assert said.startswith(
        "Pretraining helps with up to 10 % of the labels (10 rows): a is 0.0500 better than lightgbm on raw"
    )
    assert "it also helps with 1 % of the labels (1 rows)" in said
    assert "it does not help with all labels (100 rows) (-0.0500 [" in said
    assert said.endswith("next: with more labels than that, lightgbm on raw is the one to beat.")


def test_the_sentence_says_size_interval_cost_and_number_of_tries() -> None:
    tried = [candidate(0.83), candidate(0.75, "b")]
    found = judge_pretraining(tried)
    said = verdict_sentence(found, tried)
    assert f"(accuracy 0.8300 against 0.8000, gain [{found.claim.low:+.4f}, {found.claim.high:+.4f}])" in said
    assert "for 30 s of pretraining a run (lightgbm on raw takes 0.4 s)" in said
    assert "the best of 2 pretrained models" in said
    assert (
        said.count(".") == said.count(". ") + sum(c == "." and d.isdigit() for c, d in zip(said, said[1:], strict=False)) + 1
    )


def test_without_labels_none_are_spoken_of() -> None:
    one = candidate(0.75)
    said = verdict_sentence(judge_pretraining([one]), [one], labelled=False)
    assert "label" not in said
    assert said.startswith("Pretraining does not help: a is 0.0500 worse than lightgbm on raw")


NEXT = {
    "collapsed": (candidate(0.75, collapsed=True), "mend the collapse"),
    "no control": (candidate(0.75, controls={}), "judge the runs with controls"),
    "one seed": (candidate(0.75, scores=scores(0.75, "logistic on pretrained", seeds=1)), "train more seeds (--seeds 5)"),
    "seeds vary": (candidate(0.8, scores=scores(0.8, "logistic on pretrained", spread=0.05)), "train more seeds (--seeds 12)"),
    "rows vary": (
        candidate(0.8, scores=tuple(replace(s, without=tuple(s.value + 0.03 * (-1) ** n for n in range(20))) for s in scores(0.8, "logistic on pretrained"))),
        "judge on more test rows, more seeds would not settle it",
    ),
    "a better use": (candidate(0.75, others={"lightgbm on both": scores(0.84, "lightgbm on both")}), "lightgbm on both, which has 0.8400 here"),
    "a use that is no better": (candidate(0.75, others={"lightgbm on both": scores(0.79, "lightgbm on both")}), "ask with fewer labels"),
    "untrained is better": (candidate(0.75, untrained=0.85), "the encoder is as good untrained"),
    "few labels asked": (shares({0.01: 0.7, 1.0: 0.7}), "another objective or views; until then lightgbm on raw"),
    "helps with all": (candidate(0.9), "use the embeddings (`sslplug embed`)"),
    "helps, and more so": (candidate(0.9, others={"finetune on pretrained": scores(0.95, "finetune on pretrained")}), "finetune on pretrained, which has 0.9500"),
}  # fmt: skip


@pytest.mark.parametrize("case", NEXT)
def test_what_to_try_next(case: str) -> None:
    one, words = NEXT[case]
    said = verdict_sentence(judge_pretraining([one]), [one])
    assert words in said[said.index("next: ") :]
    assert "nan" not in said
    assert "None" not in said


def test_after_several_objectives_that_do_not_help() -> None:
    tried = [shares({0.01: 0.7, 1.0: 0.7}), candidate(0.7, "b")]
    said = verdict_sentence(judge_pretraining(tried), tried)
    assert said.endswith("next: stay with lightgbm on raw.")


def test_nothing_to_judge() -> None:
    with pytest.raises(ValueError, match="needs a candidate"):
        judge_pretraining([])
