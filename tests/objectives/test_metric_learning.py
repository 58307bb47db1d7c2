"""Every loss and miner of pytorch-metric-learning through the adapter."""

import pytest
import torch
from pytorch_metric_learning import losses, miners

from sslplug.errors import SslplugError
from sslplug.objectives import OBJECTIVES
from sslplug.objectives.metric_learning import LOSSES, MINERS, _constructor

COMPONENT = OBJECTIVES["metric_learning"]
# Options without which these losses cannot be built, or (ManifoldLoss) with which a small batch suffices.
OWN = {"RankedListLoss": {"margin": 0.4, "Tn": 1.0}, "ManifoldLoss": {"K": 12}}


def made(loss, miner=None, **options):
    given = {**OWN.get(loss, {}), **options}
    if _constructor(LOSSES[loss]).get("num_classes") is not None:
        given.setdefault("num_classes", 12)
    torch.manual_seed(0)
    return COMPONENT.build(COMPONENT.options(loss=loss, loss_options=given, miner=miner), 8)


def views():
    g = torch.Generator().manual_seed(1)
    return [torch.randn(12, 8, generator=g).requires_grad_() for _ in range(2)]


def test_the_tables_hold_the_library():
    assert {"NTXentLoss", "SupConLoss", "TripletMarginLoss", "VICRegLoss", "ProxyAnchorLoss", "ManifoldLoss"} <= set(LOSSES)
    assert len(LOSSES) >= 34
    assert {"MultiSimilarityMiner", "BatchHardMiner", "TripletMarginMiner"} <= set(MINERS)


# HistogramLoss indexes with lists and the large-margin losses pass tensors to scipy: both only warn, in that library.
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept")
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_runs_forward_and_backward(loss):
    pair = views()
    (value,) = made(loss)(pair).values()
    value.backward()
    assert value.isfinite()
    assert pair[0].grad.isfinite().all()
    assert pair[0].grad.abs().sum() > 0


@pytest.mark.parametrize("miner", sorted(MINERS))
def test_every_miner_chooses_for_a_loss(miner):
    pair = views()
    made("TripletMarginLoss", miner)(pair)["metric_learning"].backward()
    assert pair[0].grad.isfinite().all()


def test_ids_and_positions_become_labels():
    a, b = views()
    direct = losses.SupConLoss()(torch.cat([a, b]), torch.arange(12).repeat(2))
    torch.testing.assert_close(made("SupConLoss")([a, b])["metric_learning"], direct)
    ids = torch.arange(12) // 2
    ids[-3:] = -1
    labels = ids.repeat(2)
    labels[labels < 0] = torch.arange(100, 106)
    torch.testing.assert_close(
        made("SupConLoss")([a, b], [ids, ids])["metric_learning"], losses.SupConLoss()(torch.cat([a, b]), labels)
    )


def test_mined_pairs_reach_the_loss():
    joined, labels = torch.cat(views()), torch.arange(12).repeat(2)
    mined = miners.BatchHardMiner()(joined, labels)
    expected = losses.TripletMarginLoss()(joined, labels, mined)
    torch.testing.assert_close(made("TripletMarginLoss", "BatchHardMiner")(views())["metric_learning"], expected)


def test_classes_leave_unlabelled_rows_out():
    a, b = views()
    ids = torch.arange(12)
    ids[3] = -1
    keep = (ids >= 0).repeat(2)
    objective = made("ProxyNCALoss")
    direct = objective.loss(torch.cat([a, b])[keep], ids.repeat(2)[keep])
    torch.testing.assert_close(objective([a, b], [ids, ids])["metric_learning"], direct)
    with pytest.raises(SslplugError, match="num_classes 12, but an id is 40"):
        objective([a, b], [ids, ids + 29])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "NTXent"}, "Nearest: NTXentLoss"),
        ({"loss": "NTXentLoss", "miner": "BatchHard"}, "Nearest: BatchHardMiner"),
        ({"loss": "NTXentLoss", "loss_options": {"tau": 1}}, "no option 'tau'; it has temperature"),
        ({"loss": "ArcFaceLoss"}, "objective.loss_options.num_classes"),
        ({"loss": "RankedListLoss"}, "needs margin, Tn"),
        ({"loss": "ManifoldLoss", "loss_options": {"lambdaC": -1.0}}, "refused its options"),
    ],
)
def test_errors_name_what_would_work(options, words):
    with pytest.raises(SslplugError, match=words):
        COMPONENT.build(COMPONENT.options(**options), 8)
