"""SwAV: Sinkhorn's marginals and its plain form, the loss by hand, prototypes on the sphere."""

import pytest
import torch
import torch.nn.functional as F

from sslplug.errors import SslplugError
from sslplug.objectives import OBJECTIVES
from sslplug.objectives.swav import sinkhorn

COMPONENT = OBJECTIVES["swav"]


def plain_sinkhorn(scores, eps, iterations):
    """Algorithm 1 of the paper's appendix, exponentials and all, in float64."""
    q = (scores.double() / eps).exp().t()
    q = q / q.sum()
    k, b = q.shape
    for _ in range(iterations):
        q = q / q.sum(1, keepdim=True) / k
        q = q / q.sum(0, keepdim=True) / b
    return (q * b).t()


def test_sinkhorn_equals_the_plain_form_and_balances():
    scores = torch.randn(60, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(sinkhorn(scores, 0.5, 3), plain_sinkhorn(scores, 0.5, 3))
    long = sinkhorn(scores, 0.5, 200)
    torch.testing.assert_close(long.sum(1), torch.ones(60, dtype=torch.float64))
    torch.testing.assert_close(long.sum(0), torch.full((8,), 60 / 8, dtype=torch.float64))
    assert sinkhorn(scores.float() * 100, 1e-3, 3).isfinite().all()


def test_loss_by_hand_with_a_third_small_view():
    torch.manual_seed(0)
    swav = COMPONENT.build(COMPONENT.options(prototypes=9), 5).double()
    views = [torch.randn(20, 5, dtype=torch.float64) for _ in range(3)]
    scores = [F.normalize(v, dim=1) @ F.normalize(swav.prototypes.detach(), dim=1).t() for v in views]
    expected = [
        -(plain_sinkhorn(scores[a], 0.05, 3) * (scores[v] / 0.1).log_softmax(1)).sum(1).mean()
        for a in (0, 1)
        for v in range(3)
        if v != a
    ]
    torch.testing.assert_close(swav(views)["swav"].detach(), sum(expected) / 4)


def test_prototypes_return_to_the_sphere_and_two_forwards_may_share_one_backward():
    swav = COMPONENT.build(COMPONENT.options(prototypes=6), 5)
    with torch.no_grad():
        swav.prototypes.mul_(3)
    views = [torch.randn(20, 5) for _ in range(2)]
    (swav(views)["swav"] + swav(views[::-1])["swav"]).backward()
    torch.testing.assert_close(swav.prototypes.norm(dim=1), torch.ones(6))
    assert swav.prototypes.grad.abs().sum() > 0


def test_a_queue_joins_the_assignment_only():
    torch.manual_seed(0)
    swav = COMPONENT.build(COMPONENT.options(prototypes=6, assigning=1), 5).double()
    a, b, queue = (torch.randn(n, 5, dtype=torch.float64) for n in (12, 12, 30))
    c = F.normalize(swav.prototypes.detach(), dim=1)
    wanted = plain_sinkhorn(F.normalize(torch.cat([a, queue]), dim=1) @ c.t(), 0.05, 3)[:12]
    expected = -(wanted * (F.normalize(b, dim=1) @ c.t() / 0.1).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(swav([a, b], None, queue)["swav"].detach(), expected)


def test_it_needs_a_width():
    with pytest.raises(SslplugError, match="width"):
        COMPONENT.build(COMPONENT.options(), 0)
