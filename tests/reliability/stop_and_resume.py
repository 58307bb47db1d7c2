"""Stopped at a random step and resumed, is the last checkpoint bit for bit that of an uninterrupted run?

For every plugin: each objective that any of its recipes can train with (the recipe's objective replaced), and every recipe as it
ships, so that every method is among them. Published data are replaced by generated or embedded data of the same plugin where
the recipe fits them; epochs are cut to a few batches. Parameters, buffers, the optimiser's moments and the loop's state are compared.

    python tests/reliability/stop_and_resume.py [--plugin graph] [--sample 20]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from sslplug import discovery
from sslplug.build import build_data, compose, recipe_tags, schema_of
from sslplug.contracts import DataContext, DomainData, Progress
from sslplug.errors import RecipeError, SslplugError
from sslplug.evaluation import embed
from sslplug.randomness import Rng
from sslplug.recipe import Resolved, Schema, apply_overrides, read_recipe, resolve
from sslplug.stages.session import Session
from sslplug.stages.train import loop_run
from sslplug.training import checkpoint
from sslplug.training.loop import train

BATCHES, EPOCHS = 3, 3
ROWS = {"lidar": 4}
"""Rows of a batch, where a row is a cloud of thousands of points; else 32."""
FULL_BATCH_EPOCHS = 7
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Case:
    """One pair: a plugin's recipe, as it ships (objective "") or with another objective."""

    plugin: str
    recipe: str
    objective: str

    def __str__(self) -> str:
        return f"{self.plugin}/{self.recipe}" + (f" with {self.objective}" if self.objective else "")


@cache
def schema(plugin: str) -> Schema:
    return schema_of(discovery.load(plugin))


@cache
def raw_recipes(plugin: str) -> Mapping[str, dict[str, Any]]:
    """The plugin's recipes, the default first."""
    loaded = discovery.load(plugin)
    found = {name: read_recipe(file) for name, file in discovery.recipes_of(loaded).items()}
    return {loaded.default_recipe: found[loaded.default_recipe], **found}


@cache
def offline(plugin: str) -> Mapping[str, Any]:
    """{data name: its section} of the data in recipes that need no file."""
    found: dict[str, Any] = {}
    for name, raw in raw_recipes(plugin).items():
        section = raw["data"] if isinstance(raw["data"], dict) else {"name": raw["data"]}
        if section["name"] in found:
            continue
        try:
            data_of(plugin, str(sorted(section.items())), resolved(plugin, name, section, ""))
        except SslplugError:
            continue
        found[section["name"]] = section
    return found


_DATA: dict[tuple[str, str], DomainData] = {}


def data_of(plugin: str, key: str, recipe: Resolved) -> DomainData:
    """The recipe's data, built once; without a data root nothing but generated and embedded data is there."""
    if (plugin, key) not in _DATA:
        _DATA[plugin, key] = build_data(recipe, DataContext(None, Path("no-cache"), seed=0))
    return _DATA[plugin, key]


def resolved(plugin: str, name: str, data: Any, objective: str) -> Resolved:
    """The recipe with this data and objective, a few short epochs, a line a step."""
    raw = {**raw_recipes(plugin)[name], "data": data}
    if objective:
        raw["objective"] = objective
    # NT-Xent of pytorch-metric-learning is cubic in the batch.
    rows = ROWS.get(plugin, 32)
    size = rows if objective == "metric_learning" else raw.get("train", {}).get("batch_size", 0)
    changes = [
        "train.workers=0",
        "train.log_every=1",
        "train.observe_every=2",
        "train.checkpoint_every=0",
        "train.patience=0",
    ]
    changes += [f"train.batch_size={min(size, rows)}", f"train.epochs={EPOCHS if size else FULL_BATCH_EPOCHS}"]
    raw = apply_overrides(raw, [*changes, "train.accumulate=1"])
    return resolve(raw, schema(plugin), f"{name}.yaml", recipe_tags(raw))


def wishes_of(plugin: str) -> list[Case]:
    """Every recipe as it ships, and every objective with whichever recipe takes it (recipe "")."""
    return [Case(plugin, name, "") for name in raw_recipes(plugin)] + [
        Case(plugin, "", name) for name in schema(plugin).tables["objective"]
    ]


def granted(wish: Case) -> Case | None:
    """The wish with a recipe: the first that takes the objective, on data that are here, and scores a batch by it."""
    if wish.recipe:
        return wish
    able = [
        case for name in raw_recipes(wish.plugin) if opened_data(case := Case(wish.plugin, name, wish.objective)) is not None
    ]
    return next((case for case in able if takes_a_step(case)), able[0] if able else None)


def takes_a_step(case: Case) -> bool:
    """Whether the method scores a batch of these data with this objective; what it says otherwise is said again when it is tried."""
    session = opened(case)
    assert session is not None  # the caller asks
    composed = session.composed
    try:
        composed.method.on_epoch_start(Progress(0, 1, 0, 1), lambda: embedded(session))  # type: ignore[operator]
        terms = composed.method(composed.batches_of(0)[0], Rng.root(0).fork(0, 0))
        return all(bool(term.isfinite()) for term in terms.values())
    except SslplugError:
        return False


def embedded(session: Session) -> Mapping[str, torch.Tensor]:
    rows = embed(session.composed.method.encoder, session.composed.data.rows(), CPU)  # type: ignore[arg-type]
    return {level: torch.from_numpy(values) for level, values in rows.items()}


@cache
def opened_data(case: Case) -> tuple[Resolved, str] | None:
    """The recipe on the first data that are here and that all its parts can be built on; None where there are none."""
    own = raw_recipes(case.plugin)[case.recipe]["data"]
    own = own if isinstance(own, dict) else {"name": own}
    sections = [own] if own["name"] in offline(case.plugin) else list(offline(case.plugin).values())
    for section in sections:
        key = str(sorted(section.items()))
        try:
            recipe = resolved(case.plugin, case.recipe, section, case.objective)
            data = data_of(case.plugin, key, recipe)
            compose(recipe, schema(case.plugin), data, CPU)
        except (RecipeError, SslplugError):
            continue
        return recipe, key
    return None


def opened(case: Case) -> Session | None:
    """All objects of the case, made anew; None where it cannot be built."""
    found = opened_data(case)
    if found is None:
        return None
    recipe, key = found
    composed = compose(recipe, schema(case.plugin), data_of(case.plugin, key, recipe), CPU)
    whole = composed.batches_of
    composed = replace(composed, batches_of=lambda epoch: _First(whole(epoch)))
    return Session(recipe, schema(case.plugin), composed, CPU)


class _First:
    """The first batches of an epoch."""

    def __init__(self, batches: Any) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return min(BATCHES, len(self.batches))

    def __getitem__(self, index: int) -> Any:
        return self.batches[index]


class Steps:
    """Counts the loop's steps."""

    def __init__(self) -> None:
        self.done = 0

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""

    def advance(self, step: int, values: Mapping[str, float]) -> None:
        self.done = step


def trained(case: Case, folder: Path, stop_at: int | None, resume: bool, settle: bool = True) -> checkpoint.Checkpoint:
    """Train a fresh session to the end, to a stop, or on from one; the newest checkpoint."""
    session = opened(case)
    assert session is not None  # granted() gives no others
    torch.manual_seed(random.randrange(2**31))  # what another process would find
    steps = Steps()
    found = checkpoint.newest(folder / "checkpoints")[0] if resume else None
    if found is not None and not settle:
        found = replace(found, optim={name: tensor * 0.9 for name, tensor in found.optim.items()})
    train(loop_run(session, folder, steps, lambda: stop_at is not None and steps.done >= stop_at), found)
    return checkpoint.newest(folder / "checkpoints")[0]


def fault(case: Case, place: Path, dice: random.Random, settle: bool = True) -> tuple[int, str]:
    """(steps of the run, a sentence where the resumed run differs from the whole one or "")."""
    whole = trained(case, place / "whole", None, False)
    last = int(whole.state["step"])
    stop = dice.randrange(1, last)
    part = trained(case, place / "part", stop, False)
    if part.state["step"] != stop or part.state["finished"]:
        return last, f"stopped at step {part.state['step']} of {last}; was told to after {stop}"
    again = trained(case, place / "part", None, True, settle)
    for what in ("model", "optim"):
        ours, theirs = getattr(again, what), getattr(whole, what)
        if ours.keys() != theirs.keys():
            return last, f"other {what} tensors after a stop at step {stop}"
        apart = [name for name in ours if not same(ours[name], theirs[name])]
        if apart:
            return last, f"{len(apart)} of {len(ours)} {what} tensors differ after a stop at step {stop}, such as {apart[0]}"
    left, right = ({k: v for k, v in found.state.items() if k != "seconds"} for found in (again, whole))
    if str(left) != str(right):  # as text: NaN is itself
        return last, f"the state differs after a stop at step {stop}: {left} instead of {right}"
    return last, ""


def same(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Bit for bit, whatever the numbers are."""
    return left.dtype == right.dtype and left.shape == right.shape and left.numpy().tobytes() == right.numpy().tobytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", action="append", help="Only this one; may be given again.")
    parser.add_argument("--sample", type=int, help="Only so many cases, drawn at random from those of all plugins.")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="Draws stops and sample.")
    parser.add_argument("--spoil", action="store_true", help="Change the optimiser's moments at resume: must be found.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    dice = random.Random(options.seed)
    names = options.plugin or [found.name for found in discovery.list_plugins() if found.distribution == "sslplug"]
    began = time.perf_counter()
    wishes = [wish for name in names for wish in wishes_of(name)]
    if options.sample is not None:
        wishes = dice.sample(wishes, min(options.sample, len(wishes)))
    listed = [case for wish in wishes if (case := granted(wish)) is not None]
    skipped = [case for case in listed if opened_data(case) is None]
    ready = [case for case in listed if case not in set(skipped)]
    bad = steps = 0
    refused = []
    ram = "/dev/shm" if Path("/dev/shm").is_dir() else None
    for case in ready:
        with tempfile.TemporaryDirectory(dir=ram) as place:
            try:
                count, sentence = fault(case, Path(place), dice, not options.spoil)
            except (
                SslplugError
            ) as error:  # these data are not what the recipe was made for: one graph where it contrasts many
                refused.append(case)
                print(f"none  {case}  {error}", flush=True)
                continue
            except Exception:
                count, sentence = 0, traceback.format_exc()
        steps += count
        bad += bool(sentence)
        print(f"{'FAIL' if sentence else 'same'}  {case}  {sentence}".rstrip(), flush=True)
    for name in names:
        mine = [case for case in ready if case.plugin == name and case not in refused]
        objectives = sum(bool(case.objective) for case in mine)
        left = ", ".join(case.recipe for case in (*skipped, *refused) if case.plugin == name)
        print(
            f"{name}: {objectives} objectives, {len(mine) - objectives} recipes"
            + (f"; not on data that are here: {left}" if left else "")
        )
    print(
        f"seed {options.seed}: {len(ready) - len(refused)} cases, {steps} steps, {bad} not bit-identical, {time.perf_counter() - began:.0f} s"
    )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
