"""Local-global contrast: DGI's and InfoGraph's formulas, pair by pair."""

import math

import pytest
import torch
import torch.nn.functional as F

from sslplug.errors import SslplugError
from sslplug.objectives import OBJECTIVES

COMPONENT = OBJECTIVES["jsd_local_global"]


def value(form, rows, summaries, owner, number=None):
    number = torch.arange(len(summaries)) if number is None else number
    return COMPONENT.build(COMPONENT.options(form=form), 0)([rows, summaries], [owner, number])["local_global"]


def example():
    g = torch.Generator().manual_seed(0)
    rows, summaries = (torch.randn(n, 4, generator=g, dtype=torch.float64) for n in (13, 3))
    return rows, summaries, torch.randint(-1, 3, (13,), generator=g)


def test_dgi_is_binary_cross_entropy_over_real_and_corrupted_rows():
    rows, summaries, _ = example()
    owner = torch.tensor([0] * 7 + [-1] * 6)
    expected = F.binary_cross_entropy_with_logits((rows @ summaries[0]), (owner == 0).double())
    torch.testing.assert_close(value("bce", rows, summaries[:1], owner), expected)


def test_bce_and_jsd_equal_a_loop_over_pairs():
    rows, summaries, owner = example()
    own, other = [], []
    for i in range(len(rows)):
        for g in range(len(summaries)):
            score = float(rows[i] @ summaries[g])
            if owner[i] == g:
                own.append(math.log1p(math.exp(-score)))
            else:
                other.append(math.log1p(math.exp(score)))
    torch.testing.assert_close(value("bce", rows, summaries, owner).item(), sum(own + other) / len(own + other))
    jsd = sum(own) / len(own) + sum(other) / len(other) - 2 * math.log(2)
    torch.testing.assert_close(value("jsd", rows, summaries, owner).item(), jsd)


def test_jsd_is_zero_at_zero_scores_and_bounded_below():
    rows, summaries, owner = example()
    assert abs(value("jsd", rows * 0, summaries, owner).item()) < 1e-12
    torch.testing.assert_close(value("bce", rows * 0, summaries, owner).item(), math.log(2))
    perfect = torch.eye(3, dtype=torch.float64)[owner.clamp(min=0)] * 2000 - 1000
    perfect[owner < 0] = -1000
    torch.testing.assert_close(value("jsd", perfect, torch.eye(3, dtype=torch.float64), owner).item(), -2 * math.log(2))


def test_huge_scores_stay_finite():
    rows, summaries, owner = example()
    rows = (rows * 1e4).requires_grad_()
    loss = value("jsd", rows, summaries, owner)
    loss.backward()
    assert loss.isfinite()
    assert rows.grad.isfinite().all()


def test_summary_numbers_need_not_be_positions():
    rows, summaries, owner = example()
    renamed = torch.where(owner < 0, -1, owner * 10 + 5)
    torch.testing.assert_close(
        value("jsd", rows, summaries, renamed, torch.arange(3) * 10 + 5), value("jsd", rows, summaries, owner)
    )


def test_errors():
    rows, summaries, owner = example()
    with pytest.raises(SslplugError, match="needs ids"):
        COMPONENT.build(COMPONENT.options(), 0)([rows, summaries])
    with pytest.raises(SslplugError, match="needs both"):
        value("jsd", rows, summaries[:1], owner * 0)
    with pytest.raises(SslplugError, match="one a row"):
        value("jsd", rows, summaries, owner[:5])
