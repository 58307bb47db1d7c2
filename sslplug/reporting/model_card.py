"""The model card of an exported encoder: what it was trained on, how it fared beside its controls, and what it is not good for.

Everything in it is read from the run; what the run does not know (a licence, who is in the data) is said to be unknown.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sslplug.reporting.comparison_tables import sheet
from sslplug.reporting.markdown import markdown_table, plain
from sslplug.reporting.table import TableRow, verdict


@dataclass(frozen=True)
class CardProgram:
    """One program as the manifest describes it, and what the plugin says of the batch it is made of."""

    described: Mapping[str, Any]
    batch: str


@dataclass(frozen=True)
class Card:
    """What the card says.

    data       the data's description;  fitted: names of what was fitted on it
    parts      {section: component} of the recipe
    labels     the task whose labels entered training, or ""
    rows       the run's results beside their controls; empty where it was not judged
    collapsed  why the run counts as collapsed, or ""
    refused    why there is no program, or ""
    """

    name: str
    data: Mapping[str, Any]
    fitted: Sequence[str]
    recipe: str
    recipe_sha256: str
    parts: Mapping[str, str]
    labels: str
    steps: int
    finished: bool
    seconds: float | None
    rows: Sequence[TableRow]
    collapsed: str
    diagnostics: Mapping[str, float]
    level: str
    programs: Sequence[CardProgram]
    refused: str
    versions: Mapping[str, str]


def card_text(card: Card) -> str:
    """The card as Markdown."""
    parts = [
        f"# {plain(card.name)}",
        f"A frozen encoder, {_supervision(card.labels)}. Written by `sslplug export` (sslplug "
        f"{plain(card.versions['sslplug'])}, torch {plain(card.versions['torch'])}). `manifest.json` holds the sha256 of every "
        "file of this folder.",
        "## Data",
        *_data(card),
        "## Training",
        *_training(card),
        "## Results",
        *_results(card),
        "## Diagnostics",
        *_diagnostics(card),
        "## Use",
        *_use(card),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(card)),
        "## Recipe",
        f"sha256 `{card.recipe_sha256}`\n\n```yaml\n{card.recipe.rstrip()}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _supervision(labels: str) -> str:
    return f"trained with the labels of task {plain(labels)}" if labels else "pretrained without labels"


def _data(card: Card) -> list[str]:
    notes: Iterable[Any] = card.data.get("notes", ())
    lines = [(key, _said(value)) for key, value in card.data.items() if key != "notes"]
    parts = [markdown_table(sheet("What the data says of itself", (("field", False), ("value", False)), lines))]
    return [*parts, "\n".join(f"- {plain(str(note))}" for note in notes)] if notes else parts


def _training(card: Card) -> list[str]:
    made = ", ".join(f"{part} {plain(name)}" for part, name in card.parts.items())
    took = "" if card.seconds is None else f" in {card.seconds:.1f} s"
    end = "" if card.finished else " **Training was stopped before its end.**"
    return [f"{made}; {card.steps} optimiser steps{took}.{end}"]


def _results(card: Card) -> list[str]:
    if not card.rows:
        return [
            "The run was not judged, or its data has no task: nothing is known about what these embeddings are good for."
        ]
    lines: list[tuple[str, ...]] = []
    for row in card.rows:
        share = f"{100 * row.fraction:g}%" if row.labelled else "-"
        lines.append((f"{row.task} ({row.protocol})", share, row.name, row.metric, f"{row.mean:.4f}", str(row.n), "", ""))
        for control in row.controls:
            off = "" if control.difference is None else f"{control.difference:+.4f}"
            p = "-" if control.p_holm is None else f"{control.p_holm:.2g}"
            lines.append(("", "", control.name, row.metric, f"{control.mean:.4f}", str(control.n), off, p))
        if row.published is not None:
            off = f"{row.mean - row.published:+.4f}"
            lines.append(("", "", "published", row.metric, f"{row.published:.4f}", "", off, ""))
    columns = (
        ("task", False), ("labels", True), ("features", False), ("metric", False), ("mean", True), ("n", True),
        ("pretrained minus this", True), ("p (Holm)", True),
    )  # fmt: skip
    said = "\n".join(f"- {plain(verdict(row))}" for row in card.rows if row.primary)
    return [said, markdown_table(sheet("Every score beside its controls on the same rows", columns, lines))]


def _diagnostics(card: Card) -> list[str]:
    collapsed = f"**Collapsed.** {plain(card.collapsed.removeprefix('Collapsed: '))}" if card.collapsed else ""
    if not card.diagnostics:
        return [collapsed or "None were kept by the run."]
    lines = [(name.removeprefix("diag/"), f"{value:.4g}") for name, value in card.diagnostics.items() if value is not None]
    table = markdown_table(sheet("At the end of training, without labels", (("diagnostic", False), ("value", True)), lines))
    return [collapsed or "The run is not marked as collapsed.", table]


def _use(card: Card) -> list[str]:
    if card.refused:
        return [
            f"No program was written: {plain(card.refused)}",
            "`encoder.safetensors` and `recipe.yaml` need sslplug and the plugin.",
        ]
    parts = [
        "With sslplug and the plugin: `sslplug.load_encoder(FOLDER).embed(rows)`. With torch alone, on encoded tensors:"
    ]
    for one in card.programs:
        program = one.described
        role = f" for rows of role {plain(program['role'])}" if program["role"] else ""
        call = ", ".join(f"{tensor['name']}=..." for tensor in program["inputs"])
        parts.append(f'```python\ntorch.export.load("{program["file"]}").module()({call})\n```')
        parts.append(markdown_table(_ends(f"Inputs of {program['file']}{role}", program["inputs"])))
        parts.append(markdown_table(_ends(f"Outputs of {program['file']}", program["outputs"])))
        if program["onnx"]:
            parts.append(f"`{program['onnx']}` is the same program as ONNX, with the same names.")
        else:
            parts.append(f"No ONNX: {plain(str(program['onnx_left_out']))}.")
        for file, found in program["parity"].items():
            parts.append(
                f"`{file}` was compared with the trained encoder on {found['views']} views in a fresh process: it differs by at "
                f"most {found['largest_difference']:.1e} of a level's largest value (allowed: {found['bound']:.0e})."
            )
        if one.batch:
            parts.append(f"What the plugin says of these tensors:\n\n```text\n{inspect.cleandoc(one.batch)}\n```")
    return parts


def _ends(title: str, ends: Sequence[Mapping[str, Any]]) -> Any:
    rows = []
    for one in ends:
        seen = one.get("seen")
        read = one.get("reads", "")
        between = "" if seen is None else f"{seen[0]:g} to {seen[1]:g}"
        rows.append((one["name"], one["dtype"], f"({', '.join(map(str, one['shape']))})", read, between))
    columns = (("name", False), ("type", False), ("shape", False), ("what is read", False), ("values in the data", False))
    if not any(one.get("reads") for one in ends):
        return sheet(title, columns[:3], [row[:3] for row in rows])
    return sheet(title, columns, rows)


def _limits(card: Card) -> list[str]:
    statistics = "This data fitted none."
    if card.fitted:
        statistics = (
            f"`fitted.json` holds what was fitted on the rows that the data's protocol allows ({plain(', '.join(card.fitted))}); "
            "encode new rows by it, and fit nothing anew."
        )
    lines = [
        "The embeddings are those of data like the data above. Values outside the ranges it had, unknown categories and other "
        "sources were not tried.",
        f"The program takes encoded tensors: scalers and vocabularies are not inside it. {statistics}",
    ]
    for one in card.programs:
        program = one.described
        sizes = {size for tensor in program["inputs"] for size in tensor["shape"] if isinstance(size, str)}
        file = plain(program["file"])
        if sizes:
            lines.append(f"{file}: lengths with a name (n1, ...) are yours to choose; a number in a shape is fixed.")
        else:
            lines.append(f"{file}: every length is fixed, so it takes these very rows' number alone.")
        tried = {name: sizes for found in program["parity"].values() for name, sizes in found["sizes"].items()}
        if tried:
            said = "; ".join(f"{name} of {', '.join(map(str, known))}" for name, known in tried.items())
            lines.append(
                f"{file}: compared with the encoder at {said}. Other lengths follow from the trace and were not tried."
            )
        for name, (low, high) in program["lengths"].items():
            lines.append(f"{file}: {name} from {low}{'' if high is None else f' to {high}'}.")
        if program["fixed"]:
            lines.append(f"{file}: fixed in the program: {plain(_said(program['fixed']))}.")
        lines += [f"{plain(name)} {plain(note)}" for name, found in program["parity"].items() for note in found["refused"]]
    lines += [
        "It was traced on a CPU in eval mode, in float32 where the encoder is, without hidden tokens: views that hide or change "
        "parts of a row belong to training.",
        "Licence: none is stated. sslplug does not know under which terms the data was given, nor those of this encoder.",
    ]
    if card.collapsed:
        lines.insert(0, "**The run collapsed; its embeddings say little of the rows.**")
    return lines


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
