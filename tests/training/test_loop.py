"""The loop's promises on a small method with dropout: exact resume, finite checks, accumulation, early stopping."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sslplug.contracts import Progress
from sslplug.errors import NonFiniteError, RunFolderError, UsageError
from sslplug.randomness import Rng
from sslplug.training import checkpoint
from sslplug.training.loop import Outcome, Run, TrainOptions, train
from sslplug.training.optim import OptimOptions, learning_rate, make_optimizer


@dataclass(frozen=True)
class Rows:
    values: Tensor

    def to(self, device: torch.device) -> Rows:
        return Rows(self.values.to(device))


class Noisy(nn.Module):
    """Squared distance of two noisy, dropped-out projections of the rows to the rows; counts its hooks in a buffer."""

    def __init__(self, poison: int = -1, poison_gradient: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.encoder = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.3))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("epochs", torch.zeros((), dtype=torch.int64))
        self.poison = poison
        self.poison_gradient = poison_gradient

    def forward(self, batch: Rows, rng: Rng) -> dict[str, Tensor]:
        noise = torch.randn(batch.values.shape, generator=rng.torch())
        out = self.encoder(batch.values + 0.1 * noise)
        loss = (out - batch.values).square().mean()
        if int(self.steps) == self.poison:
            # sqrt has an infinite slope at 0: a finite loss with a non-finite gradient
            loss = loss + (out * 0.0).sum().sqrt() if self.poison_gradient else loss * math.nan
        return {"distance": loss, "size": 0.01 * out.square().mean()}

    def on_epoch_start(self, progress: Progress, embed: Callable[[], Mapping[str, Tensor]]) -> None:
        self.epochs += 1

    def after_step(self, progress: Progress) -> None:
        self.steps += 1

    def observe(self, batch: Rows, rng: Rng) -> dict[str, Tensor]:
        return {"view0": batch.values}


class Lines:
    def __init__(self) -> None:
        self.seen: dict[int, dict[str, float]] = {}

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self.seen.setdefault(step, {}).update(values)

    def advance(self, step: int, values: Mapping[str, float]) -> None:
        self.seen.setdefault(step, {})["advanced"] = 1.0


def batches_of(epoch: int) -> Sequence[Rows]:
    generator = Rng.root(5).fork(epoch).torch()
    return [Rows(torch.randn(8, 6, generator=generator)) for _ in range(6)]


def run(
    folder: Path,
    method: nn.Module,
    *,
    stop_after: int | None = None,
    resume: bool = False,
    batches: Callable[[int], Sequence[Any]] = batches_of,
    clip: float | None = 1.0,
    **options: Any,
) -> tuple[Outcome, Lines]:
    settings = TrainOptions.model_validate({"epochs": 3, "log_every": 1, **options})
    optim = OptimOptions(name="adamw", lr=0.05, weight_decay=0.01, schedule="cosine", warmup=2, clip=clip)
    lines = Lines()

    def stop() -> bool:
        return stop_after is not None and max(lines.seen, default=0) >= stop_after

    job = Run(
        method=method,
        optimizer=make_optimizer(method, optim),
        optim=optim,
        options=settings,
        seed=3,
        device=torch.device("cpu"),
        batches_of=batches,
        embed=dict,
        health=lambda views: {"diag/size": float(views["view0"].abs().mean())},
        collapse=lambda values, dim: None,
        reporter=lines,
        checkpoints=folder,
        stop=stop,
    )
    found = checkpoint.newest(folder)[0] if resume else None
    return train(job, found), lines


def parameters(method: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in checkpoint.model_tensors(method).values()]


@pytest.mark.parametrize("at", [1, 5, 6, 7, 17])
def test_stop_and_resume_is_bit_identical(tmp_path: Path, at: int) -> None:
    whole = Noisy()
    outcome, lines = run(tmp_path / "whole", whole)
    assert (outcome.step, outcome.stopped) == (18, False)
    part = Noisy()
    stopped, first = run(tmp_path / "part", part, stop_after=at)
    assert stopped.stopped
    assert stopped.step == at
    again = Noisy()
    finished, second = run(tmp_path / "part", again, resume=True)
    assert finished.step == 18
    for left, right in zip(parameters(whole), parameters(again), strict=True):
        assert torch.equal(left, right), "resumed parameters differ from the uninterrupted run's"
    joined = {**first.seen, **second.seen}
    for step, values in lines.seen.items():
        assert joined[step]["train/loss"] == values["train/loss"], f"the loss at step {step} differs"


class Gathers(Noisy):
    """Asks for rows many times over: the gradient of ``x[i]`` sums over equal ``i``, and threads may do so in any order."""

    def forward(self, batch: Rows, rng: Rng) -> dict[str, Tensor]:
        rows = self.encoder(torch.cat([batch.values] * 40))
        picked = torch.randint(len(rows), (60_000,), generator=rng.torch())
        return {"distance": (rows[picked] * torch.randn(60_000, 1, generator=rng.torch())).square().mean()}


def test_runs_repeat_bit_for_bit_with_several_threads(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(max(threads, 4))
    try:
        ends = []
        for number in range(3):
            method = Gathers()
            run(tmp_path / str(number), method, max_steps=6)
            ends.append(parameters(method))
    finally:
        torch.set_num_threads(threads)
    for end in ends[1:]:
        assert all(torch.equal(left, right) for left, right in zip(ends[0], end, strict=True))
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.parametrize("most", [4, 6, 8])
def test_a_run_ends_after_its_most_steps(tmp_path: Path, most: int) -> None:
    """Within an epoch and at its end; rates follow the shorter run, and a stop on the way changes no bit of it."""
    short = Noisy()
    outcome, lines = run(tmp_path / "short", short, max_steps=most)
    assert (outcome.step, outcome.stopped, sorted(lines.seen)[-1]) == (most, False, most)
    assert checkpoint.newest(tmp_path / "short")[0].state["finished"]
    rates = OptimOptions(name="adamw", lr=0.05, schedule="cosine", warmup=2)
    assert [lines.seen[step]["train/lr"] for step in range(1, most + 1)] == [
        learning_rate(rates, step, most) for step in range(most)
    ], "the schedule is the shorter run's"
    part, again = Noisy(), Noisy()
    run(tmp_path / "part", part, stop_after=3, max_steps=most)
    assert run(tmp_path / "part", again, resume=True, max_steps=most)[0].step == most
    assert all(torch.equal(a, b) for a, b in zip(parameters(short), parameters(again), strict=True))


@pytest.mark.parametrize("due", [1, 4])
def test_the_last_checkpoint_of_a_shortened_run_says_that_it_is_finished(tmp_path: Path, due: int) -> None:
    outcome, _ = run(tmp_path, Noisy(), max_steps=4, checkpoint_every=due)
    assert outcome.step == 4
    assert checkpoint.newest(tmp_path)[0].state["finished"], "a checkpoint that was due at the last step stands for the end"


def test_more_steps_than_the_epochs_hold_change_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, Noisy(), max_steps=99)[0].step == 18


def test_workers_change_no_number(tmp_path: Path) -> None:
    alone, helped = Noisy(), Noisy()
    run(tmp_path / "a", alone, epochs=1)
    run(tmp_path / "b", helped, epochs=1, workers=2)
    assert all(torch.equal(a, b) for a, b in zip(parameters(alone), parameters(helped), strict=True))


def test_global_randomness_is_not_needed(tmp_path: Path) -> None:
    first, second = Noisy(), Noisy()
    run(tmp_path / "a", first)
    torch.manual_seed(99)
    run(tmp_path / "b", second)
    assert all(torch.equal(a, b) for a, b in zip(parameters(first), parameters(second), strict=True))


@pytest.mark.parametrize(
    "looked_at", [{"log_every": 1, "clip": None}, {"log_every": 100, "clip": 1.0}, {"log_every": 100, "clip": None}]
)
@pytest.mark.parametrize("gradient", [False, True])
def test_non_finite_never_reaches_the_optimiser(tmp_path: Path, gradient: bool, looked_at: dict[str, Any]) -> None:
    """Whether or not the step needs the gradient's norm for its log or for clipping."""
    healthy = Noisy()
    run(tmp_path / "good", healthy, stop_after=4, **looked_at)
    poisoned = Noisy(poison=4, poison_gradient=gradient)
    with pytest.raises(NonFiniteError, match=r"Step 4: loss .* expected finite numbers"):
        run(tmp_path / "bad", poisoned, **looked_at)
    for left, right in zip(parameters(healthy), parameters(poisoned), strict=True):
        assert torch.equal(left, right), "the bad step changed a parameter"
    found, _ = checkpoint.newest(tmp_path / "bad")
    assert found.state["step"] == 4
    again = Noisy()
    run(tmp_path / "bad", again, resume=True, **looked_at)
    whole = Noisy()
    run(tmp_path / "whole", whole, **looked_at)
    assert all(torch.equal(a, b) for a, b in zip(parameters(whole), parameters(again), strict=True))


class Mean(Noisy):
    """A mean over rows without randomness: micro-batches must average to the joined batch."""

    def forward(self, batch: Rows, rng: Rng) -> dict[str, Tensor]:
        return {"distance": (self.encoder[0](batch.values) - batch.values).square().mean()}


def test_accumulation_equals_the_joined_batch(tmp_path: Path) -> None:
    def joined(epoch: int) -> Sequence[Rows]:
        parts = batches_of(epoch)
        return [Rows(torch.cat([a.values, b.values])) for a, b in zip(parts[::2], parts[1::2], strict=True)]

    small, large = Mean().double(), Mean().double()
    double = [lambda epoch, f=f: [Rows(rows.values.double()) for rows in f(epoch)] for f in (batches_of, joined)]
    run(tmp_path / "a", small, accumulate=2, batches=double[0])
    run(tmp_path / "b", large, batches=double[1])
    for left, right in zip(parameters(small), parameters(large), strict=True):
        assert torch.allclose(left.double(), right.double(), rtol=0, atol=1e-12)


def test_patience_restores_the_best(tmp_path: Path) -> None:
    class Rising(Noisy):
        """The loss falls for two epochs and rises after."""

        def forward(self, batch: Rows, rng: Rng) -> dict[str, Tensor]:
            level = [3.0, 1.0, 2.0, 2.5, 4.0, 5.0][min(int(self.steps) // 6, 5)]
            return {"level": level + 0.0 * super().forward(batch, rng)["distance"] + 0.0 * self.encoder[0].bias.sum()}

    method = Rising()
    outcome, _ = run(tmp_path, method, epochs=6, patience=2)
    assert outcome.step == 24, "two epochs after the best, training ends"
    assert int(method.steps) == 12, "the state after the best epoch is restored"
    assert checkpoint.newest(tmp_path)[0].state["finished"]


def test_autocast_trains_to_nearly_the_same_loss(tmp_path: Path) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        _, lines = run(tmp_path / precision, Noisy(), epochs=5, precision=precision)
        losses[precision] = lines.seen[30]["train/loss"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)


def test_zero_epochs_trains_nothing(tmp_path: Path) -> None:
    before = Noisy()
    outcome, _ = run(tmp_path, method := Noisy(), epochs=0)
    assert outcome.step == 0
    assert all(torch.equal(a, b) for a, b in zip(parameters(before), parameters(method), strict=True))


def test_too_few_batches_to_accumulate(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="6 batches an epoch for train.accumulate 7"):
        run(tmp_path, Noisy(), accumulate=7)


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path) -> None:
    method = Noisy()
    run(tmp_path, method, checkpoint_every=6)
    newest = checkpoint.published(tmp_path)[-1]
    file = newest / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-7])
    found, complaints = checkpoint.newest(tmp_path)
    assert found.state["step"] == 12
    assert "model.safetensors: missing, or not the file that was written" in complaints[0]
    (found.folder / "MANIFEST.json").write_text("{")
    with pytest.raises(RunFolderError, match="no usable checkpoint.*Start the run anew"):
        checkpoint.newest(tmp_path)


def test_a_full_disk_leaves_the_former_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method = Noisy()
    run(tmp_path, method, stop_after=3)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(RunFolderError, match=r"could not be written.*No space left.*Earlier checkpoints are untouched"):
        run(tmp_path, Noisy(), resume=True)
    monkeypatch.undo()
    assert checkpoint.newest(tmp_path)[0].state["step"] == 3
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")], "a half-written folder is left"


def test_only_the_newest_are_kept_and_state_is_plain(tmp_path: Path) -> None:
    run(tmp_path, Noisy(), checkpoint_every=2, keep=3)
    folders = checkpoint.published(tmp_path)
    assert [folder.name for folder in folders] == ["step-000014", "step-000016", "step-000018"]
    assert sorted(path.name for path in folders[0].iterdir()) == [
        "MANIFEST.json", "model.safetensors", "optim.safetensors", "state.json",
    ]  # fmt: skip
    assert json.loads((folders[-1] / "state.json").read_text())["finished"] is True


def test_loading_another_model_names_the_difference(tmp_path: Path) -> None:
    run(tmp_path, Noisy(), stop_after=1)
    found, _ = checkpoint.newest(tmp_path)
    with pytest.raises(RunFolderError, match=r"missing \['weight'\]"):
        checkpoint.load_model(nn.Linear(2, 2, bias=False), found.model, found.folder)
