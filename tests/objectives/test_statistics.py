"""VICReg, Barlow Twins and CCA-SSG against numpy in float64, a released VICReg, and known values."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import VICRegLoss

from sslplug.objectives import OBJECTIVES

N, D = 40, 7


def terms(name, views, **options):
    component = OBJECTIVES[name]
    return component.build(component.options(**options), D)(views)


def pair(count=2, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    mix = torch.randn(D, D, generator=g, dtype=dtype)
    return [torch.randn(N, D, generator=g, dtype=dtype) @ mix * 0.3 + 1 for _ in range(count)]


def whitened():
    """(N, D) with mean 0 and exactly the identity as biased covariance."""
    x = pair()[0]
    x = x - x.mean(0)
    u, _, vt = torch.linalg.svd(x, full_matrices=False)
    return u @ vt * N**0.5


@pytest.mark.parametrize("count", [2, 3])
def test_vicreg_equals_its_equations(count):
    views = pair(count)
    got = terms("vicreg", views, invariance=2.0, variance=3.0, covariance=0.5, eps=1e-3)
    x = [view.numpy() for view in views]
    couples = [(a, b) for a in range(count) for b in range(a)]
    near = np.mean([np.mean((x[a] - x[b]) ** 2) for a, b in couples])
    spread = np.mean([np.maximum(0, 1 - np.sqrt(v.var(0, ddof=1) + 1e-3)).mean() for v in x])
    covariances = [np.cov(v, rowvar=False) for v in x]
    tangle = 2 * np.mean([((c - np.diag(np.diag(c))) ** 2).sum() / D for c in covariances])
    np.testing.assert_allclose([float(t) for t in got.values()], [2 * near, 3 * spread, 0.5 * tangle], rtol=1e-12)


def test_vicreg_equals_the_metric_learning_librarys():
    a, b = pair(dtype=torch.float32)
    torch.testing.assert_close(sum(terms("vicreg", [a, b]).values()), VICRegLoss()(a, ref_emb=b), rtol=1e-5, atol=1e-5)


def test_vicreg_variance_of_a_constant_batch():
    constant = torch.ones(N, D, dtype=torch.float64)
    got = terms("vicreg", [constant, constant], variance=1.0)
    torch.testing.assert_close(float(got["variance"]), 0.99)
    assert float(got["invariance"]) == float(got["covariance"]) == 0


def test_barlow_equals_its_equations():
    a, b = pair()
    got = terms("barlow", [a, b], redundancy=0.02, eps=1e-6)
    x, y = ((v - v.mean(0)) / np.sqrt(v.var(0) + 1e-6) for v in (a.numpy(), b.numpy()))
    c = x.T @ y / N
    expected = [((1 - np.diag(c)) ** 2).sum(), 0.02 * ((c - np.diag(np.diag(c))) ** 2).sum()]
    np.testing.assert_allclose([float(t) for t in got.values()], expected, rtol=1e-10)


def test_barlow_of_identical_whitened_views_is_zero():
    z = whitened()
    assert float(sum(terms("barlow", [z, z], eps=1e-14, redundancy=1.0).values())) < 1e-20


def test_cca_ssg_equals_its_equations():
    a, b = pair()
    got = terms("cca_ssg", [a, b], decorrelation=0.3, eps=1e-14)
    x, y = ((v - v.mean(0)) / v.std(0, ddof=1) for v in (a.numpy(), b.numpy()))
    tangle = sum(((v.T @ v / N - np.eye(D)) ** 2).sum() for v in (x, y))
    np.testing.assert_allclose([float(t) for t in got.values()], [-np.trace(x.T @ y) / N, 0.3 * tangle], rtol=1e-10)


def test_cca_ssg_of_identical_views_and_of_whitened_ones():
    z = whitened()
    got = terms("cca_ssg", [z, z], decorrelation=1.0, eps=1e-14)
    torch.testing.assert_close(float(got["invariance"]), -D * (N - 1) / N, rtol=1e-10, atol=0)
    # Whitened with the unbiased deviation, Z^T Z / N is (N-1)/N on the diagonal: D / N^2 a view remains.
    torch.testing.assert_close(float(got["decorrelation"]), 2 * D / N**2, rtol=1e-8, atol=0)


def test_cca_ssg_trace_and_distance_forms_have_one_gradient():
    a, b = (view.requires_grad_() for view in pair())
    (ours,) = torch.autograd.grad(terms("cca_ssg", [a, b])["invariance"], a)
    x, y = ((v - v.mean(0)) / v.std(0) for v in (a, b))
    (other,) = torch.autograd.grad((x - y).square().sum() / (2 * N), a)
    torch.testing.assert_close(ours, other, rtol=1e-6, atol=1e-8)
