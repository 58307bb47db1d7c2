"""The tables of a comparison as plain cells: the page, Markdown and the blocks of a README lay out the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sslplug.reporting.comparison import Cell, Comparison, Entry, Verdict
from sslplug.reporting.drawing.heat_map import percent
from sslplug.reporting.objective_view import TREES, best_cell, best_cells, models, tasks, trees_share
from sslplug.reporting.pictures import OUTCOMES, sentence, tasks_text
from sslplug.reporting.table import TableRow


@dataclass(frozen=True)
class Field:
    """One cell: its text, and the entry whose runs the number came from ("" for words)."""

    text: str
    entry: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table: its columns, which of them hold numbers, and its rows; ``note`` is read with it."""

    title: str
    headings: tuple[str, ...]
    numbers: tuple[bool, ...]
    rows: tuple[tuple[Field, ...], ...]
    note: str = ""


def sheet(title: str, columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[Field | str]], note: str = "") -> Sheet:
    """A table of (heading, whether numbers) and rows; plain text becomes a field."""
    fields = tuple(tuple(Field(one) if isinstance(one, str) else one for one in row) for row in rows)
    return Sheet(title, tuple(heading for heading, _ in columns), tuple(number for _, number in columns), fields, note)


def task_sheet(comparison: Comparison) -> Sheet:
    """One row a task: the verdict, the pretrained model it speaks of, and what stands beside it."""
    said = {verdict.task: verdict for verdict in comparison.verdicts}
    columns = [
        ("task", False), ("pretraining", False), ("up to labels", True), ("by", True), ("than", False), ("metric", False),
        ("pretrained", True), ("untrained", True), (TREES, True), ("against LightGBM", False), ("cost, s", True),
        ("model", False),
    ]  # fmt: skip
    rows = []
    for task in tasks(comparison):
        verdict = said.get(task)
        cell = _spoken_of(comparison, task, verdict)
        rows.append(
            (
                task,
                Field(verdict.word, strong=True) if verdict else "",
                "" if verdict is None or verdict.labels is None else f"{100 * verdict.labels:g} %",
                _gain(verdict, cell.entry),
                verdict.control if verdict else "",
                cell.metric if cell.higher_is_better else f"{cell.metric} (smaller is better)",
                Field(mean_text(cell), cell.entry, strong=True),
                _number(cell.untrained, cell.entry),
                _number(cell.trees, cell.entry),
                "not tested" if cell.outcome is None else OUTCOMES[cell.outcome],
                "" if verdict is None or verdict.seconds is None else f"{verdict.seconds:.0f}",
                Field(cell.entry, cell.entry),
            )
        )
    note = (
        "Means with 95 % intervals over seeds or splits, with the most labels judged. By: the gain over the best control in the "
        "metric's unit, with so many labels where it helps; its interval holds for all entries and shares of labels at once."
    )
    return sheet("Every task", columns, rows, note)


def summary_sheet(comparison: Comparison) -> Sheet:
    """The task table's first columns, for a reader in a hurry."""
    whole = task_sheet(comparison)
    wanted = ("task", "pretraining", "up to labels", "by", "than", "pretrained", TREES)
    places = [whole.headings.index(heading) for heading in wanted]
    rows = [[row[place] for place in places] for row in whole.rows]
    columns = [(whole.headings[place], whole.numbers[place]) for place in places]
    note = (
        f"{size_text(comparison)}. By: the gain over the best control, with so many labels where it helps, with its interval. "
        f"Pretrained and {TREES}: with the most labels judged."
    )
    return sheet("Does pretraining help?", columns, rows, note)


def size_text(comparison: Comparison) -> str:
    """How much a comparison holds: "36 runs, 14 entries, 3 tasks of graph, tabular"."""
    runs = sum(len(entry.runs) for entry in comparison.entries)
    plugins = sorted({entry.plugin for entry in comparison.entries})
    counts = (
        _counted(runs, "run", "runs"),
        _counted(len(comparison.entries), "entry", "entries"),
        _counted(len(tasks(comparison)), "task", "tasks"),
    )
    return f"{', '.join(counts)} of {', '.join(plugins) or 'no plugin'}"


def objective_sheet(comparison: Comparison) -> Sheet:
    """The heat map's numbers: shares of the gap between the untrained encoder and the best known, in percent."""
    best = best_cells(comparison)
    columns = [("task", False), *((model, True) for model in models(comparison)), (TREES, True)]
    rows = []
    for task in tasks(comparison):
        mine = [best.get((task, model)) for model in models(comparison)]
        bar = trees_share(comparison, task)
        rows.append((task, *(_share(cell) for cell in mine), "-" if bar is None else percent(bar[0])))
    note = (
        "0: the untrained encoder, 100: the best known on this task. win, tie, loss: against LightGBM on raw features, after "
        "correction. A dash: no number, the reason is in the table of all cells or there is no run."
    )
    return sheet("Share of the gap closed, %", columns, rows, note)


def rank_sheet(comparison: Comparison) -> Sheet | None:
    """Mean ranks with the groups that cannot be told apart as letters; None without a ranking."""
    ranking = comparison.ranking
    if ranking is None:
        return None
    groups = [group for group in ranking.groups if len(group) > 1]
    rows = [
        (model, f"{rank:.2f}", " ".join(_letter(number) for number, group in enumerate(groups) if model in group))
        for model, rank in zip(ranking.models, ranking.mean_ranks, strict=True)
    ]
    said = [f"Over {tasks_text(ranking)}: {', '.join(ranking.tasks)}."]
    if ranking.p is not None:
        said.append(f"Friedman's test (Iman and Davenport's F): p {ranking.p:.3g}.")
    if ranking.difference is not None:
        said.append(f"Critical difference (Nemenyi, 5 %): {ranking.difference:.2f}.")
    if groups:
        said.append("Models that share a letter cannot be told apart.")
    columns = [("model", False), ("mean rank", True), ("group", False)]
    return sheet("Mean ranks", columns, rows, " ".join([*said, sentence(ranking.note)]).strip())


def trees_sheet(comparison: Comparison) -> Sheet:
    """Wins, ties and losses of every entry against LightGBM on raw features."""
    columns = [("entry", False), ("wins", True), ("ties", True), ("losses", True)]
    rows = [
        (Field(name, name), str(wins), str(ties), str(losses))
        for name, (wins, ties, losses) in comparison.against_trees.items()
    ]
    return sheet("Against LightGBM on raw features", columns, rows, "Over tasks, by the corrected test.")


def cell_sheet(comparison: Comparison) -> Sheet:
    """Every entry on every task."""
    columns = [
        ("task", False), ("entry", False), ("metric", False), ("mean", True), ("n", True), ("untrained", True), (TREES, True),
        ("best known", True), ("gap closed, %", True), ("against LightGBM", False), ("effect", True), ("note", False),
    ]  # fmt: skip
    rows = [
        (
            cell.task,
            Field(cell.entry, cell.entry),
            cell.metric,
            Field(mean_text(cell), cell.entry, strong=True),
            str(cell.n),
            _number(cell.untrained, cell.entry),
            _number(cell.trees, cell.entry),
            "-" if cell.best is None else f"{cell.best:.4f}",
            "-" if cell.share is None else Field(percent(cell.share), cell.entry),
            "not tested" if cell.outcome is None else OUTCOMES[cell.outcome],
            "-" if cell.effect is None else f"{cell.effect:+.2f}",
            cell.note,
        )
        for cell in sorted(comparison.cells, key=lambda one: (one.task, one.entry))
    ]
    note = (
        "Against LightGBM on raw features by the corrected test; effect: Cohen's d_z of the paired differences, above 0 where "
        "pretraining is better."
    )
    return sheet("Every entry on every task", columns, rows, note)


def pair_sheet(comparison: Comparison) -> Sheet | None:
    """Every two models over tasks; None where none were compared."""
    if comparison.ranking is None or not comparison.ranking.pairs:
        return None
    columns = [
        ("model", False), ("other", False), ("tasks", True), ("wins", True), ("ties", True), ("losses", True),
        ("effect", True), ("p", True), ("p (Holm)", True), ("note", False),
    ]  # fmt: skip
    rows = [
        (
            pair.first,
            pair.second,
            *(str(count) for count in (pair.n, pair.wins, pair.ties, pair.losses)),
            "-" if pair.effect is None else f"{pair.effect:+.2f}",
            "-" if pair.p is None else f"{pair.p:.3g}",
            "-" if pair.p_holm is None else f"{pair.p_holm:.3g}",
            pair.note,
        )
        for pair in comparison.ranking.pairs
    ]
    note = (
        "Wilcoxon's signed-rank test on differences of the share of the gap closed; effect: matched-pairs rank-biserial "
        "correlation, 1 where the first model wins everywhere."
    )
    return sheet("Every two models", columns, rows, note)


def prediction_sheet(comparison: Comparison) -> Sheet:
    """Whether label-free diagnostics predict scores: Kendall's tau for each task."""
    columns = [("diagnostic", False), ("task", False), ("entries", True), ("tau", True), ("p", True), ("note", False)]
    rows = [
        (
            one.diagnostic,
            one.task,
            str(len(one.points)),
            "-" if one.tau is None else f"{one.tau:.2f}",
            "-" if one.p is None else f"{one.p:.3g}",
            one.note,
        )
        for one in comparison.predictions
    ]
    return sheet("Do label-free diagnostics predict the score?", columns, rows)


def entry_sheet(entry: Entry) -> Sheet:
    """The result table of one entry, as the terminal prints it: every row with its controls and the published number."""
    columns = [
        ("task", False), ("labels", True), ("features", False), ("metric", False), ("mean", True), ("95 % interval", True),
        ("n", True), ("pretrained minus this", True), ("p (Holm)", True),
    ]  # fmt: skip
    rows: list[tuple[Field | str, ...]] = []
    for row in entry.rows:
        labels = f"{100 * row.fraction:.3g} %" if row.labelled else "-"
        head = (f"{row.task} ({row.protocol})", labels, Field(row.name, strong=True), row.metric)
        rows.append(
            (*head, Field(f"{row.mean:.4f}", entry.name, strong=True), interval_text(row.low, row.high), str(row.n), "", "")
        )
        rows += _beside(row, entry)
    return sheet("Results", columns, rows)


def _beside(row: TableRow, entry: Entry) -> list[tuple[Field | str, ...]]:
    rows: list[tuple[Field | str, ...]] = []
    for control in row.controls:
        difference = control.note or "not compared"
        if control.difference is not None:
            known = control.difference_low is not None and control.difference_high is not None
            interval = f" {interval_text(control.difference_low, control.difference_high)}" if known else ""
            difference = f"{signed(control.difference)}{interval}"
        p = "-" if control.p_holm is None else "< 0.001" if control.p_holm < 0.001 else f"{control.p_holm:.3f}"
        mean = Field(f"{control.mean:.4f}", entry.name)
        rows.append(
            ("", "", control.name, row.metric, mean, interval_text(control.low, control.high), str(control.n), difference, p)
        )
    if row.published is not None:
        rows.append(("", "", "published", row.metric, f"{row.published:.4f}", "", "", signed(row.mean - row.published), ""))
    return rows


def interval_text(low: float | None, high: float | None) -> str:
    """An interval in words; a single observation has none."""
    return "one observation" if low is None or high is None else f"[{low:.4f}, {high:.4f}]"


def mean_text(cell: Cell) -> str:
    """A cell's mean with its interval where there is one."""
    return f"{cell.mean:.4f}" + ("" if cell.low is None or cell.high is None else f" [{cell.low:.4f}, {cell.high:.4f}]")


def _spoken_of(comparison: Comparison, task: str, verdict: Verdict | None) -> Cell:
    for cell in comparison.cells:
        if verdict is not None and (cell.task, cell.entry) == (task, verdict.entry):
            return cell
    return best_cell(comparison, task)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _share(cell: Cell | None) -> Field | str:
    if cell is None or cell.share is None:
        return "-"
    return Field(percent(cell.share) + ("" if cell.outcome is None else f" {OUTCOMES[cell.outcome]}"), cell.entry)


def signed(value: float) -> str:
    """A difference with its sign; nought has none.

    >>> signed(0.25), signed(-0.00001)
    ('+0.2500', '0.0000')
    """
    text = f"{value:+.4f}"
    return text[1:] if float(text) == 0 else text


def _number(value: float | None, entry: str) -> Field | str:
    return "-" if value is None else Field(f"{value:.4f}", entry)


def _gain(verdict: Verdict | None, entry: str) -> Field | str:
    if verdict is None or verdict.size is None:
        return "-"
    ends = [signed(end) for end in (verdict.low, verdict.high) if end is not None]
    return Field(signed(verdict.size) + (f" [{', '.join(ends)}]" if len(ends) == 2 else ""), entry)


def _letter(number: int) -> str:
    """a, b ... z, a2, b2 ...: a name for the group of this number."""
    return "abcdefghijklmnopqrstuvwxyz"[number % 26] + ("" if number < 26 else str(number // 26 + 1))
