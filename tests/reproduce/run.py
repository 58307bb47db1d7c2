"""Published figures again: every recipe with its seeds, and a Markdown table of what came out beside what was published.

    python tests/reproduce/run.py                      every row, hours; needs SSLPLUG_DATA
    python tests/reproduce/run.py cca-ssg-cora         some rows
    python tests/reproduce/run.py --table RUNS         only the table, from run folders that exist

A row that is done already (its run folders are below ``--runs``) is not trained again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from sslplug.errors import RunFolderError
from sslplug.reporting.runfolder import RunRecord, read_run
from sslplug.reporting.table import TableRow
from sslplug.stages.report import table_rows

SEEDS = {
    "graph": {
        "grace-cora": 3, "grace-citeseer": 3, "grace-dblp": 1,
        "gca-photo": 1, "gca-computers": 1, "gca-cs": 1,
        "bgrl-photo": 1, "bgrl-computers": 1, "bgrl-cs": 1,
        "dgi-cora": 5, "dgi-citeseer": 5,
        "cca-ssg-cora": 20, "cca-ssg-citeseer": 20,
        "graphmae-cora": 20, "graphmae-citeseer": 20,
        "graphcl-mutag": 5, "graphcl-proteins": 5, "graphcl-nci1": 5, "graphcl-imdb-binary": 5,
        "infograph-mutag": 5, "infograph-proteins": 5, "infograph-nci1": 5, "infograph-imdb-binary": 5,
        "graphmae-mutag": 5, "graphmae-proteins": 5, "graphmae-nci1": 5, "graphmae-imdb-binary": 5,
        "vicreg-cora": 1, "barlow-cora": 1, "swav-cora": 1, "byol-cora": 1, "moco-cora": 1,
    },
    "tabular": {
        "t-jepa-adult": 10, "t-jepa-california": 10, "t-jepa-jannis": 3, "supremix-california": 3,
        **{f"{method}-{data}": 3 for data in ("adult", "california")
           for method in ("scarf", "vime", "subtab", "saint", "mae", "infonce", "vicreg", "barlow", "byol")},
    },
    "wearable": {
        "simclr-har": 5, "byol-har": 5, "vicreg-har": 5, "tstcc-har": 5, "tstcc-har-release": 5, "cpc-har": 5, "multitask-har": 5,
        "spt-har": 5, "masked-har": 5, "transform-har": 5, "collossl-dsads": 3, "simclr-dsads": 3, "clan-dsads": 5,
        "ts2vec-basicmotions": 3, "ts2vec-japanesevowels": 3, "ts2vec-italypower": 3, "ts2vec-gunpoint": 3, "spt-basicmotions": 3,
    },
    "events": {
        "coles-physionet": 5, "cpc-physionet": 5, "next-physionet": 5, "hybrid-physionet": 5, "sum-physionet": 5,
        "coles-adfa": 3, "next-adfa": 3, "next-adfa-detection": 3, "next-stackoverflow": 3, "next-book-order": 3,
    },
    "lidar": {
        "simclr-lsood4": 3, "byol-lsood4": 3, "pointmae-lsood4": 3, "simclr-kitti-objects": 3, "simclr-radhar": 3,
        "scoop-kitti": 1, "pointcontrast-kitti": 1, "scoop-street": 1, "flow-street": 1, "equivariant-street": 3, "invariant-street": 3,
        "pointcontrast-street": 3, "pointcontrast-street-from-kitti": 3, "simclr-loop": 3,
    },
    "recsys": {
        **{f"{method}-gowalla": 1 for method in ("lightgcn", "sgl", "simgcl", "xsimgcl", "directau")},
        **{f"{method}-lastfm": 3 for method in ("lightgcn", "sgl", "simgcl", "xsimgcl", "directau", "lightgcl")},
        **{f"{method}-beauty": 1 for method in ("sasrec", "cl4srec", "duorec", "iclrec", "s3rec")},
        **{f"towers-{method}-ml100k": 3 for method in ("none", "dropout", "rfm", "cfm", "spreadout")},
    },
}  # fmt: skip
"""{plugin: {recipe: seeds}}."""

PLUGIN = {recipe: plugin for plugin, recipes in SEEDS.items() for recipe in recipes}

SHARES = ("accuracy", "auroc", "average_precision", "macro_f1", "balanced_accuracy")
"""Metrics printed in percent; others are printed as they are."""


def finished(runs: Path) -> dict[str, list[RunRecord]]:
    """Judged runs below a folder, by recipe name, one a seed (the newest)."""
    found: dict[str, dict[int, RunRecord]] = defaultdict(dict)
    for file in sorted(runs.rglob("metrics.json")):
        try:
            record = read_run(file.parent)
        except RunFolderError:
            continue
        if record.metrics.get("scores"):
            found[str(record.recipe["name"])][int(record.recipe["seed"])] = record
    return {name: [records[seed] for seed in sorted(records)] for name, records in found.items()}


def cells(row: TableRow, records: list[RunRecord]) -> str:
    """One Markdown row."""

    def shown(value: float) -> str:
        return f"{100 * value:.1f}" if row.metric in SHARES else f"{value:.3f}"

    interval = "" if row.low is None or row.high is None else f" [{shown(row.low)}, {shown(row.high)}]"
    control = {c.name: shown(c.mean) for c in row.controls}
    trees = " / ".join(control.get(f"lightgbm on {what}", "-") for what in ("raw", "pretrained", "both"))
    tuned = control.get("lightgbm_tuned on raw")
    splits = len({score["split"] for record in records for score in record.metrics["scores"]})
    steps = sorted({min(r.metrics["steps"] for r in records), max(r.metrics["steps"] for r in records)})
    seconds = sum(float(r.metrics["training_seconds"]) for r in records) / len(records)
    columns = [
        records[0].recipe["name"],
        f"{row.protocol}, {row.probe}, {row.metric}",
        f"{100 * row.fraction:g} %",
        "-".join(map(str, steps)),
        f"{len(records)} x {splits}",
        f"**{shown(row.mean)}**{interval}",
        "-" if row.published is None else shown(row.published),
        "-"
        if row.published is None
        else f"{'+' if row.mean >= row.published else '-'}{shown(abs(row.mean - row.published))}",
        control.get(f"{row.probe} on untrained", "-"),
        control.get(f"{row.probe} on raw", "-"),
        trees + (f" / tuned raw {tuned}" if tuned else ""),
        f"{seconds:.0f}",
    ]
    return "| " + " | ".join(columns) + " |"


def table(runs: Path) -> None:
    """Print the table of everything that is finished."""
    print(
        "| recipe | protocol, probe, metric | labels | steps | seeds x splits | pretrained | published | gap | untrained "
        "| same probe on raw | LightGBM raw / emb / both | s |"
    )
    print("|---|---|--:|--:|--:|---|--:|--:|--:|--:|---|--:|")
    for _, records in sorted(finished(runs).items()):
        for row in table_rows(records):
            print(cells(row, records))


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", help=f"rows to run; default: all of {', '.join(PLUGIN)}")
    parser.add_argument("--runs", type=Path, default=Path("runs/reproduce"))
    parser.add_argument("--table", type=Path, help="print the table of these runs and stop")
    arguments = parser.parse_args()
    if arguments.table:
        table(arguments.table)
        return
    unknown = sorted(set(arguments.recipes) - set(PLUGIN))
    if unknown:
        parser.error(f"no row named {', '.join(unknown)}")
    done = finished(arguments.runs)
    failed = []
    for name in arguments.recipes or PLUGIN:
        seeds = SEEDS[PLUGIN[name]][name]
        missing = seeds - len(done.get(name, []))
        if missing > 0:
            first = seeds - missing
            made = subprocess.run(
                [sys.executable, "-m", "sslplug", "train", "--plugin", PLUGIN[name], "--recipe", name, "--runs", str(arguments.runs),
                 "--seeds", str(missing), "--set", f"seed={first}"],
                check=False,
            )  # fmt: skip
            if made.returncode:
                failed.append(name)
    table(arguments.runs)
    if failed:
        sys.exit(f"{len(failed)} rows failed, see above: {', '.join(failed)}")


if __name__ == "__main__":
    main()
