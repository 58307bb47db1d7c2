"""Checks of the default recipe as a run: it trains, repeats, resumes, exports, and is worth something where that is claimed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from sslplug.build import build_encoder
from sslplug.contracts import Task
from sslplug.diagnostics import collapse, health
from sslplug.errors import UsageError
from sslplug.evaluation import embed
from sslplug.exporting.archive import load_program
from sslplug.exporting.form import forms_of
from sslplug.exporting.parity import BOUND, difference, looks_at
from sslplug.exporting.program import Program, traced
from sslplug.randomness import Rng
from sslplug.testing.global_state import global_state
from sslplug.testing.leaves import differences, snapshot
from sslplug.testing.once import NotApplicable
from sslplug.testing.short_run import CPU, STEPS, Runs
from sslplug.training import checkpoint


def trains(runs: Runs) -> str:
    """A few steps of the default recipe run, and every term is a finite scalar.

    Mend: run `sslplug train` with this recipe and `--debug`; look for log(0) and 0/0 in the objective and the views.
    """
    whole = runs.whole.own()
    found = [values for values in whole.heard.found.values() if "train/loss" in values]
    if not found:
        return "no step was reported; expected one loss a step."
    terms = {name for values in found for name in values if name.startswith("train/loss/")}
    return "" if terms else "the loss has no named term; expected method(batch, rng) to give {term: scalar}."


def repeats(runs: Runs) -> str:
    """One seed gives one start, another seed another, and composing leaves global randomness as it was.

    Mend: initialise parameters with torch's functions, which the engine seeds; seed nothing yourself.
    """
    whole = runs.whole.lend()
    before = global_state()
    again = runs.compose().method
    moved = [which for which, state in global_state().items() if state != before[which]]
    if moved:
        return f"building the run moved the global generator of {' and '.join(moved)}; expected it where it was."
    changed = differences(snapshot(dict(whole.start)), snapshot(checkpoint.model_tensors(again)))
    if changed:
        return f"built twice with one seed, {', '.join(changed[:5])} differ; expected the same start."
    return ""


def gradients(runs: Runs) -> str:
    """Every trainable parameter of the method beside the encoder gets a gradient that is not zero within a few steps.

    Mend: use the parameter, or leave it out; a teacher's belong to requires_grad_(False).
    """
    whole = runs.whole.lend()
    encoder = {id(parameter) for parameter in whole.composed.method.encoder.parameters()}  # type: ignore[union-attr]
    named = dict(whole.composed.method.named_parameters())
    dead = [name for name in whole.dead if id(named[name]) not in encoder]  # an encoder may have levels to spare
    return f"no step gives a gradient to {', '.join(dead[:5])}; expected one that is not zero for each." if dead else ""


def learns(runs: Runs) -> str:
    """Training moves the encoder that is judged.

    Mend: Method.encoder must be the module whose parameters the loss reaches, not a copy.
    """
    whole = runs.whole.lend()
    own = [name for name in whole.start if name.startswith("encoder.")]
    if own and all(torch.equal(whole.start[name], whole.end[name]) for name in own):
        return f"after {len(whole.heard.found)} steps the encoder is where it started; expected it to move."
    return ""


def batch_unchanged(runs: Runs) -> str:
    """A training step writes nothing into its batch.

    Mend: let views and method work on copies (dataclasses.replace).
    """
    runs.whole.lend()
    composed = runs.compose()
    batch = composed.batches_of(0)[0]
    before = snapshot(batch)
    with torch.random.fork_rng(devices=[]):
        composed.method.train()(batch, Rng.root(0))
    changed = differences(before, snapshot(batch))
    return f"the method wrote into the batch at {', '.join(changed[:5])}; expected it unchanged." if changed else ""


def observe(runs: Runs) -> str:
    """``observe`` gives "view0" as (n, d) rows without gradients, and changes neither parameters, modes nor generators.

    Mend: wrap it in sslplug.contracts.observing, and return what the objective compares.
    """
    runs.whole.lend()
    composed = runs.compose()
    method = composed.method.train()
    batch = composed.batches_of(0)[0]
    state, modes, generators = snapshot(method.state_dict()), [m.training for m in method.modules()], global_state()
    seen: Mapping[str, Tensor] = method.observe(batch, Rng.root(0))  # type: ignore[operator]
    rows = seen.get("view0")
    if rows is None or rows.ndim != 2 or rows.requires_grad:
        found = sorted(seen) if rows is None else f"{tuple(rows.shape)}, gradient {rows.requires_grad}"
        return f"observe gave {found}; expected 'view0' as (n, d) rows without a gradient."
    if [m.training for m in method.modules()] != modes:
        return "observe left modules in another mode; expected them as they were."
    changed = differences(state, snapshot(method.state_dict()))
    moved = [which for which, found in global_state().items() if found != generators[which]]
    if changed or moved:
        return f"observe changed {', '.join([*changed[:5], *moved])}; expected nothing to move."
    return ""


def resume(runs: Runs) -> str:
    """Stopped half-way and resumed by objects made anew, a run ends with bit-identical parameters.

    Mend: keep all that training changes in parameters and buffers, and draw from rng alone; dropout may use torch's generator.
    """
    whole, resumed = runs.whole.lend(), runs.resumed.own()
    apart = [name for name, tensor in whole.end.items() if not torch.equal(tensor, resumed.end[name])]
    return f"after stop and resume {', '.join(apart[:5])} differ; expected the same bits." if apart else ""


def frozen(runs: Runs) -> str:
    """The encoder of a checkpoint, put into one built anew from the recipe, embeds all rows to the same bits.

    Mend: build the encoder from its options and spec alone, and keep what it learns in parameters and persistent buffers.
    """
    trained: Any = runs.whole.lend().composed.method.encoder
    views = runs.material.clean[:1]
    first, second = embed(trained, views, CPU), embed(_restored(runs), views, CPU)
    apart = [level for level in first if not np.array_equal(first[level], second[level])]
    return f"restored, the encoder embeds level {', '.join(apart)} otherwise; expected the same bits." if apart else ""


def exports(runs: Runs) -> str:
    """The frozen encoder as a program (`sslplug export`), saved and read again, says what the encoder says.

    Mend: let forward do the same while torch traces it, and take lengths from the view's tensors, not from numbers beside them.
    """
    encoder = _restored(runs).eval().requires_grad_(False)
    name = runs.material.default.picked["encoder"].name
    try:
        programs = [traced(encoder, name, form) for form in forms_of(encoder, iter(runs.material.clean))]
    except UsageError as error:  # views of several forms, or an encoder that torch cannot trace
        raise NotApplicable(f"`sslplug export` writes no program of it: {error}") from error
    return next(filter(None, (_said_otherwise(encoder, program) for program in programs)), "")


def _said_otherwise(encoder: Any, program: Program) -> str:
    with tempfile.TemporaryDirectory(prefix="sslplug-check-") as folder:
        file = Path(folder) / "encoder.pt2"
        file.write_bytes(program.saved())
        read = load_program(file).module()
    for look in looks_at(encoder, program):
        try:
            with torch.no_grad():
                said = read(**look.tensors)
        except Exception as error:  # whatever a program raises
            if not look.whole:
                continue
            return f"the exported program refuses rows of the data ({look.described()}): {error}; expected embeddings."
        for level, expected in look.said.items():
            off = difference(expected, said[level])
            if not off <= BOUND:
                return (
                    f"the exported program says otherwise at level {level}, by {off:.1e} of its largest value, on "
                    f"{look.described()}; expected at most {BOUND:.0e}."
                )
    return ""


def _restored(runs: Runs) -> nn.Module:
    """An encoder built anew from the recipe, with the weights of the run's checkpoint."""
    whole, material = runs.whole.lend(), runs.material
    kept = {name: t for name, t in whole.checkpoint.model.items() if name.startswith("encoder.")}
    weights = {name.removeprefix("encoder."): tensor for name, tensor in kept.items()}
    fresh = build_encoder(material.default, material.data.spec, CPU)
    checkpoint.load_model(fresh, weights, Path("checkpoint"))
    return fresh


def beats_untrained(runs: Runs) -> str:
    """After 60 steps of the default recipe a linear probe beats the same probe on the untrained encoder (a claim).

    Mend: look for views that destroy what the task needs, and at the objective's sign.
    """
    _claimed(runs)
    task = _probed(runs)
    longer = runs.longer.own()
    before: Any = longer.composed.new_encoder()
    untrained = probe(embed(before, runs.material.clean, CPU)[task.level], task)
    after = probe(runs.longer_rows.own()[task.level], task)
    if after > untrained:
        return ""
    return f"accuracy on {task.name!r} is {after:.3f} after {STEPS} steps; expected more than the untrained {untrained:.3f}."


def spread(runs: Runs) -> str:
    """After 60 steps of the default recipe embeddings have not collapsed (claimed with ``beats-untrained``).

    Mend: look for an objective without a repelling part, a missing stop-gradient, or a rate of learning that is too large.
    """
    _claimed(runs)
    rows = torch.from_numpy(runs.longer_rows.lend()[_probed(runs).level])
    found = collapse(health({"view0": rows}), rows.shape[1])
    return f"{found[:-1]}; expected spread embeddings after {STEPS} steps." if found else ""


def _claimed(runs: Runs) -> None:
    if "beats-untrained" not in runs.material.plugin.traits:
        raise NotApplicable("the plugin does not claim it (trait beats-untrained).")


def _probed(runs: Runs) -> Task:
    """The first classification task of embedding rows."""
    for task in runs.material.labelled.values():
        if task.kind == "classification" and task.members is None:
            return task
    raise NotApplicable("this data has no classification task.")


def probe(rows: np.ndarray, task: Task) -> float:
    """Mean test accuracy over the task's splits of a logistic regression on (n, d) frozen embeddings."""
    scores = []
    for split in task.splits:
        scale = StandardScaler().fit(rows[split.train])
        model = LogisticRegression(C=0.1, max_iter=2000).fit(scale.transform(rows[split.train]), task.labels[split.train])
        scores.append(model.score(scale.transform(rows[split.test]), task.labels[split.test]))
    return float(np.mean(scores))


CHECKS: Mapping[str, Callable[[Runs], str]] = {
    "trains": trains,
    "repeats": repeats,
    "gradients": gradients,
    "learns": learns,
    "batch-unchanged": batch_unchanged,
    "observe": observe,
    "resume": resume,
    "frozen": frozen,
    "exports": exports,
    "beats-untrained": beats_untrained,
    "spread": spread,
}
