"""CoLES's loss against a loop written from its equation; the loss of fields against torch."""

import itertools
import os

import pytest
import torch
import torch.multiprocessing as mp
from torch.nn import functional as F

from sslplug.errors import DataError
from sslplug_sequence.events.objectives import OBJECTIVES
from sslplug_sequence.events.objectives.coles import Coles, ColesOptions


def coles(**options: object) -> Coles:
    return Coles(ColesOptions(**options))  # type: ignore[arg-type]


def by_the_book(rows: torch.Tensor, ids: list[int], margin: float, count: int) -> tuple[float, float]:
    unit = [row / row.norm() for row in rows]

    def distance(i: int, j: int) -> float:
        return float((unit[i] - unit[j]).norm())

    pairs = [p for p in itertools.combinations(range(len(ids)), 2) if ids[p[0]] == ids[p[1]]]
    positive = sum(distance(i, j) ** 2 for i, j in pairs)
    negative = 0.0
    for i in range(len(ids)):
        nearest = sorted(distance(i, j) for j in range(len(ids)) if ids[j] != ids[i])[:count]
        negative += sum(max(0.0, margin - d) ** 2 for d in nearest)
    return positive, negative


def test_the_loss_is_the_published_sum() -> None:
    rows = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    ids = [0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 3]
    positive, negative = by_the_book(rows, ids, 0.8, 3)
    terms = coles(margin=0.8, negatives=3)([rows[:5], rows[5:]], [torch.tensor(ids[:5]), torch.tensor(ids[5:])])
    assert float(terms["positive"]) == pytest.approx(positive, rel=1e-5)
    assert float(terms["negative"]) == pytest.approx(negative, rel=1e-4)


def test_sixty_four_clients_of_five_slices_have_640_positive_pairs() -> None:
    ids = torch.arange(64).repeat_interleave(5)
    rows = torch.eye(64).repeat_interleave(5, 0)
    far = coles()([rows[::2], rows[1::2]], [ids[::2], ids[1::2]])
    assert float(sum(far.values())) == 0.0  # slices coincide, entities are sqrt(2) apart
    opposite = torch.where((torch.arange(320) % 5 == 0)[:, None], -rows, rows)
    # One of five rows is turned round: 4 of an entity's 10 pairs are 2 apart, 4 * 2^2 each entity.
    turned = coles()([opposite[::2], opposite[1::2]], [ids[::2], ids[1::2]])
    assert float(turned["positive"]) == pytest.approx(64 * 16)
    mean = coles(reduction="mean")([opposite[::2], opposite[1::2]], [ids[::2], ids[1::2]])
    assert float(mean["positive"]) == pytest.approx(64 * 16 / (640 + 320 * 5))


def test_without_ids_rows_match_by_position_and_an_unknown_id_matches_nothing() -> None:
    rows = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    moved = rows + 0.1
    by_row, by_id = coles()([rows, moved]), coles()([rows, moved], [torch.arange(4)] * 2)
    assert by_row == by_id
    ids = torch.tensor([0, 1, -1, -1])
    part = coles()([rows, moved], [ids, ids])
    unit = F.normalize(rows), F.normalize(moved)
    assert float(part["positive"]) == pytest.approx(float((unit[0] - unit[1])[:2].square().sum()), rel=1e-5)
    with pytest.raises(DataError, match="no two rows share an id"):
        coles()([rows], [torch.arange(4)])


def test_descent_draws_slices_of_an_entity_together_and_others_apart() -> None:
    rows = torch.nn.Parameter(torch.randn(12, 4, generator=torch.Generator().manual_seed(2)))
    ids = torch.arange(3).repeat_interleave(4)
    optimiser = torch.optim.Adam([rows], lr=0.05)
    for _ in range(120):
        optimiser.zero_grad()
        torch.stack(list(coles(margin=1.0)([rows[:6], rows[6:]], [ids[:6], ids[6:]]).values())).sum().backward()
        optimiser.step()
    unit = F.normalize(rows.detach())
    distance = torch.cdist(unit, unit)
    same = ids[:, None] == ids[None, :]
    assert distance[same].max() < 0.1
    assert distance[~same].min() > 0.8


def _rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    rows, ids = _material()
    mine = rows[:6] if rank == 0 else rows[6:]
    leaf = mine.clone().requires_grad_()
    terms = coles(margin=1.2, negatives=2)([leaf[:3], leaf[3:]], [ids[rank][:3], ids[rank][3:]])
    torch.stack(list(terms.values())).sum().backward()
    torch.save(({k: v.detach() for k, v in terms.items()}, leaf.grad), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def _material() -> tuple[torch.Tensor, list[torch.Tensor]]:
    rows = torch.randn(13, 3, generator=torch.Generator().manual_seed(3))
    return rows, [torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([2, 3, 3, 4, 4, 4, 5])]


def test_two_ranks_average_to_the_joined_batch(tmp_path: object) -> None:
    mp.start_processes(_rank, (os.fspath(tmp_path),), nprocs=2, start_method="spawn")  # type: ignore[call-overload]
    rows, ids = _material()
    leaf = rows.clone().requires_grad_()
    wanted = coles(margin=1.2, negatives=2)([leaf], [torch.cat(ids)])
    torch.stack(list(wanted.values())).sum().backward()
    found = [torch.load(f"{tmp_path}/{rank}.pt") for rank in range(2)]
    for name, value in wanted.items():
        torch.testing.assert_close((found[0][0][name] + found[1][0][name]) / 2, value)
    torch.testing.assert_close(torch.cat([found[0][1], found[1][1]]) / 2, leaf.grad)


def test_fields_cost_cross_entropy_or_the_error_of_recorded_numbers() -> None:
    loss = OBJECTIVES["fields"].build(OBJECTIVES["fields"].options(), 0)
    logits, classes = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    assert float(loss([logits, classes])["field"]) == pytest.approx(float(F.cross_entropy(logits, classes)))
    target = torch.tensor([[1.0, torch.nan], [torch.nan, 2.0], [0.5, torch.nan]])
    guess = torch.zeros(3, 2, requires_grad=True)
    value = loss([guess, target])["field"]
    assert value.item() == pytest.approx((1 + 4 + 0.25) / 3)
    value.backward()
    assert guess.grad is not None
    assert torch.isfinite(guess.grad).all()
    assert (guess.grad[target.isnan()] == 0).all()
    with pytest.raises(DataError, match="do not fit"):
        loss([guess, torch.zeros(3)])
