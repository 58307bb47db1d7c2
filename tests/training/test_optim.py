"""Schedules, LARS and clipping against their formulas."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from sslplug.training.checkpoint import load_optimizer, optimizer_tensors
from sslplug.training.optim import FiniteGradients, OptimOptions, clip_gradient, gradient_norm, learning_rate, make_optimizer


def test_warmup_then_cosine() -> None:
    options = OptimOptions(lr=2.0, warmup=4, schedule="cosine")
    rates = [learning_rate(options, step, 12) for step in range(13)]
    assert rates[:4] == [0.5, 1.0, 1.5, 2.0]
    assert rates[4] == 2.0
    assert rates[8] == pytest.approx(1.0)
    assert rates[12] == pytest.approx(0.0)
    assert all(a > b for a, b in zip(rates[4:], rates[5:], strict=False))


def test_constant_schedule_stays() -> None:
    options = OptimOptions(lr=0.3)
    assert {learning_rate(options, step, 5) for step in range(5)} == {0.3}


def test_lars_scales_matrices_and_spares_vectors() -> None:
    layer = nn.Linear(3, 2).double()
    options = OptimOptions(name="lars", lr=0.5, momentum=0.9, trust=0.02, weight_decay=0.1)
    optimizer = make_optimizer(layer, options)
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        layer.weight.grad = torch.randn(2, 3, generator=generator, dtype=torch.float64)
        layer.bias.grad = torch.randn(2, generator=generator, dtype=torch.float64)
        step = layer.weight.grad + 0.1 * weight
        velocity[0] = 0.9 * velocity[0] + 0.02 * weight.norm() / step.norm() * step
        velocity[1] = 0.9 * velocity[1] + layer.bias.grad
        optimizer.step()
        weight, bias = weight - 0.5 * velocity[0], bias - 0.5 * velocity[1]
        assert torch.allclose(layer.weight, weight, atol=1e-14)
        assert torch.allclose(layer.bias, bias, atol=1e-14)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "lars"])
def test_every_optimiser_solves_a_small_problem_and_restores(name: str) -> None:
    def problem() -> tuple[nn.Linear, torch.optim.Optimizer]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            layer = nn.Linear(4, 1)
        return layer, make_optimizer(layer, OptimOptions(name=name, lr=0.3 if name == "lars" else 0.05))

    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(2))
    y = x @ torch.tensor([1.0, -2.0, 0.5, 3.0]) + 1.0

    def advance(layer: nn.Linear, optimizer: torch.optim.Optimizer, steps: int) -> float:
        loss = torch.zeros(())
        for _ in range(steps):
            optimizer.zero_grad()
            loss = (layer(x)[:, 0] - y).square().mean()
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    whole, optimizer = problem()
    start = advance(whole, optimizer, 1)
    end = advance(whole, optimizer, 299)
    assert end < 0.05 * start, f"{name} did not solve least squares: {start} to {end}"
    part, first = problem()
    advance(part, first, 120)
    copy, second = problem()
    copy.load_state_dict(part.state_dict())
    load_optimizer(second, optimizer_tensors(first), Path("optim.safetensors"))
    advance(copy, second, 180)
    assert torch.equal(copy.weight, whole.weight)


def test_decay_all_false_spares_vectors() -> None:
    layer = nn.Linear(3, 2)
    groups = make_optimizer(layer, OptimOptions(name="adamw", weight_decay=0.5, decay_all=False)).param_groups
    assert [(group["weight_decay"], [p.ndim for p in group["params"]]) for group in groups] == [(0.5, [2]), (0.0, [1])]


def test_norm_and_clip() -> None:
    layer = nn.Linear(2, 2)
    layer.weight.grad = torch.full((2, 2), 3.0)
    layer.bias.grad = torch.full((2,), 4.0)
    parameters = list(layer.parameters())
    norm = float(gradient_norm(parameters))
    assert norm == pytest.approx(math.sqrt(4 * 9 + 2 * 16))
    clip_gradient(parameters, norm, 1.0)
    assert float(gradient_norm(parameters)) == pytest.approx(1.0, rel=1e-5)
    clip_gradient(parameters, 1.0, 2.0)
    assert float(gradient_norm(parameters)) == pytest.approx(1.0, rel=1e-5)
    layer.bias.grad[0] = math.inf
    assert not math.isfinite(float(gradient_norm(parameters)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_finite_gradients(dtype: torch.dtype) -> None:
    """Any bad entry of any gradient is seen, again and again; good ones keep their bits, the smallest and largest too."""
    parameters = [nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape in [(3, 5), (7,), (), (40, 33)]]
    check = FiniteGradients(parameters, torch.device("cpu"))
    assert check()  # no gradient at all
    for parameter in parameters[1:]:
        parameter.grad = torch.randn(parameter.shape).to(dtype)
    extremes = [torch.finfo(dtype).max, torch.finfo(dtype).tiny, -torch.finfo(dtype).max, 0.0]
    parameters[3].grad[:, :4] = torch.tensor(extremes, dtype=dtype)
    kept = [p.grad.clone() for p in parameters[1:]]
    assert check()
    for parameter, grad in zip(parameters[1:], kept, strict=True):
        assert torch.equal(parameter.grad, grad)
    for bad in (math.nan, math.inf, -math.inf):
        for parameter in parameters[1:]:
            last = parameter.grad.view(-1)[-1].item()
            parameter.grad.view(-1)[-1] = bad
            assert not check()
            parameter.grad.view(-1)[-1] = last
            assert check()
