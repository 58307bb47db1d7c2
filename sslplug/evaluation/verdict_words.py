"""A verdict as one sentence for somebody who has to decide: what, by how much, up to how many labels, at which cost, what next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sslplug.evaluation.verdict import UNTRAINED, WORTH, Candidate, Claim, Finding, at_share, mean_of

_SEEDS = 10
_FEW = 0.1


def verdict_sentence(finding: Finding, candidates: Sequence[Candidate], labelled: bool = True) -> str:
    """The sentence of a finding about ``candidates``; ``labelled`` is whether anything was fitted on labels."""
    claim = finding.claim
    spoken = next(one for one in candidates if one.entry == claim.entry)
    first = spoken.scores[0]
    share = f" with {_labels(claim)}" if labelled else ""
    heads = {
        "helps": f"Pretraining helps{share.replace(' with ', ' with up to ') if claim.share < 1 else share}: ",
        "does not help": f"Pretraining does not help{share}: ",
        "cannot be told": f"Whether pretraining helps{share} cannot be told: ",
    }
    parts = [heads[finding.word] + _size(claim, first.metric) + _cost(claim, spoken)]
    if claim.note:
        parts.append(claim.note)
    elif finding.word == "cannot be told":
        parts.append(f"the interval holds both no gain and one worth having, and {_widest(claim)}")
    elif finding.word == "does not help" and (claim.gain or 0.0) > 0:
        parts.append(f"a gain of {100 * WORTH:g} % of the control's figure is ruled out")
    parts += _elsewhere(finding)
    if len({one.entry for one in finding.claims}) > 1:
        parts.append(
            f"the best of {len({one.entry for one in finding.claims})} pretrained models, which the interval allows for"
        )
    return "; ".join([*parts, f"next: {_next(finding, spoken, candidates, labelled)}"]) + "."


def _size(claim: Claim, metric: str) -> str:
    """The gain and its interval."""
    if claim.gain is None or claim.bar is None:
        return f"{claim.entry} has {metric} {claim.mean:.4f}"
    better = "better" if claim.gain > 0 else "worse"
    far = f"{abs(claim.gain):.4f} {better} than" if round(claim.gain, 4) else "equal to"
    interval = "" if claim.low is None or claim.high is None else f", gain {_interval(claim)}"
    beside = f"{metric} {claim.mean:.4f} against {claim.bar:.4f}{interval}"
    return f"{claim.entry} is {far} {claim.control}, the best without it ({beside})"


def _cost(claim: Claim, spoken: Candidate) -> str:
    own = f", for {_time(spoken.seconds)} of pretraining a run"
    other = at_share(spoken.controls.get(claim.control, ()), claim.share)
    if not other or claim.control.endswith(UNTRAINED):
        return own
    return f"{own} ({claim.control} takes {_time(float(np.mean([score.seconds for score in other])))})"


def _elsewhere(finding: Finding) -> list[str]:
    """The same entry with other shares of the labels."""
    claim = finding.claim
    others = [
        one for one in finding.claims if one.entry == claim.entry and one.share != claim.share and one.gain is not None
    ]
    words: dict[str, list[str]] = {"helps": [], "does not help": [], "cannot be told": []}
    for one in others:
        word = "helps" if one.helps else "does not help" if one.fails else "cannot be told"
        size = f"{_unsigned_zero(one.gain):+.4f}" + ("" if one.low is None or one.high is None else f" {_interval(one)}")
        words[word].append(f"{_labels(one)} ({size})")
    said = {
        "helps": "it also helps with",
        "does not help": "it does not help with",
        "cannot be told": "it cannot be told for",
    }
    return [f"{said[word]} {_listed(found)}" for word, found in words.items() if found]


def _listed(found: Sequence[str]) -> str:
    """With commas, and "and" before the last."""
    return " and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))


def _next(finding: Finding, spoken: Candidate, candidates: Sequence[Candidate], labelled: bool) -> str:
    """What to try next, by the first reason that applies."""
    claim = finding.claim
    better = _better_use(claim, spoken)
    if spoken.collapsed:
        return "mend the collapse of these runs first, their diagnostics say how they collapsed"
    if claim.control == "":
        return "judge the runs with controls (evaluate.controls=true)"
    if claim.seeds < 2:
        return "train more seeds (--seeds 5)"
    if claim.low is None:
        return "judge the runs anew (`sslplug evaluate`)"
    if finding.word == "helps":
        if better:
            return better
        rest = f"with more labels than that, {claim.control} is the one to beat" if claim.share < 1 else ""
        return rest or "use the embeddings (`sslplug embed`)"
    if finding.word == "cannot be told":
        more = f"train more seeds (--seeds {max(_SEEDS, 2 * claim.seeds)})"
        return {
            "seeds": more,
            "splits": f"{more}, each of which draws a split" if claim.drawn else "judge on more splits",
        }.get(claim.widest, "judge on more test rows, more seeds would not settle it")
    if better:
        return better
    if claim.control.split(" of ")[0].endswith(UNTRAINED):
        return "train longer, or by another objective: the encoder is as good untrained"
    if labelled and min(one.share for one in finding.claims) > _FEW:
        return "ask with fewer labels, where pretraining has most to give (evaluate.fractions=[0.01, 0.1, 1.0])"
    if len(candidates) == 1:
        return f"another objective or views; until then {claim.control}"
    return f"stay with {claim.control}"


def _better_use(claim: Claim, spoken: Candidate) -> str:
    """The best other way to use the pretrained encoder, where its mean is above both the probe's and the best control's."""
    higher = spoken.scores[0].higher_is_better
    sign = 1.0 if higher else -1.0
    means = {
        name: mean_of(at_share(scores, claim.share))
        for name, scores in spoken.others.items()
        if at_share(scores, claim.share)
    }
    if not means or claim.bar is None:
        return ""
    best = max(means, key=lambda name: sign * means[name])
    bar = max((claim.bar, claim.mean), key=lambda value: sign * value)
    if sign * means[best] <= sign * bar:
        return ""
    return f"{best}, which has {means[best]:.4f} here (not tested)"


def _widest(claim: Claim) -> str:
    return {
        "seeds": f"the {claim.seeds} seeds are most of its width",
        "splits": "the splits are most of its width",
        "test rows": "the test rows are most of its width",
    }.get(claim.widest, "there is no knowing what made it wide")


def _interval(claim: Claim) -> str:
    assert claim.low is not None  # the caller asked
    assert claim.high is not None
    return f"[{_unsigned_zero(claim.low):+.4f}, {_unsigned_zero(claim.high):+.4f}]"


def _unsigned_zero(value: float | None) -> float:
    """Without a minus before what prints as nought."""
    return round(value or 0.0, 4) + 0.0


def _labels(claim: Claim) -> str:
    rows = f" ({claim.rows:,} rows)" if claim.rows else ""
    return f"{'all' if claim.share == 1 else f'{100 * claim.share:g} % of the'} labels{rows}"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"
