"""Full evaluation of a ranking the size of Gowalla (29,858 x 40,981, width 64): seconds and peak memory, beside plain torch.

    python tests/benchmarks/bench_ranking.py [--threads 2] [--repeats 3]

Random embeddings; the split is Gowalla's where SSLPLUG_DATA holds it (``recsys/gowalla/train.txt``, ``test.txt``), else random
pairs of the same counts. Both sides give every user's best 20 and recall@20 and ndcg@20, seen items masked:

engine   blocked scores, best by groups (sslplug.evaluation.ranking.top), all metrics of all cutoffs, ties against the model
plain    chunks of 2,048 users: matmul, mask by index, torch.topk over all items, hits by a dense relevance matrix of the chunk

Two further rows time what stands beside a model: the fit of item-kNN, and its lists. Each row runs in a fresh process; memory is
the growth of the peak over what the data takes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from scipy import sparse

USERS, ITEMS, WIDTH, TRAIN, TEST, CHUNK = 29_858, 40_981, 64, 810_128, 217_242, 2_048
KINDS = ("engine", "plain", "item-kNN fit", "item-kNN lists")


def split() -> tuple[sparse.csr_matrix, sparse.csr_matrix, str]:
    """(users, items) CSR of training and test pairs, and where they come from."""
    folder = Path(os.environ.get("SSLPLUG_DATA", "")) / "recsys" / "gowalla"
    if (folder / "train.txt").is_file():
        return read(folder / "train.txt"), read(folder / "test.txt"), "Gowalla"
    rng = np.random.default_rng(0)
    keys = rng.choice(USERS * ITEMS, TRAIN + TEST, replace=False)
    return pairs(*divmod(keys[:TRAIN], ITEMS)), pairs(*divmod(keys[TRAIN:], ITEMS)), "random pairs"


def read(file: Path) -> sparse.csr_matrix:
    """Lines of "user item item ..."."""
    lines = [np.array(line.split(), dtype=np.int64) for line in file.read_text().splitlines()]
    user = np.repeat([line[0] for line in lines if len(line)], [len(line) - 1 for line in lines if len(line)])
    return pairs(user, np.concatenate([line[1:] for line in lines if len(line)]))


def pairs(user: np.ndarray, item: np.ndarray) -> sparse.csr_matrix:
    """Ones at the pairs."""
    return sparse.csr_matrix((np.ones(len(user), np.float32), (user, item)), shape=(USERS, ITEMS))


def engine(query: np.ndarray, item: np.ndarray, train: sparse.csr_matrix, test: sparse.csr_matrix) -> tuple[float, float]:
    """The engine's evaluation."""
    from sslplug.evaluation.ranking.metrics import measure_lists
    from sslplug.evaluation.ranking.top import best, inner_products

    lists = best(inner_products(query, item), USERS, ITEMS, 20, train, test)
    values = measure_lists(lists, test, (20, 10), {})
    return float(np.nanmean(values["recall@20"])), float(np.nanmean(values["ndcg@20"]))


def plain(query: np.ndarray, item: np.ndarray, train: sparse.csr_matrix, test: sparse.csr_matrix) -> tuple[float, float]:
    """The plainest chunked loop in torch."""
    q, x = torch.from_numpy(query), torch.from_numpy(item)
    discount = 1 / torch.log2(torch.arange(2, 22).double())
    recall, ndcg, asked = 0.0, 0.0, 0
    for start in range(0, USERS, CHUNK):
        stop = min(start + CHUNK, USERS)
        scores = q[start:stop] @ x.T
        seen = train[start:stop].tocoo()
        scores[torch.from_numpy(seen.row).long(), torch.from_numpy(seen.col).long()] = -torch.inf
        top = scores.topk(20, dim=1).indices
        relevant = torch.from_numpy(test[start:stop].toarray())
        n = relevant.sum(1).double()
        hit, some = relevant.gather(1, top).double(), n > 0
        ideal = discount.cumsum(0)[n[some].clamp(max=20).long() - 1]
        recall += float((hit.sum(1)[some] / n[some]).sum())
        ndcg += float(((hit @ discount)[some] / ideal).sum())
        asked += int(some.sum())
    return recall / asked, ndcg / asked


def measure(kind: str, threads: int, repeats: int) -> dict[str, object]:
    """Best seconds, MiB and what was found of one kind."""
    from sslplug.evaluation.ranking.neighbours import ItemNeighbours
    from sslplug.evaluation.ranking.top import best

    torch.set_num_threads(threads)
    train, test, name = split()
    rng = np.random.default_rng(1)
    query, item = (rng.normal(size=(n, WIDTH)).astype(np.float32) for n in (USERS, ITEMS))
    near = ItemNeighbours.of(train, 200, 10.0) if kind == "item-kNN lists" else None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, cpu, found = [], [], (float("nan"), float("nan"))
    for _ in range(repeats):
        began, used = time.perf_counter(), time.process_time()
        if kind == "engine":
            found = engine(query, item, train, test)
        elif kind == "plain":
            found = plain(query, item, train, test)
        elif near is None:
            ItemNeighbours.of(train, 200, 10.0)
        else:
            best(near.scorer(train), USERS, ITEMS, 20, train, test)
        seconds.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {
        "data": name,
        "seconds": min(seconds),
        "cpu": min(cpu),
        "mib": grown,
        "whole": (before / 1024 + grown),
        "found": found,
    }


def main() -> None:
    """Print one line a kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=KINDS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one, asked.threads, asked.repeats)))
        return
    print(f"{'':<16}{'seconds':>9}{'CPU s':>9}{'MiB more':>10}{'MiB all':>9}  recall@20 ndcg@20  data")
    for kind in KINDS:
        command = [sys.executable, __file__, "--one", kind, "--threads", str(asked.threads), "--repeats", str(asked.repeats)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        recall, ndcg = row["found"]
        print(
            f"{kind:<16}{row['seconds']:>9.2f}{row['cpu']:>9.2f}{row['mib']:>10.0f}{row['whole']:>9.0f}  {recall:>9.5f} {ndcg:>7.5f}"
            f"  {row['data']}"
        )


if __name__ == "__main__":
    main()
