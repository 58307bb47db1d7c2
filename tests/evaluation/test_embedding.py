from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug.errors import DataError, NonFiniteError
from sslplug.evaluation import embed


@dataclass(frozen=True)
class Cells:
    x: Tensor

    def to(self, device: torch.device | str) -> "Cells":
        return Cells(self.x.to(device))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(0.5))
        self.frozen = nn.BatchNorm1d(2).eval()
        self.dims = {"cell": 5, "row": 5}

    def forward(self, view: View) -> Embedding:
        cells = self.layer(view.data.x)
        return Embedding({"cell": cells, "row": cells.mean(0, keepdim=True)})


def views() -> list[View]:
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    return [View(Cells(x[:4])), View(Cells(x[4:]))]


def test_rows_come_in_order_in_eval_mode_and_modes_are_restored() -> None:
    encoder = Encoder().train()
    encoder.frozen.eval()
    first, second = embed(encoder, views(), "cpu"), embed(encoder, iter(views()), "cpu")
    assert {level: a.shape for level, a in first.items()} == {"cell": (7, 5), "row": (2, 5)}
    assert first["cell"].dtype == np.float32
    assert np.array_equal(first["cell"], second["cell"])
    assert encoder.training
    assert encoder.layer[1].training
    assert not encoder.frozen.training
    assert int(encoder.layer[1].num_batches_tracked) == 0
    encoder.eval()
    with torch.no_grad():
        whole = encoder.layer(torch.cat([view.data.x for view in views()])).numpy()
    assert np.allclose(first["cell"], whole, atol=1e-6)


def test_modes_are_restored_after_a_failure() -> None:
    class Broken(Encoder):
        def forward(self, view: View) -> Embedding:
            raise ValueError("no")

    encoder = Broken().train()
    with pytest.raises(ValueError, match="no"):
        embed(encoder, views(), "cpu")
    assert encoder.training


def test_non_finite_rows_are_counted() -> None:
    bad = views()
    bad[1].data.x[0, 0] = float("nan")
    with pytest.raises(NonFiniteError, match="level 'cell': 1 of 7 rows are NaN or infinite, first row 4"):
        embed(Encoder(), bad, "cpu")
    with pytest.raises(DataError, match="nothing to embed"):
        embed(Encoder(), [], "cpu")
