"""How a run's ranking went while it trained: recall and NDCG of every checkpoint it kept, on validation and on test queries.

    sslplug train --plugin recsys --recipe xsimgcl-gowalla --set train.checkpoint_every=356 --set train.keep=100 --no-evaluate
    python tests/reproduce/ranking_curve.py RUN [--data-root FOLDER] [--out curve.json]

356 steps are an epoch there. A line a checkpoint; the one with the best validation ndcg is marked, and only that one may be chosen.
The test columns are what the literature's protocol looks at, printed beside it and chosen by nothing.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from sslplug.build import build_data, build_encoder
from sslplug.contracts import RankingTask
from sslplug.evaluation import embed
from sslplug.evaluation.ranking.metrics import measure_lists
from sslplug.evaluation.ranking.questions import questions
from sslplug.evaluation.ranking.similarity import scaled
from sslplug.evaluation.ranking.top import best, inner_products
from sslplug.stages.embeddings import encoder_weights, load_encoder
from sslplug.stages.session import data_context, recipe_of_run
from sslplug.training import checkpoint


def ranked(task: RankingTask, part: str, levels: dict[str, np.ndarray]) -> dict[str, float]:
    """Recall and NDCG at the first cutoff; {} where the part asks nothing."""
    asked, cutoff = questions(task, part), task.cutoffs[0]
    if not len(asked):
        return {}
    query, candidate = scaled(task, levels[task.query], levels[task.level])
    scorer = inner_products(query[asked.queries], candidate)
    lists = best(scorer, len(asked), task.candidates, cutoff, asked.seen, asked.relevant)
    values = measure_lists(lists, asked.relevant, (cutoff,), {})
    return {f"{part}/{name}@{cutoff}": float(np.nanmean(values[f"{name}@{cutoff}"])) for name in ("recall", "ndcg")}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    resolved, _ = recipe_of_run(options.run, [])
    data = build_data(resolved, data_context(options.data_root, resolved.seed, False))
    tasks = [task for task in data.tasks.values() if isinstance(task, RankingTask)]
    device = torch.device("cpu")
    encoder = build_encoder(resolved, data.spec, device)
    curve: list[dict[str, float]] = []
    for folder in checkpoint.published(options.run / "checkpoints"):
        found = checkpoint.load(folder)
        load_encoder(encoder, encoder_weights(found), str(options.run), data.description)
        levels = embed(encoder, data.rows(), device)
        row = {"step": int(found.state["step"]), "seconds": float(found.state["seconds"])}
        for task in tasks:
            row |= ranked(task, "val", levels) | ranked(task, "test", levels)
        curve.append(row)
    curve.sort(key=lambda row: row["step"])
    key = next((name for name in curve[0] if name.startswith("val/ndcg")), None)
    top = None if key is None else max(curve, key=lambda row: row[key])
    for row in curve:
        shown = "  ".join(f"{name} {value:.4f}" for name, value in row.items() if "/" in name)
        print(f"step {row['step']:7d}  {row['seconds']:8.0f} s  {shown}{'  best on validation' if row is top else ''}")
    if options.out is not None:
        options.out.write_text(json.dumps(curve) + "\n")


if __name__ == "__main__":
    main()
