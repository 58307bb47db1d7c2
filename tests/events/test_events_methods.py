"""CPC, reconstruction and the hybrid: their losses from their equations, and what a few steps teach."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sslplug.contracts import Assembly, DataContext, Embedding, Options, Order, Progress
from sslplug.randomness import Rng
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.data import DATA
from sslplug_sequence.events.data.event_data import EventData
from sslplug_sequence.events.encoders import ENCODERS
from sslplug_sequence.events.methods import METHODS
from sslplug_sequence.events.methods.cpc import Cpc, CpcOptions
from sslplug_sequence.events.methods.hybrid import Hybrid
from sslplug_sequence.events.objectives import OBJECTIVES
from sslplug_sequence.events.views import VIEWS


@pytest.fixture(scope="module")
def data() -> EventData:
    return DATA["shoppers"].build(DATA["shoppers"].options(shoppers=60, events=25), DataContext(None, None, 0))


def assembled(data: EventData, method: str, views: str, view_options: dict[str, object], **options: object) -> nn.Module:
    torch.manual_seed(0)
    encoder = ENCODERS["gru"]
    made_views = VIEWS[views].build(VIEWS[views].options(**view_options), data.spec)
    assembly = Assembly(
        spec=data.spec,
        level="entity",
        views=made_views,
        encoder=encoder.build(encoder.options(width=16), data.spec),
        another=lambda: encoder.build(encoder.options(width=16), data.spec),
        objective=lambda dim: OBJECTIVES["coles"].build(OBJECTIVES["coles"].options(reduction="mean"), dim),
        decoder=lambda choice: nn.Identity(),
        outputs={},
        nested=lambda views, method, objective: nn.Identity(),
    )
    component = METHODS[method]
    made: Options = component.options(**options)
    return component.build(made, assembly)


def learn(method: nn.Module, data: EventData, steps: int) -> list[float]:
    optimiser = torch.optim.Adam(method.parameters(), lr=0.01)
    losses = []
    for step in range(steps):
        terms = method(data.batches(Order(0, step))[0], Rng.root(step))
        loss = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def test_cpc_is_infonce_over_the_events_to_come() -> None:
    lengths = [4, 1, 3]
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    empty = torch.empty(8, 0)
    events = Events(offsets, torch.arange(8).double(), empty.long(), empty, empty.bool(), torch.arange(3))
    generator = torch.Generator().manual_seed(0)
    context, target = (torch.randn(8, d, generator=generator) for d in (3, 2))
    torch.manual_seed(0)
    cpc = Cpc(CpcOptions(steps=4, negatives=5), None, nn.Identity(), {"event": 3, "input": 2})  # type: ignore[arg-type]
    found = cpc.losses(events, Embedding({"event": context, "input": target}), Rng.root(1))
    assert len(found) == 3  # nothing lies four events ahead
    for k, value in enumerate(found, start=1):
        negatives = torch.randint(8, (5,), generator=Rng.root(1).fork(k).torch())
        wanted = []
        for start, n in zip(offsets.tolist(), lengths):
            for t in range(start, start + n - k):
                guess = cpc.ahead[k - 1](context[t]).detach()
                right = float((guess * target[t + k]).sum())
                others = [float((guess * target[j]).sum()) for j in negatives.tolist() if j != t + k]
                wanted.append(-math.log(math.exp(right) / (math.exp(right) + sum(map(math.exp, others)))))
        assert value.item() == pytest.approx(sum(wanted) / len(wanted), rel=1e-5)


def test_cpc_learns_and_reconstruction_learns(data: EventData) -> None:
    for method, options in (("cpc", {"steps": 2}), ("reconstruction", {"writer": {"width": 16, "dropout": 0.0}})):
        made = assembled(data, method, "clean", {}, **options)
        losses = learn(made, data, 25)
        assert losses[-1] < 0.9 * losses[0], (method, losses[0], losses[-1])
        assert made.observe(data.batches(Order(0, 0))[0], Rng.root(0))["view0"].shape[1] == 16  # type: ignore[operator]
        assert made.training


def test_the_writer_sees_the_entity_row_and_earlier_events_alone(data: EventData) -> None:
    made = assembled(data, "reconstruction", "clean", {}, writer={"width": 16, "dropout": 0.0}).eval()
    (view,) = made.views(data.batches(Order(0, 0))[0], Rng.root(0))  # type: ignore[operator]
    sequence = int(view.data.lengths.argmax())
    seen: list[Tensor] = []
    whole = made.writer.heads.of  # type: ignore[union-attr]

    def spy(states: Tensor) -> object:
        seen.append(states.detach())
        return whole(states)  # type: ignore[operator]

    made.writer.heads.of = spy  # type: ignore[union-attr, assignment]
    entity = torch.randn(len(view.data.entity), 16)
    last = int(view.data.offsets[sequence + 1]) - 1
    other = view.data.codes.clone()
    other[last] = 1
    changed = Events(**{**view.data.__dict__, "codes": other})
    moved_row = entity.clone()
    moved_row[sequence] += 1.0
    made.writer(view, entity)  # type: ignore[operator]
    made.writer(type(view)(changed), entity)  # type: ignore[operator]
    made.writer(view, moved_row)  # type: ignore[operator]
    assert torch.equal(seen[0], seen[1])  # the last event is predicted, never shown
    apart = (seen[0] != seen[2]).any(1)
    assert apart.nonzero()[:, 0].tolist() == [i for i in range(len(apart)) if view.data.owner[i] == sequence]


def test_alignment_is_the_sigmoid_loss_and_reaches_the_generative_side_alone(data: EventData) -> None:
    hybrid = assembled(data, "hybrid", "slices", {"whole": True}, contrastive_epochs=1)
    assert isinstance(hybrid, Hybrid)
    g, c = torch.randn(5, 16, requires_grad=True), torch.randn(5, 16, requires_grad=True)
    value = hybrid.alignment(g, c)
    unit = F.normalize(g.detach()), F.normalize(c.detach())
    wanted = 0.0
    for i in range(5):
        for j in range(5):
            logit = 10.0 * float(unit[0][i] @ unit[1][j]) - 10.0
            wanted += math.log1p(math.exp(-logit if i == j else logit))
    assert value.item() == pytest.approx(wanted / 5, rel=1e-5)
    value.backward()
    assert g.grad is not None
    assert c.grad is None
    assert hybrid.alignment(c, c).item() < hybrid.alignment(g, c).item()


def test_the_hybrid_trains_one_encoder_after_the_other(data: EventData) -> None:
    hybrid = assembled(data, "hybrid", "slices", {"whole": True, "shortest": 5}, contrastive_epochs=2, writer={"width": 16})
    assert isinstance(hybrid, Hybrid)
    batch = data.batches(Order(0, 0))[0]
    states = []
    for epoch in range(4):
        hybrid.on_epoch_start(Progress(epoch, 4, epoch, 4), dict)
        hybrid.zero_grad()
        terms = hybrid(batch, Rng.root(epoch))
        torch.stack(list(terms.values())).sum().backward()
        of = {n: any(p.grad is not None for p in m.parameters()) for n, m in hybrid.named_children()}
        states.append((set(terms), of["encoder"], of["contrastive"], set(hybrid.observe(batch, Rng.root(0)))))
    first = ({"positive", "negative"}, False, True, {"view0"})
    assert states[0] == states[1] == first
    fields = {"department", "channel", "gap", "numbers", "given", "sparsity"}
    assert states[2] == states[3] == (fields | {"alignment"}, True, False, {"view0", "view1"})
    resumed = assembled(data, "hybrid", "slices", {"whole": True, "shortest": 5}, contrastive_epochs=2, writer={"width": 16})
    resumed.load_state_dict(hybrid.state_dict())
    assert "alignment" in resumed(batch, Rng.root(3))  # a run resumed within an epoch goes on where it was


def test_slices_too_short_for_cpc_cost_nothing() -> None:
    empty = torch.empty(2, 0)
    events = Events(torch.tensor([0, 1, 2]), torch.zeros(2).double(), empty.long(), empty, empty.bool(), torch.arange(2))
    cpc = Cpc(CpcOptions(), SimpleNamespace(), nn.Identity(), {"event": 3, "input": 2})  # type: ignore[arg-type]
    (value,) = cpc.losses(events, Embedding({"event": torch.ones(2, 3), "input": torch.ones(2, 2)}), Rng.root(0))
    assert value.item() == 0.0
