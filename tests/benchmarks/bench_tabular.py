"""One training step of T-JEPA, SCARF and VIME: rows a second of sslplug, of the plainest torch loop and of ts3l, interleaved.

    python tests/benchmarks/bench_tabular.py [--ts3l FOLDER] [--only t-jepa scarf vime] [--rounds 5] [--threads 1]

FOLDER is where ``pip install --no-deps --target FOLDER ts3l==0.70`` put ts3l (``build/ts3l`` by default, where it is there);
without it its rows are left out and the table says so. ts3l trains through its own data set, torch's DataLoader, its model and
its loss. It needs PyTorch Lightning and torchmetrics only to be imported: nothing of them runs here, and empty modules stand in.

Tables are generated: Adult's columns (6 numbers, 8 categorical columns of its sizes), 20,000 rows; for T-JEPA also Jannis' 54
numbers. Sizes: T-JEPA on Adult 4 layers, width 16; on Jannis as published (16 layers, width 64; predictor 16 layers, width 16,
4 heads); batch 512. SCARF 4 layers of 256 and a head of 2, batch 128, 60 % corrupted. VIME 1 layer of 256, batch 128, 30 %.
ts3l reads categorical codes as plain numbers (its identity embedding, the cheapest it has). Each contestant lives in a process
of its own, and they take turns; the best round counts. "preparing" is the share of a step in which no network runs: fetching
the batch and making its views or masks. CPU milliseconds are those of all threads of the process.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROWS = 20_000
SIZES = (9, 16, 7, 15, 6, 5, 2, 42)
STEPS = {"t-jepa adult": 3, "t-jepa jannis": 1, "scarf": 20, "vime": 20}
BATCH = {"t-jepa adult": 512, "t-jepa jannis": 512, "scarf": 128, "vime": 128}
TJEPA = {"t-jepa adult": (16, 4, 16, 4, 2), "t-jepa jannis": (64, 16, 16, 16, 4)}  # width, layers; predictor's, and heads
SHARES = (0.25, 0.25), (0.39, 0.39)  # the middle of the published ranges: every step has as much to do
Step = Callable[[], float]


class Clock:
    """Seconds spent in preparing."""

    seconds = 0.0

    def __call__(self, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = work()
        self.seconds += time.perf_counter() - began
        return found


def table(case: str) -> tuple[np.ndarray, np.ndarray]:
    """(n, num) float32 and (n, cat) codes."""
    g = np.random.default_rng(0)
    if case == "t-jepa jannis":
        return g.standard_normal((ROWS, 54), dtype=np.float32), np.zeros((ROWS, 0), np.int64)
    return g.standard_normal((ROWS, 6), dtype=np.float32), np.stack([g.integers(size, size=ROWS) for size in SIZES], 1)


def sslplug_step(case: str, clock: Clock) -> Step:
    """The project's data, views, encoder, method and optimiser, as the training loop puts them together."""
    import pyarrow as pa

    from sslplug.build import build_data, compose, schema_of
    from sslplug.contracts import DataContext, Progress
    from sslplug.randomness import Rng
    from sslplug.recipe import resolve
    from sslplug.training.optim import OptimOptions, make_optimizer
    from sslplug_tabular.plugin import PLUGIN

    numbers, codes = table(case)
    columns = {f"n{j}": numbers[:, j] for j in range(numbers.shape[1])}
    words = {f"c{j}": np.char.add("w", codes[:, j].astype(str)) for j in range(codes.shape[1])}
    schema = schema_of(PLUGIN)
    resolved = resolve({**recipe(case), "train": {"batch_size": BATCH[case]}}, schema, case)
    context = DataContext(None, Path("."), 0, memory=pa.table(columns | words))
    composed = compose(resolved, schema, build_data(resolved, context), torch.device("cpu"))
    method = composed.method.train()
    views, root, done = method.views, Rng.root(0), 0
    method.views = lambda batch, rng: clock(lambda: views(batch, rng))
    optimiser, batches = make_optimizer(method, OptimOptions(name="adamw", lr=1e-3)), composed.batches_of(0)

    def step() -> float:
        nonlocal done
        batch = clock(lambda: batches[done % len(batches)])
        optimiser.zero_grad()
        loss = torch.stack(list(method(batch, root.fork(done)).values())).sum()
        loss.backward()
        optimiser.step()
        done += 1
        method.after_step(Progress(0, 1, done, 10_000))
        return float(loss.detach())

    return step


def recipe(case: str) -> dict[str, Any]:
    """The project's recipe of a case."""
    found: dict[str, Any] = {"plugin": "tabular", "data": "memory"}
    if case == "scarf":
        method = {"name": "joint", "projector": {"widths": [256, 256]}}
        objective = {"name": "infonce", "temperature": 1.0, "negatives": "inter", "symmetric": False}
        encoder = {"name": "mlp", "widths": [256] * 4}
        return found | {"views": "scarf", "encoder": encoder, "method": method, "objective": objective}
    if case == "vime":
        method = {
            "name": "reconstruction",
            "decoder": {"name": "row", "mask": True},
            "mask": 1.0,
            "numeric": 2.0,
            "categories": 2.0,
        }
        return found | {"views": "vime", "encoder": {"name": "mlp", "widths": [256]}, "method": method}
    width, layers, narrow, deep, heads = TJEPA[case]
    encoder = {
        "name": "ft_transformer", "width": width, "layers": layers, "heads": 2, "feedforward": 64, "activation": "relu",
        "norm": "post", "positions": "sinusoidal", "end": "projection", "row": "flatten",
    }  # fmt: skip
    predictor = {"name": "jepa_predictor", "width": narrow, "layers": deep, "heads": heads, "feedforward": 64}
    views = {"name": "tjepa_masks", "context": SHARES[0], "target": SHARES[1]}
    return found | {
        "views": views, "encoder": encoder, "objective": "mse", "method": {"name": "latent_prediction", "decoder": predictor}
    }  # fmt: skip


class PlainTokens(nn.Module):
    """A layer a column."""

    def __init__(self, num: int, sizes: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.numbers = nn.ModuleList(nn.Linear(1, width) for _ in range(num))
        self.words = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.reg = nn.Parameter(torch.randn(width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        tokens = [self.reg.expand(len(x), -1)]
        tokens += [layer(x[:, j : j + 1]) for j, layer in enumerate(self.numbers)]
        tokens += [layer(c[:, j]) for j, layer in enumerate(self.words)]
        return torch.stack(tokens, 1)


def transformer(width: int, heads: int, layers: int) -> nn.TransformerEncoder:
    """Torch's own."""
    layer = nn.TransformerEncoderLayer(width, heads, 64, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


class PlainJepa(nn.Module):
    """Student, or teacher: tokens, transformer, projection."""

    def __init__(self, num: int, sizes: tuple[int, ...], width: int, layers: int) -> None:
        super().__init__()
        self.tokens = PlainTokens(num, sizes, width)
        self.position = nn.Parameter(torch.randn(1 + num + len(sizes), width), requires_grad=False)
        self.body = transformer(width, 2, layers)
        self.end = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.LayerNorm(width))

    def forward(self, x: Tensor, c: Tensor, seen: Tensor | None = None) -> Tensor:
        tokens = self.tokens(x, c) + self.position
        if seen is not None:
            tokens = tokens.gather(1, seen[:, :, None].expand(-1, -1, tokens.shape[2]))
        return self.end(self.body(tokens))  # type: ignore[no-any-return]


def plain_jepa(case: str, clock: Clock) -> Step:
    """T-JEPA as one writes it in an afternoon: masks row by row, a layer a column, the predictor once a target set."""
    numbers, codes = (torch.from_numpy(part) for part in table(case))
    sizes = SIZES if codes.shape[1] else ()
    width, layers, narrow, deep, heads = TJEPA[case]
    columns, done = numbers.shape[1] + len(sizes), 0
    student = PlainJepa(numbers.shape[1], sizes, width, layers)
    teacher = copy.deepcopy(student).requires_grad_(False)
    down, up, body = nn.Linear(width, narrow), nn.Linear(narrow, width), transformer(narrow, heads, deep)
    asked, position = nn.Parameter(torch.zeros(narrow)), torch.randn(1 + columns, narrow)
    parameters = [p for part in (student, down, up, body) for p in part.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW([*parameters, asked], lr=1e-3)

    def masks(n: int) -> tuple[Tensor, list[Tensor]]:
        g = np.random.default_rng(done)
        while True:
            c, t = (int(g.integers(round(low * columns), round(high * columns) + 1)) for low, high in SHARES)
            if c + t <= columns:
                break
        seen, sets = [], []
        for _ in range(n):
            order = 1 + torch.randperm(columns)
            seen.append(torch.cat([torch.zeros(1, dtype=torch.int64), order[:c]]))
            others = order[c:]
            sets.append(torch.stack([others[torch.randperm(len(others))[:t]] for _ in range(4)]))
        return torch.stack(seen), list(torch.stack(sets).unbind(1))

    def step() -> float:
        nonlocal done
        rows = clock(lambda: torch.randperm(ROWS)[: BATCH[case]])
        x, c = numbers[rows], codes[rows]
        seen, sets = clock(lambda: masks(len(rows)))
        optimiser.zero_grad()
        with torch.no_grad():
            wanted = teacher(x, c)
        context = down(student(x, c, seen)) + position[seen]
        loss = torch.zeros(())
        for chosen in sets:
            both = torch.cat([context, asked + position[chosen]], 1)
            prediction = up(body(both)[:, seen.shape[1] :])
            loss = loss + F.mse_loss(prediction, wanted.gather(1, chosen[:, :, None].expand(-1, -1, width))) / 4
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            for old, new in zip(teacher.parameters(), student.parameters()):
                old.mul_(0.996).add_(0.004 * new)
        done += 1
        return float(loss.detach())

    return step


class PlainRows(nn.Module):
    """Numbers beside one-hot codes through an MLP."""

    def __init__(self, num: int, widths: list[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in zip([num + sum(SIZES), *widths], widths):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        parts = [x, *(F.one_hot(c[:, j], size).float() for j, size in enumerate(SIZES))]
        return self.layers(torch.cat(parts, 1))  # type: ignore[no-any-return]


def plain_rows(case: str, clock: Clock) -> Step:
    """SCARF and VIME as one writes them: one-hot codes, corruption column by column, a head a column."""
    numbers, codes = (torch.from_numpy(part) for part in table(case))
    num, columns = numbers.shape[1], numbers.shape[1] + len(SIZES)
    encoder = PlainRows(num, [256] * 4 if case == "scarf" else [256])
    head = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256))
    mask_head, number_head = nn.Linear(256, columns), nn.Linear(256, num)
    word_heads = nn.ModuleList(nn.Linear(256, size) for size in SIZES)
    used = [head] if case == "scarf" else [mask_head, number_head, word_heads]
    optimiser = torch.optim.Adam([p for part in (encoder, *used) for p in part.parameters()], lr=1e-3)

    def corrupted(x: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        n = len(x)
        keys = torch.rand(n, columns)
        mask = keys.argsort(1) < int(0.6 * columns) if case == "scarf" else keys < 0.3
        x, c = x.clone(), c.clone()
        for j in range(columns):
            column, source = (x[:, j], numbers[:, j]) if j < num else (c[:, j - num], codes[:, j - num])
            column[mask[:, j]] = source[torch.randint(ROWS, (n,))][mask[:, j]]
        return x, c, mask

    def step() -> float:
        rows = clock(lambda: torch.randperm(ROWS)[: BATCH[case]])
        x, c = numbers[rows], codes[rows]
        shown, words, mask = clock(lambda: corrupted(x, c))
        optimiser.zero_grad()
        if case == "scarf":
            a, b = (F.normalize(head(encoder(*view)), dim=1) for view in ((x, c), (shown, words)))
            loss = F.cross_entropy(a @ b.T, torch.arange(len(a)))
        else:
            code = encoder(shown, words)
            loss = F.binary_cross_entropy_with_logits(mask_head(code), mask.float())
            loss = loss + 2 * F.mse_loss(number_head(code), x)
            loss = loss + 2 * sum(F.cross_entropy(layer(code), c[:, j]) for j, layer in enumerate(word_heads))
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


def ts3l_step(case: str, clock: Clock) -> Step:
    """ts3l 0.70's data set, model and loss with torch's DataLoader, as its Lightning modules put them together."""
    for name, parts in (("torchmetrics", ()), ("pytorch_lightning", ("LightningDataModule", "LightningModule"))):
        sys.modules[name] = types.ModuleType(name)
        for part in parts:
            setattr(sys.modules[name], part, object)
    import pandas as pd
    from torch.utils.data import DataLoader
    from ts3l import functional
    from ts3l.models import SCARF, VIME
    from ts3l.models.scarf import NTXentLoss
    from ts3l.utils.backbone_utils import MLPBackboneConfig
    from ts3l.utils.embedding_utils import IdentityEmbeddingConfig
    from ts3l.utils.scarf_utils import SCARFDataset
    from ts3l.utils.vime_utils import VIMEDataset

    numbers, codes = table(case)
    columns = numbers.shape[1] + len(SIZES)
    numeric, words = [f"n{j}" for j in range(numbers.shape[1])], [f"c{j}" for j in range(len(SIZES))]
    frame = pd.DataFrame(np.concatenate([codes, numbers], 1), columns=[*words, *numeric])
    embedding = IdentityEmbeddingConfig(input_dim=columns)
    size = {"input_dim": columns, "dropout_rate": 0.0, "use_batch_norm": False}
    model: Any
    if case == "scarf":
        backbone = MLPBackboneConfig(hidden_dims=256, n_hiddens=4, output_dim=256, **size)
        model = SCARF(embedding, backbone, pretraining_head_dim=256, output_dim=2, head_depth=2, dropout_rate=0.0)
        config = types.SimpleNamespace(corruption_rate=0.6)
        data = SCARFDataset(frame, config=config, continuous_cols=numeric, category_cols=words)
        contrast = NTXentLoss(1.0)
    else:
        backbone = MLPBackboneConfig(hidden_dims=256, n_hiddens=1, output_dim=256, **size)
        model = VIME(embedding, backbone, len(numeric), list(SIZES), predictor_dim=256, output_dim=2)
        config = types.SimpleNamespace(p_m=0.3, K=3)
        data = VIMEDataset(frame, config=config, continuous_cols=numeric, category_cols=words)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = nn.BCELoss(), nn.CrossEntropyLoss(), nn.MSELoss()

    def endless() -> Iterator[Any]:
        while True:
            yield from DataLoader(data, batch_size=BATCH[case], shuffle=True, drop_last=True)

    batches = endless()

    def step() -> float:
        batch = clock(lambda: next(batches))
        optimiser.zero_grad()
        if case == "scarf":
            loss = functional.scarf.first_phase_loss(*functional.scarf.first_phase_step(model, batch), contrast)
        else:
            mask, categories, numbers_found = functional.vime.first_phase_step(model, batch)
            cat, cont = batch[2][:, : len(words)], batch[2][:, len(words) :]
            terms = functional.vime.first_phase_loss(cat, cont, batch[1], categories, numbers_found, mask, *losses)
            loss = terms[0] + 2 * terms[1] + 2 * terms[2]
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


CONTESTANTS: dict[str, dict[str, Callable[[str, Clock], Step]]] = {
    "t-jepa adult": {"sslplug": sslplug_step, "plain torch loop": plain_jepa},
    "t-jepa jannis": {"sslplug": sslplug_step, "plain torch loop": plain_jepa},
    "scarf": {"sslplug": sslplug_step, "plain torch loop": plain_rows, "ts3l 0.70": ts3l_step},
    "vime": {"sslplug": sslplug_step, "plain torch loop": plain_rows, "ts3l 0.70": ts3l_step},
}


def contestant(case: str, name: str, threads: int) -> None:
    """Child: for each line on stdin do that many steps and print seconds and CPU seconds a step, share of preparing, loss."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    clock, answers = Clock(), sys.stdout
    sys.stdout = sys.stderr
    step = CONTESTANTS[case][name](case, clock)
    for line in sys.stdin:
        steps, clock.seconds = int(line), 0.0
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            loss = step()
        seconds, spent = time.perf_counter() - start, time.process_time() - cpu
        found = {"seconds": seconds / steps, "cpu": spent / steps, "preparing": clock.seconds / seconds, "loss": loss}
        print(json.dumps(found), file=answers, flush=True)


def measured(case: str, names: list[str], chosen: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Every contestant's rounds, taken in turns."""
    root = Path(__file__).resolve().parents[2]
    paths = [str(root), str(root / "plugins"), *([str(chosen.ts3l)] if chosen.ts3l else [])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": str(chosen.threads)}
    command = [sys.executable, __file__, "--threads", str(chosen.threads), "--contestant", case]
    children = {
        name: subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for name in names
    }
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for turn in range(chosen.rounds + 1):  # the first turn warms up
        for name, child in children.items():
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(f"{STEPS[case] if turn else 1}\n")
            child.stdin.flush()
            line = child.stdout.readline()
            if not line:
                raise SystemExit(f"{name} on {case} ended early; its message is above.")
            if turn:
                results[name].append(json.loads(line))
    for child in children.values():
        child.communicate()
    return results


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = Path("build/ts3l")
    parser.add_argument("--ts3l", type=Path, default=beside if beside.is_dir() else None)
    parser.add_argument("--only", nargs="+", default=["t-jepa", "scarf", "vime"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--contestant", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.contestant:
        contestant(*chosen.contestant, chosen.threads)
        return
    print(f"{chosen.threads} threads, torch {torch.__version__}, best of {chosen.rounds} rounds\n")
    print("| step | | rows/s, best | median | CPU ms a step | preparing | CPU time against sslplug | last loss |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for case, contestants in CONTESTANTS.items():
        if not any(case.startswith(word) for word in chosen.only):
            continue
        results = measured(case, [name for name in contestants if chosen.ts3l or not name.startswith("ts3l")], chosen)
        ours = min(found["cpu"] for found in results["sslplug"])
        for name, rounds in results.items():
            best, middle = min(r["seconds"] for r in rounds), statistics.median(r["seconds"] for r in rounds)
            cpu, preparing = min(r["cpu"] for r in rounds), statistics.median(r["preparing"] for r in rounds)
            print(
                f"| {case} | {name} | {BATCH[case] / best:,.0f} | {BATCH[case] / middle:,.0f} | {cpu * 1e3:.1f} | "
                f"{100 * preparing:.0f} % | {cpu / ours:.2f} x | {rounds[-1]['loss']:.3f} |"
            )
    if not chosen.ts3l:
        print("\nts3l was not given: pip install --no-deps --target build/ts3l ts3l==0.70, then --ts3l build/ts3l.")


if __name__ == "__main__":
    main()
