"""Cosine, scaled cosine error, squared error and cross-entropy against numpy in float64 and known values."""

import numpy as np
import pytest
import torch

from sslplug.errors import SslplugError
from sslplug.objectives import OBJECTIVES


def value(name, prediction, target, **options):
    component = OBJECTIVES[name]
    (term,) = component.build(component.options(**options), 0)([prediction, target]).values()
    return term


def rows(n=11, d=5):
    g = torch.Generator().manual_seed(0)
    return [torch.randn(n, d, generator=g, dtype=torch.float64) for _ in range(2)]


def cosines(p, t):
    p, t = p.numpy(), t.numpy()
    return (p * t).sum(1) / np.linalg.norm(p, axis=1) / np.linalg.norm(t, axis=1)


def test_cosine():
    p, t = rows()
    np.testing.assert_allclose(float(value("cosine", p, t)), np.mean(2 - 2 * cosines(p, t)), rtol=1e-12)
    assert abs(float(value("cosine", p, 3 * p))) < 1e-12
    torch.testing.assert_close(float(value("cosine", p, -p)), 4.0)


@pytest.mark.parametrize("alpha", [1.0, 2.5, 3.0])
def test_scaled_cosine_error(alpha):
    p, t = rows()
    expected = np.mean((1 - cosines(p, t)) ** alpha)
    np.testing.assert_allclose(float(value("sce", p, t, alpha=alpha)), expected, rtol=1e-12)
    np.testing.assert_allclose(float(value("sce", 9 * p, t, alpha=alpha)), expected, rtol=1e-12)
    torch.testing.assert_close(float(value("sce", p, -p, alpha=alpha)), 2**alpha)


def test_scaled_cosine_error_of_equal_and_of_zero_rows_has_a_finite_gradient():
    p = torch.cat([torch.zeros(2, 5), torch.ones(4, 5) * 0.1]).requires_grad_()
    loss = value("sce", p, p.detach(), alpha=1.5)
    loss.backward()
    torch.testing.assert_close(loss.item(), 2 / 6)
    assert p.grad.isfinite().all()


def test_squared_error():
    p, t = rows()
    np.testing.assert_allclose(float(value("mse", p, t)), np.mean((p.numpy() - t.numpy()) ** 2), rtol=1e-12)


def test_squared_error_refuses_to_broadcast():
    with pytest.raises(SslplugError, match=r"\(4, 1\).*\(4,\)"):
        value("mse", torch.zeros(4, 1), torch.zeros(4))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(smoothing):
    p, t = rows()
    log_p = p.numpy() - np.log(np.exp(p.numpy()).sum(1, keepdims=True))
    classes = torch.arange(11) % 5
    hot = np.eye(5)[classes.numpy()] * (1 - smoothing) + smoothing / 5
    np.testing.assert_allclose(
        float(value("cross_entropy", p, classes, smoothing=smoothing)), -(hot * log_p).sum(1).mean(), rtol=1e-12
    )
    soft = t.softmax(1)
    np.testing.assert_allclose(float(value("cross_entropy", p, soft)), -(soft.numpy() * log_p).sum(1).mean(), rtol=1e-12)


@pytest.mark.parametrize(
    "target", [torch.zeros(3, dtype=torch.int64), torch.zeros(4, 2), torch.zeros(4, 1, dtype=torch.int64)]
)
def test_cross_entropy_refuses_targets_of_another_shape(target):
    with pytest.raises(SslplugError, match="cross_entropy"):
        value("cross_entropy", torch.zeros(4, 3), target)
