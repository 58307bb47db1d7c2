"""The export stage: a run's frozen encoder in a folder of its own, for use without this package and without its data's rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from sslplug import __version__
from sslplug.build import build_encoder
from sslplug.contracts import DomainData
from sslplug.exporting.form import Form, forms_of
from sslplug.exporting.manifest import FORMAT, NAME, digests
from sslplug.exporting.onnx_form import NoOnnx, onnx_form
from sslplug.exporting.parity import BOUND, Agreement, agreements
from sslplug.exporting.program import NotTraceable, Program, traced
from sslplug.recipe import Resolved, dump
from sslplug.reporting.model_card import Card, CardProgram, card_text
from sslplug.reporting.progress import say
from sslplug.reporting.runfolder import RunRecord, read_run, write_json, write_text
from sslplug.reporting.whole_folder import replace_folder
from sslplug.stages.embeddings import encoder_weights, load_encoder
from sslplug.stages.report import table_rows
from sslplug.stages.session import data_context, fitted_of_run, own_data, recipe_of_run
from sslplug.training import checkpoint


@dataclass(frozen=True)
class _Made:
    """A program and its files; ``left_out`` says why there is no ONNX, or is empty."""

    program: Program
    pt2: Path
    onnx: Path | None
    left_out: str

    @property
    def files(self) -> list[Path]:
        return [file for file in (self.pt2, self.onnx) if file is not None]


def export(run: Path, out: Path, *, data_root: Path | None, onnx: bool) -> list[Path]:
    """Write the folder ``out``: weights, recipe and what the data fitted; the encoder as a program (``encoder.pt2``, and
    ``encoder.onnx`` where its operators have that form); a model card; a manifest. Returns the files.

    Each program is compared with the encoder on rows of the run's data, in a fresh process without this package.

    Raises ParityError, and nothing is published, where one says something else; NotTraceable where torch can make no program
    of the encoder: the rest is then published, and the sentence says so. Raises UsageError where ``out`` holds somebody
    else's files, RunFolderError where the run is damaged or the disk refuses.
    """
    resolved, _ = recipe_of_run(run, [])
    found, complaints = checkpoint.newest(run / "checkpoints")
    for complaint in complaints:
        say(complaint)
    fitted = fitted_of_run(run)
    data = own_data(run, resolved, data_context(data_root, resolved.seed, False))
    weights = encoder_weights(found)
    encoder = build_encoder(resolved, data.spec, torch.device("cpu"))
    load_encoder(encoder, weights, str(run), data.description)
    refused: list[NotTraceable] = []

    def fill(folder: Path) -> None:
        (folder / "encoder.safetensors").write_bytes(save(weights))
        write_text(folder / "recipe.yaml", dump(resolved))
        write_text(folder / "fitted.json", json.dumps(fitted) + "\n")
        try:
            made = _programs(encoder.eval().requires_grad_(False), resolved.picked["encoder"].name, data, folder, onnx)
        except NotTraceable as error:
            refused.append(error)
            made = []
        agreed = agreements(encoder, [(one.program, one.files) for one in made]) if made else {}
        described = [_described(one, agreed) for one in made]
        card = _card(run, resolved, data, found, fitted, made, described, str(refused[0]) if refused else "")
        write_text(folder / "model-card.md", card_text(card))
        manifest = _manifest(resolved, data, encoder, described, str(refused[0]) if refused else "")
        write_json(folder / NAME, {**manifest, "files": digests(folder)})
        for one in made:
            _say(one, agreed)

    replace_folder(out, fill)
    if refused:
        raise NotTraceable(
            f"{refused[0]} Not written: encoder.pt2 and encoder.onnx. Written to {out}: weights, recipe and model card; "
            f"`sslplug embed {run}` embeds rows with this encoder."
        ) from refused[0]
    return sorted(file for file in out.iterdir() if not file.name.startswith("."))


def _programs(encoder: nn.Module, name: str, data: DomainData, folder: Path, onnx: bool) -> list[_Made]:
    """A program for each role of the data's views, in files of the folder: ``encoder.pt2``, or ``encoder.<role>.pt2``."""
    forms = forms_of(encoder, data.rows())
    made = []
    for form in forms:
        program = traced(encoder, name, form)
        stem = f"encoder.{form.role}" if len(forms) > 1 else "encoder"
        pt2, other, left_out = folder / f"{stem}.pt2", None, "not asked for"
        if onnx:
            try:
                content = onnx_form(program)
            except NoOnnx as error:
                left_out = str(error)
            else:
                other, left_out = folder / f"{stem}.onnx", ""
                other.write_bytes(content)
        pt2.write_bytes(program.saved())
        made.append(_Made(program, pt2, other, left_out))
    return made


def _say(one: _Made, agreed: Mapping[Path, Agreement]) -> None:
    for file in one.files:
        found = agreed[file]
        sizes = "; ".join(f"{name} = {', '.join(map(str, known))}" for name, known in found.sizes.items())
        say(
            f"{file.name}: agrees with the trained encoder in a fresh process on {found.views} views "
            f"({sizes or 'of one size'}), largest difference {found.largest:.1e} of a level's largest value."
        )
        for note in found.refused:
            say(f"{file.name}: {note}")
    if one.left_out:
        say(f"{one.pt2.with_suffix('.onnx').name}: left out, {one.left_out}.")


def _described(one: _Made, agreed: Mapping[Path, Agreement]) -> dict[str, Any]:
    """A program as the manifest has it."""
    program, form = one.program, one.program.form
    tensors = form.tensors(form.samples[0])
    return {
        "role": form.role,
        "file": one.pt2.name,
        "onnx": None if one.onnx is None else one.onnx.name,
        "onnx_left_out": one.left_out or None,
        "inputs": [
            {
                "name": name,
                "path": form.path(name),
                "dtype": str(tensors[name].dtype).removeprefix("torch."),
                "shape": list(shape),
                "reads": "values" if form.inputs[name] else "length alone",
                "seen": _seen(form, name),
            }
            for name, shape in program.inputs.items()
        ],
        "outputs": [
            {"name": name, "dtype": str(program.dtypes[name]).removeprefix("torch."), "shape": list(shape)}
            for name, shape in program.outputs.items()
        ],
        "lengths": {name: list(ends) for name, ends in program.ranges.items()},
        "fixed": {path: value for path, value in form.fixed.items() if value != ""},
        "parity": {
            file.name: {
                "views": agreed[file].views,
                "sizes": {name: list(sizes) for name, sizes in agreed[file].sizes.items()},
                "largest_difference": agreed[file].largest,
                "bound": BOUND,
                "refused": list(agreed[file].refused),
            }
            for file in one.files
        },
    }


def _seen(form: Form, name: str) -> list[float] | None:
    """The least and the largest value of an input among the samples."""
    found = [tensor for view in form.samples if (tensor := form.tensors(view)[name]).numel()]
    if not form.inputs[name] or not found:
        return None
    ends = [end for tensor in found for end in (_plain(tensor.min()), _plain(tensor.max()))]
    return [min(ends), max(ends)]


def _plain(value: Tensor) -> float:
    number: float = value.item()
    return number


def _manifest(
    resolved: Resolved, data: DomainData, encoder: nn.Module, programs: Sequence[Mapping[str, Any]], refused: str
) -> dict[str, Any]:
    dims: Mapping[str, int] = encoder.dims  # type: ignore[assignment]
    return {
        "format": FORMAT,
        "plugin": resolved.plugin,
        "recipe": resolved.name,
        "recipe_sha256": _sha256(dump(resolved)),
        "seed": resolved.seed,
        "encoder": resolved.picked["encoder"].name,
        "level": data.level,
        "dims": dict(dims),
        "data": dict(data.description),
        "versions": {"sslplug": __version__, "torch": torch.__version__},
        "programs": list(programs),
        "program_left_out": refused or None,
    }


def _card(
    run: Path,
    resolved: Resolved,
    data: DomainData,
    found: checkpoint.Checkpoint,
    fitted: Mapping[str, Any],
    made: Sequence[_Made],
    described: Sequence[Mapping[str, Any]],
    refused: str,
) -> Card:
    judged: RunRecord | None = read_run(run) if (run / "metrics.json").is_file() else None
    metrics: Mapping[str, Any] = {} if judged is None else judged.metrics
    return Card(
        name=f"{resolved.plugin}/{resolved.name}, seed {resolved.seed}",
        data=data.description,
        fitted=tuple(fitted),
        recipe=dump(resolved),
        recipe_sha256=_sha256(dump(resolved)),
        parts={part: resolved.picked[part].name for part in _PARTS if part in resolved.picked},
        labels=str(resolved.sections["train"].model_dump()["labels"] or ""),
        steps=int(found.state["step"]),
        finished=bool(found.state["finished"]),
        seconds=metrics.get("training_seconds"),
        rows=() if judged is None else tuple(table_rows([judged])),
        collapsed=str(metrics.get("collapsed") or ""),
        diagnostics=metrics.get("diagnostics", {}),
        level=data.level,
        programs=tuple(
            CardProgram(content, one.program.form.samples[0].data.__doc__ or "") for one, content in zip(made, described)
        ),
        refused=refused,
        versions={"sslplug": __version__, "torch": torch.__version__},
    )


_PARTS = ("data", "views", "encoder", "method", "objective")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
