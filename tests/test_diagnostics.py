import math
import time

import pytest
import torch
from torch import Tensor

from sslplug.diagnostics import (
    alignment,
    collapse,
    health,
    mean_cosine,
    participation_ratio,
    rankme,
    singular_values,
    spread,
    uniformity,
)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_rankme_known_values() -> None:
    assert rankme(normal(25_600, 64)) == pytest.approx(63.98, abs=0.1)
    assert rankme(normal(128, 64)) == pytest.approx(59.2, abs=0.5)
    assert rankme(normal(100, 1) @ normal(1, 64)) == pytest.approx(1.0, abs=1e-3)
    assert rankme(torch.zeros(10, 4)) == 0.0
    assert rankme(torch.eye(8)[:5]) == pytest.approx(5.0, abs=1e-3)


@pytest.mark.parametrize("shape", [(50, 8), (8, 50)])
def test_spectrum_is_torchs(shape: tuple[int, int]) -> None:
    z = normal(*shape)
    assert torch.allclose(singular_values(z), torch.linalg.svdvals(z.double()), rtol=1e-6)


def test_participation_ratio() -> None:
    assert participation_ratio(normal(20_000, 16)) == pytest.approx(16, abs=0.1)
    assert participation_ratio(normal(500, 1) @ normal(1, 16)) == pytest.approx(1.0, abs=1e-6)
    assert participation_ratio(torch.ones(10, 3)) == 0.0


def test_uniformity_known_values() -> None:
    assert uniformity(normal(4000, 128)) == pytest.approx(-3.94, abs=0.02)
    assert uniformity(torch.ones(50, 8)) == pytest.approx(0.0, abs=1e-6)
    assert uniformity(torch.tensor([[1.0, 0.0], [-3.0, 0.0]])) == pytest.approx(-8.0, abs=1e-5)
    z = normal(40, 5)
    unit = torch.nn.functional.normalize(z, dim=1)
    direct = (-2 * torch.pdist(unit) ** 2).exp().mean().log()
    assert uniformity(z) == pytest.approx(float(direct), abs=1e-5)


def test_large_inputs_are_subsampled_the_same_way_each_time() -> None:
    z = normal(20_000, 32)
    assert uniformity(z) == uniformity(z)
    assert uniformity(z) == pytest.approx(uniformity(z[:4096]), abs=0.02)


def test_alignment() -> None:
    z = normal(30, 6)
    assert alignment(z, 5 * z) == pytest.approx(0.0, abs=1e-6)
    assert alignment(z, -z) == pytest.approx(4.0, abs=1e-5)
    assert alignment(torch.eye(4), torch.eye(4).roll(1, 0)) == pytest.approx(2.0, abs=1e-5)


def test_spread_and_cosine() -> None:
    z = normal(5000, 64)
    assert spread(z) == pytest.approx(1.0, abs=0.01)
    assert spread(torch.ones(20, 64)) == pytest.approx(0.0, abs=1e-6)
    assert mean_cosine(z) == pytest.approx(0.0, abs=0.01)
    assert mean_cosine(torch.ones(20, 3)) == pytest.approx(1.0, abs=1e-6)
    few = z[:7]
    unit = torch.nn.functional.normalize(few, dim=1)
    pairs = (unit @ unit.T)[~torch.eye(7, dtype=torch.bool)]
    assert mean_cosine(few) == pytest.approx(float(pairs.mean()), abs=1e-6)


def test_health_of_views() -> None:
    z = normal(500, 16)
    both = health({"view0": z, "view1": z + 0.1 * normal(500, 16)})
    assert set(both) == {
        f"diag/{name}" for name in ("rankme", "participation", "uniformity", "std", "mean_cosine", "alignment")
    }
    assert all(math.isfinite(value) for value in both.values())
    assert "diag/alignment" not in health({"view0": z})
    assert "diag/alignment" not in health({"view0": z, "view1": z[:-1]})
    assert health({"prediction": z})["diag/rankme"] == both["diag/rankme"]
    assert health({}) == {}
    assert health({"view0": z[:1]}) == {}
    assert health({"view0": torch.full((3, 2), math.nan)}) == {"diag/finite": 0.0}
    assert math.isfinite(health({"view0": z.to(torch.bfloat16)})["diag/rankme"])


def test_health_keeps_no_graph_and_changes_nothing() -> None:
    z = normal(50, 4).requires_grad_()
    before, state = z.detach().clone(), torch.get_rng_state()
    health({"view0": z, "view1": z})
    assert torch.equal(z.detach(), before)
    assert z.grad is None
    assert torch.equal(torch.get_rng_state(), state)


def test_collapse_is_named() -> None:
    z = normal(1000, 64)
    assert collapse(health({"view0": z}), 64) is None
    point = collapse(health({"view0": torch.ones(1000, 64) + 1e-3 * z}), 64)
    assert point is not None
    assert all(word in point for word in ("spread", "rank", "cosine"))
    line = collapse(health({"view0": z[:, :1] @ normal(1, 64)}), 64)
    assert line is not None
    assert "effective rank is 1.00 of 64" in line
    assert "spread" not in line
    assert collapse({"diag/finite": 0.0}, 64) == "Collapsed: embeddings are NaN or infinite."
    assert collapse(health({"view0": normal(500, 2)}), 2) is None
    assert collapse({}, 64) is None


def test_a_wide_code_of_few_things_and_a_constant_are_no_collapse() -> None:
    few = normal(1000, 8) @ normal(8, 512)
    assert collapse(health({"view0": few}), 512) is None
    assert collapse(health({"view0": normal(1000, 64) + 5.0}), 64) is None
    assert "effective rank" in str(collapse(health({"view0": normal(1000, 2) @ normal(2, 512)}), 512))


def test_health_is_cheap() -> None:
    z = normal(3000, 128)
    health({"view0": z, "view1": z})
    began = time.perf_counter()
    health({"view0": z, "view1": z})
    assert time.perf_counter() - began < 2.0  # about 0.15 s on one core
