"""GF-CF (Shen et al. 2021, arXiv:2108.07567) in closed form: a sanity bound of data and evaluator that trains nothing.

    python tests/reproduce/closed_form.py [--data gowalla] [--alpha 0.3] [--rank 256] [--data-root FOLDER]

With R the training pairs, R^ = D_U^-1/2 R D_I^-1/2 and V its first right singular vectors, a user's scores are

    r_u R^T R^ + alpha r_u D_I^-1/2 V V^T D_I^1/2   (R^ in both places of the first term).

Validation pairs are trained on, as the literature does; on Gowalla it reports recall@20 .1849 and ndcg@20 .1518.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import svds
from torch import Tensor

from sslplug.contracts import DataContext, RankingTask
from sslplug.evaluation.ranking.metrics import measure_lists
from sslplug.evaluation.ranking.questions import questions
from sslplug.evaluation.ranking.top import Scorer, best
from sslplug.stages.session import data_context
from sslplug_recsys.plugin import PLUGIN


def published(name: str, context: DataContext) -> Any:
    """The plugin's data with every training pair in training."""
    component = PLUGIN.data[name]
    return component.build(component.options.model_validate({"validation": "none"}), context)


def closed_form(pairs: sparse.csr_matrix, alpha: float, rank: int) -> Scorer:
    """Scores of all items for places of users, from (users, items) 0/1 CSR."""
    user, item = (np.maximum(np.asarray(pairs.sum(axis)).ravel(), 1.0) for axis in (1, 0))
    scaled = (sparse.diags(user**-0.5) @ pairs @ sparse.diags(item**-0.5)).tocsr()
    start = np.random.default_rng(0).standard_normal(min(pairs.shape))
    v = svds(scaled, k=rank, v0=start, return_singular_vectors="vh")[2].T
    low = torch.from_numpy(np.ascontiguousarray(v * item[:, None] ** -0.5)).float()
    back = torch.from_numpy(np.ascontiguousarray(v.T * item[None, :] ** 0.5)).float()
    float32 = scaled.astype(np.float32)

    def scores(places: np.ndarray) -> Tensor:
        rows = pairs[places].astype(np.float32)
        linear = torch.from_numpy(np.asarray(((rows @ float32.T) @ float32).todense()))
        return linear.add_(torch.from_numpy(rows @ low.numpy()) @ back, alpha=alpha)

    return scores


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="gowalla")
    parser.add_argument("--alpha", type=float, default=0.3)
    parser.add_argument("--rank", type=int, default=256)
    parser.add_argument("--data-root", type=Path)
    options = parser.parse_args()
    data = published(options.data, data_context(options.data_root, 0, False))
    (task,) = (task for task in data.tasks.values() if isinstance(task, RankingTask))
    spec = data.spec
    ones = np.ones(len(spec.user), np.float64)
    pairs = sparse.csr_matrix((ones, (spec.user.numpy(), spec.item.numpy())), (spec.users, spec.items))
    asked = questions(task, "test")
    scorer = closed_form(pairs, options.alpha, options.rank)
    lists = best(lambda places: scorer(asked.queries[places]), len(asked), task.candidates, 20, asked.seen, asked.relevant)
    values = measure_lists(lists, asked.relevant, (20,), {})
    shown = ", ".join(f"{name} {np.nanmean(values[name]):.4f}" for name in ("recall@20", "ndcg@20"))
    print(f"{data.description['name']}: GF-CF, alpha {options.alpha}, rank {options.rank}: {shown} ({len(asked)} users)")


if __name__ == "__main__":
    main()
