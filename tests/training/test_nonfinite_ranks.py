"""NaN and infinity in the input, the loss or the gradient, on every rank or on one alone: the optimiser never steps, nobody hangs."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn

from sslplug.contracts import Progress
from sslplug.errors import NonFiniteError
from sslplug.randomness import Rng
from sslplug.training import checkpoint
from sslplug.training.loop import Run, TrainOptions, train
from sslplug.training.optim import OptimOptions, make_optimizer

AT = 3
"""The step that is poisoned."""
CASES = [
    (place, value, ranks, looked)
    for place, value, ranks in itertools.product(("input", "loss", "gradient"), ("nan", "inf"), ((0,), (1,), (0, 1)))
    for looked in ({"log_every": 1}, {"log_every": 100})
]


@dataclass(frozen=True)
class Rows:
    values: Tensor

    def to(self, device: torch.device) -> Rows:
        return Rows(self.values.to(device))


class Poison(torch.autograd.Function):
    """The identity; its gradient is all of one value."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: float) -> Tensor:
        ctx.value = value
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return torch.full_like(gradient, ctx.value), None


class Spoilt(nn.Module):
    """Squared distance to the rows, spoilt at one step on this rank or not."""

    def __init__(self, place: str, value: float) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.encoder = nn.Linear(4, 4)
        self.place, self.value, self.step = place, value, 0
        self.before: list[Tensor] = []

    def forward(self, batch: Rows, rng: Rng) -> dict[str, Tensor]:
        here = self.step == AT
        self.before = [parameter.detach().clone() for parameter in self.parameters()]
        rows = batch.values.clone()
        if here and self.place == "input":
            rows[1, 2] = self.value
        out = self.encoder(rows)
        if here and self.place == "gradient":
            out = Poison.apply(out, self.value)
        loss = (out - rows).square().mean()
        return {"distance": loss + self.value if here and self.place == "loss" else loss}

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        """Nothing."""

    def after_step(self, progress: Progress) -> None:
        self.step += 1

    def observe(self, batch: Rows, rng: Rng) -> dict[str, Tensor]:
        return {"view0": batch.values}


class Silent:
    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def advance(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""


def batches(epoch: int) -> list[Rows]:
    generator = Rng.root(5).fork(epoch).torch()
    return [Rows(torch.randn(8, 4, generator=generator)) for _ in range(6)]


def fault(folder: Path, place: str, value: str, here: bool, looked: Mapping[str, int]) -> str:
    """What is wrong with a poisoned run on this rank, or nothing."""
    method = Spoilt(place if here else "nothing", float(value))
    optim = OptimOptions(name="adamw", lr=0.05, clip=None)
    job = Run(
        method=method, optimizer=make_optimizer(method, optim), optim=optim,
        options=TrainOptions.model_validate({"epochs": 2, **looked}), seed=3, device=torch.device("cpu"), batches_of=batches,
        embed=dict, health=lambda views: {}, collapse=lambda values, dim: None, reporter=Silent(), checkpoints=folder,
        stop=lambda: False,
    )  # fmt: skip
    try:
        train(job)
    except NonFiniteError as error:
        if f"Step {AT}: " not in str(error):
            return f"another step: {error}"
    else:
        return "trained on"
    if method.step != AT:
        return f"stopped at step {method.step}"
    now = list(method.parameters())
    if not all(torch.equal(a, b) for a, b in zip(method.before, now, strict=True)):
        return "the parameters moved"
    if any(not bool(parameter.isfinite().all()) for parameter in now):
        return "the parameters are spoilt"
    return ""


def rank_main(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = {}
    for number, (place, value, ranks, looked) in enumerate(CASES):
        found[str(CASES[number])] = fault(Path(folder) / str(number), place, value, rank in ranks, looked)
        dist.barrier()
    Path(folder, f"found{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def test_a_bad_number_on_any_rank_stops_every_rank_before_the_step(tmp_path: Path) -> None:
    mp.start_processes(rank_main, (os.fspath(tmp_path),), nprocs=2, start_method="spawn")  # type: ignore[no-untyped-call]
    for rank in (0, 1):
        found = json.loads((tmp_path / f"found{rank}.json").read_text())
        assert len(found) == len(CASES)
        assert {case: said for case, said in found.items() if said} == {}
    for number in range(len(CASES)):
        state = checkpoint.newest(tmp_path / str(number))[0]
        assert state.state["step"] == AT
        assert all(bool(tensor.isfinite().all()) for tensor in [*state.model.values(), *state.optim.values()])


@pytest.mark.parametrize("place", ["input", "loss", "gradient"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_bad_number_in_one_process(tmp_path: Path, place: str, value: str) -> None:
    assert fault(tmp_path, place, value, True, {"log_every": 100}) == ""


def test_a_healthy_run_is_called_a_fault_here(tmp_path: Path) -> None:
    """So that the tests above can fail."""
    assert fault(tmp_path, "loss", "0.5", True, {"log_every": 1}) == "trained on"
