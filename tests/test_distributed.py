"""Ranks that really run: averages over ranks of value and gradient equal the one-process value and gradient."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from sslplug import discovery, distributed
from sslplug.objectives import OBJECTIVES
from sslplug_lidar.objectives import OBJECTIVES as LIDAR
from sslplug_recsys.sequential.contrast import DOT_CONTRAST
from sslplug_sequence.events.objectives import OBJECTIVES as EVENTS

DIM, ROWS = 5, 24
PLUGINS = {**LIDAR, **EVENTS, "dot_contrast": DOT_CONTRAST}
"""What plugins bring; they compute in float32 whatever they are given."""
# The recipes of every objective that are compared: (name, options, how its inputs look).
CASES = [
    *[(name, {}) for name in sorted(OBJECTIVES) if name not in ("infonce", "jsd_local_global")],
    *[
        ("infonce", {"negatives": negatives, "symmetric": symmetric, "margin": 0.1, "temperature": 0.3, "tile": 16})
        for negatives in ("both", "inter")
        for symmetric in (True, False)
    ],
    ("infonce", {"decoupled": True}),
    ("infonce", {"temperature": 0.005}),
    ("jsd_local_global", {"form": "bce"}),
    ("jsd_local_global", {"form": "jsd"}),
    ("metric_learning", {"loss": "VICRegLoss"}),
    ("swav", {"prototypes": 7}),
    *[(name, {}) for name in PLUGINS if name != "chamfer"],
    ("chamfer", {"channels": 1}),
    ("coles", {"margin": 1.2, "negatives": 2}),
]
INPUTS = ("rows", "ids")


def linear():
    torch.manual_seed(5)
    return nn.Linear(4, DIM, dtype=torch.float64)


def share(tensor, rank, world, ragged):
    """A rank's rows: equal shares, or shares of different sizes."""
    n = len(tensor)
    cuts = [n * r // world for r in range(world + 1)]
    if ragged:
        cuts = [0] + [c + 1 for c in cuts[1:-1]] + [n]
    return tensor[cuts[rank] : cuts[rank + 1]]


def value_of(case, inputs, rank, world, ragged):
    """The objective's value on this rank's share, and its module and encoder with gradients."""
    name, options = case
    torch.manual_seed(6)
    component = {**OBJECTIVES, **PLUGINS}[name]
    objective = component.build(component.options(**options), DIM).double()
    encoder = linear()
    g = torch.Generator().manual_seed(7)
    a, b = (torch.randn(ROWS, 4, generator=g, dtype=torch.float64) for _ in range(2))
    x, y = (encoder(share(one, rank, world, ragged)) for one in (a, b))
    ids = None
    if inputs == "ids":
        # One unmatched row; infonce and metric_learning get groups of three, some of which span ranks.
        many = name in ("infonce", "metric_learning", "coles") and options.get("loss") != "VICRegLoss"
        number = torch.arange(ROWS) // (3 if many else 1)
        number[2] = -1
        ids = [share(number, rank, world, ragged)] * 2
    if name == "cross_entropy" or (name == "fields" and ids is not None):
        y, ids = share(torch.arange(ROWS) % DIM, rank, world, ragged), None
    if name == "jsd_local_global":
        graphs = share(torch.arange(ROWS).reshape(8, 3), rank, world, ragged)
        nodes = encoder(a[graphs.reshape(-1)])
        owner = torch.arange(len(graphs)).repeat_interleave(3)
        owner[-1] = -1 if rank == world - 1 else owner[-1]
        x, y, ids = nodes, nodes.reshape(len(graphs), 3, DIM).sum(1).sigmoid(), [owner, torch.arange(len(graphs))]
    if name in ("mse", "fields", "chamfer"):
        ids = None
    if (
        name == "fields" and y.is_floating_point()
    ):  # numbers, some of which were not recorded: more on one rank than on another
        y = share(b.new_ones(ROWS, DIM).where(b.mean(1, keepdim=True) > -0.3, torch.nan), rank, world, ragged)
    if name == "chamfer":
        y = y.detach()
    value = sum(objective([x, y], ids).values())
    value.backward()
    return float(value.detach()), [*encoder.parameters(), *objective.parameters()]


def every_case(rank, world):
    found = []
    for case in CASES:
        for inputs in INPUTS:
            for ragged in (False, True) if world > 1 else (False,):
                value, parameters = value_of(case, inputs, rank, world, ragged)
                distributed.average_gradients(parameters)
                total = distributed.sum_ranks(torch.tensor(value, dtype=torch.float64)) / world
                found.append((case, inputs, ragged, float(total), [p.grad.clone() for p in parameters]))
    return found


def collectives(rank, world):
    """Ragged rows, their gradient, offsets, weights, flags, and gradients that only some ranks have."""
    n = rank + 1 if rank < world - 1 else 0
    offset = sum(r + 1 for r in range(rank)) if rank < world - 1 else sum(range(1, world))
    rows = (torch.arange(n * 2, dtype=torch.float64).reshape(n, 2) + 10 * rank).requires_grad_()
    joined = distributed.gather_rows(rows)
    expected = [torch.arange((r + 1) * 2).reshape(r + 1, 2).double() + 10 * r for r in range(world - 1)]
    assert torch.equal(joined, torch.cat(expected))
    assert distributed.row_offset(n) == offset
    assert distributed.total_rows(n) == len(joined)
    assert abs(distributed.rank_weight(n) - n * world / len(joined)) < 1e-12
    # Rank r asks for (r + 1) of every row: each row receives 1 + 2 + ... + W.
    (joined.sum() * (rank + 1)).backward()
    assert torch.equal(rows.grad, torch.full_like(rows, world * (world + 1) / 2))
    assert torch.equal(distributed.gather_rows(torch.tensor([rank])), torch.arange(world))
    assert distributed.any_rank(rank == 1)
    assert not distributed.any_rank(False)
    assert float(distributed.max_ranks(torch.tensor(float(rank)))) == world - 1
    some, none, half = (nn.Parameter(torch.zeros(2, dtype=t)) for t in (torch.float32, torch.float32, torch.float64))
    if rank == 0:
        some.grad = torch.ones(2) * world
    half.grad = torch.full((2,), float(rank), dtype=torch.float64)
    distributed.average_gradients([some, none, half])
    assert torch.equal(some.grad, torch.ones(2))
    assert none.grad is None, "a gradient that no rank has must stay missing"
    assert torch.allclose(half.grad, torch.full((2,), (world - 1) / 2, dtype=torch.float64))


def rank_main(rank, folder):
    """Four ranks, then two of them: starting processes is what costs time here."""
    torch.set_num_threads(1)
    for world in (4, 2):
        if rank < world:
            dist.init_process_group("gloo", init_method=f"file://{folder}/meet{world}", rank=rank, world_size=world)
            try:
                assert (distributed.rank(), distributed.world()) == (rank, world)
                collectives(rank, world)
                found = every_case(rank, world)
                if rank == 0:
                    torch.save(found, f"{folder}/found{world}.pt")
            finally:
                dist.destroy_process_group()


def test_without_a_group_every_function_is_the_one_process_case():
    x = torch.randn(3, 2, requires_grad=True)
    assert (distributed.world(), distributed.rank()) == (1, 0)
    assert distributed.gather_rows(x) is x
    assert distributed.sum_ranks(x) is x
    assert (distributed.row_offset(3), distributed.total_rows(3), distributed.rank_weight(3)) == (0, 3, 1.0)
    assert distributed.any_rank(True)
    assert not distributed.any_rank(False)


def test_two_and_four_ranks_give_the_one_process_value_and_gradient(tmp_path):
    alone = {(str(case), inputs): (value, grads) for case, inputs, _, value, grads in every_case(0, 1)}
    mp.spawn(rank_main, (str(tmp_path),), nprocs=4, join=True)
    for world in (2, 4):
        found = torch.load(tmp_path / f"found{world}.pt")
        assert len(found) == 2 * len(alone)
        for case, inputs, ragged, value, grads in found:
            expected, wanted = alone[str(case), inputs]
            where = f"{case} by {inputs} on {world} ranks, ragged={ragged}"
            exact = case[0] not in PLUGINS
            near = 1e-9 if exact else 1e-6
            assert abs(value - expected) <= near * max(1.0, abs(expected)), f"{where}: {value} instead of {expected}"
            rtol, atol = (1e-7, 1e-10) if exact else (1e-6, 1e-6)
            for ours, theirs in zip(grads, wanted, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol, msg=lambda m, w=where: f"{w}: {m}")


def test_every_plugin_s_objective_is_among_the_cases():
    brought = {
        name
        for found in discovery.list_plugins()
        if found.distribution == "sslplug"
        for name in discovery.load(found.name).objectives
    }
    assert brought == set(PLUGINS)
    assert {name for name, _ in CASES} == {*OBJECTIVES, *PLUGINS}
