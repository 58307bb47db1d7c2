"""Whether pretraining helps on one task: the rule, which never calls the luck of many tries a gain.

A claim is "this pretrained model, with this share of the labels, is better than the best that needs no pretraining". It is judged
by one interval of the gain over the best control:

- The controls are the same probe on the untrained encoder and every model on raw features (LightGBM, the probe, popularity ...),
  of all entries of the task that were judged on the same splits and seeds. A gain is the smallest of the differences to them
  (intersection-union, Berger 1982), so the interval starts at the smallest of the low ends: no correction is due there. It ends
  at the smallest of the high ends, each at a level divided by the number of controls.
- All entries and shares of labels of the task compete, and the best is looked at: each interval has the level 0.05 divided by
  the number of claims (Bonferroni), so that all of them hold at once in 95 % of the cases, the one that was picked too.
- A claim needs two seeds of pretraining. One seed, on however many splits, says nothing of other seeds (decision 0007).

**helps**: some interval lies above 0. **does not help**: with the most labels judged, all intervals lie below :data:`WORTH` of
the best control's own figure. **cannot be told**: all else. Decision 0009 has the simulation behind this.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from sslplug.evaluation.paired import ALPHA, PairedTest
from sslplug.evaluation.score import Score
from sslplug.evaluation.statistics import Pairs, pair

WORTH = 0.01
"""A gain below this share of the best control's figure is not worth a pretraining."""

UNTRAINED = " on untrained"
"""How the names of controls end that are the same encoder before training."""

Word = Literal["helps", "does not help", "cannot be told"]


@dataclass(frozen=True)
class Candidate:
    """A pretrained model on one task, and what was judged beside it, all in the task's primary metric.

    scores    of its probe on pretrained features: every seed, split and share of labels
    controls  {"logistic on untrained": scores} of models that need no pretraining
    others    the same of further models that do: LightGBM on embeddings, other probes, fine-tuning
    seconds   what pretraining took, mean over its runs;  collapsed: whether they count as such
    rows      what decides which rows its splits hold: only candidates of the same share controls
    """

    entry: str
    scores: tuple[Score, ...]
    controls: Mapping[str, tuple[Score, ...]]
    others: Mapping[str, tuple[Score, ...]] = field(default_factory=dict)
    seconds: float = 0.0
    collapsed: bool = False
    rows: str = ""


@dataclass(frozen=True)
class Claim:
    """One candidate with one share of the labels against the best control.

    gain       over the control that is best against it, positive where pretraining is better;  mean, bar: of the two
    low, high  interval of the gain at once over all claims of the task, None where ``note`` says why there is none
    rows       training rows that the share is;  seeds: of pretraining;  drawn: each of them drew a split of its own
    widest     what makes the interval wide: "seeds", "splits" or "test rows"
    """

    entry: str
    share: float
    gain: float | None
    mean: float
    control: str = ""
    bar: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int = 0
    seeds: int = 0
    drawn: bool = False
    widest: str = ""
    note: str = ""

    @property
    def helps(self) -> bool:
        """Whether a gain is shown."""
        return self.low is not None and self.low > 0

    @property
    def fails(self) -> bool:
        """Whether a gain worth having is ruled out."""
        return self.high is not None and self.bar is not None and self.high < WORTH * abs(self.bar)


@dataclass(frozen=True)
class Finding:
    """The rule's answer.

    claim   what it speaks of;  labels: the largest share of labels at which that entry helps, None where it does not
    claims  all of them, by entry and share
    """

    word: Word
    claim: Claim
    labels: float | None
    claims: tuple[Claim, ...]


def judge_pretraining(candidates: Sequence[Candidate]) -> Finding:
    """The verdict on a task's candidates; every candidate has a score. ValueError without one."""
    if not candidates:
        raise ValueError("a verdict needs a candidate")
    drafts = [
        (_draft(candidate, share), _controls(candidate, share, candidates))
        for candidate in candidates
        for share in sorted({score.fraction for score in candidate.scores})
    ]
    count = sum(not _untested(controls) for _, controls in drafts)
    higher = candidates[0].scores[0].higher_is_better
    claims = tuple(_claim(draft, controls, higher, count) for draft, controls in drafts)
    helping = [claim for claim in claims if claim.helps]
    if helping:
        chosen = max(helping, key=lambda claim: (claim.share, claim.gain or 0.0))
        return Finding("helps", chosen, chosen.share, claims)
    most = max(claim.share for claim in claims)
    full = [claim for claim in claims if claim.share == most]
    chosen = max(full, key=lambda claim: (claim.low is not None, claim.gain is not None, claim.gain or 0.0))
    return Finding("does not help" if all(claim.fails for claim in full) else "cannot be told", chosen, None, claims)


def mean_of(scores: Sequence[Score]) -> float:
    """Mean over splits, each averaged over its seeds first."""
    by_split: dict[int, list[float]] = {}
    for score in scores:
        by_split.setdefault(score.split, []).append(score.value)
    return float(np.mean([np.mean(values) for values in by_split.values()]))


def at_share(scores: Sequence[Score], share: float) -> tuple[Score, ...]:
    """Those fitted with a share of the labels."""
    return tuple(score for score in scores if score.fraction == share)


def _draft(candidate: Candidate, share: float) -> Claim:
    own = at_share(candidate.scores, share)
    rows = round(float(np.mean([score.train for score in own])))
    seeds, splits = len({score.seed for score in own}), len({score.split for score in own})
    drawn = len({(score.split, score.seed) for score in own}) == seeds == splits
    return Claim(candidate.entry, share, None, mean_of(own), rows=rows, seeds=seeds, drawn=drawn)


@dataclass(frozen=True)
class _Beside:
    """A control beside a claim: the pairs, its mean, and the test at the usual level."""

    pairs: Pairs
    mean: float
    test: PairedTest


def _controls(candidate: Candidate, share: float, candidates: Sequence[Candidate]) -> dict[str, _Beside]:
    """What a candidate is held against, its own controls first.

    Controls of other candidates join where they were judged on all splits and seeds of this one: their untrained encoders, and
    raw features that this one has not itself. Where several have the same scores, as the same untrained encoder has beside
    several objectives, they are one control.
    """
    own = at_share(candidate.scores, share)
    places = {(score.split, score.seed) for score in own}
    named = {name: _within(scores, share, places) for name, scores in candidate.controls.items()}
    for other in (one for one in candidates if one is not candidate and one.rows == candidate.rows):
        for name, all_scores in other.controls.items():
            scores = _within(all_scores, share, places)
            label = f"{name} of {other.entry}" if name.endswith(UNTRAINED) else name
            if label not in named and len(scores) == len(own):
                named[label] = scores
    found: dict[tuple[tuple[int, int, float], ...], tuple[str, _Beside]] = {}
    for label, scores in named.items():
        pairs = pair(own, scores)
        if pairs is not None:
            values = tuple(sorted((score.split, score.seed, score.value) for score in scores))
            found.setdefault(values, (label, _Beside(pairs, mean_of(scores), pairs.tested())))
    return dict(found.values())


def _within(scores: Sequence[Score], share: float, places: Collection[tuple[int, int]]) -> tuple[Score, ...]:
    return tuple(score for score in at_share(scores, share) if (score.split, score.seed) in places)


def _untested(controls: Mapping[str, _Beside]) -> str:
    """Why a claim cannot be tested; "" where it can."""
    if not controls:
        return "no control was judged beside it"
    if min(one.pairs.seeds for one in controls.values()) < 2:
        return "one seed of pretraining says nothing of others"
    return next((one.test.note for one in controls.values() if one.test.low is None), "")


def _claim(draft: Claim, controls: Mapping[str, _Beside], higher: bool, count: int) -> Claim:
    """The claim with its gain, and with its interval at once over ``count`` claims where it can be tested."""
    sign, note = 1.0 if higher else -1.0, _untested(controls)
    if not controls:
        return replace(draft, note=note)
    best = min(controls, key=lambda name: sign * controls[name].test.mean)
    known = replace(draft, gain=sign * controls[best].test.mean, control=best, bar=controls[best].mean, note=note)
    if note:
        return known
    lows = [_gained(one.pairs.tested(ALPHA / count), sign)[0] for one in controls.values()]
    highs = [_gained(one.pairs.tested(ALPHA / count / len(controls)), sign)[1] for one in controls.values()]
    return replace(known, low=min(lows), high=min(highs), widest=controls[best].test.widest)


def _gained(found: PairedTest, sign: float) -> tuple[float, float]:
    """A test's interval, turned so that positive is better."""
    assert found.low is not None  # the caller asked
    assert found.high is not None
    return (found.low, found.high) if sign > 0 else (-found.high, -found.low)
