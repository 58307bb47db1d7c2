"""Encoders traced to programs: open lengths, what is inside the file, what is said where torch refuses."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug.errors import RunFolderError
from sslplug.exporting import parity
from sslplug.exporting.archive import load_program, pickled
from sslplug.exporting.form import forms_of
from sslplug.exporting.parity import ParityError, agreements, difference
from sslplug.exporting.program import NotTraceable, Program, traced


class Net(nn.Module):
    """Rows and their mean; ``data``: {"x": (n, 3), "secret": unread}."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3, 2)

    def forward(self, view: View) -> Embedding:
        rows = self.map(view.data["x"])
        return Embedding({"row": rows, "all": rows.mean(0, keepdim=True)})


class Groups(nn.Module):
    """Takes rows in groups of four: how many there are is fixed by a trace."""

    def forward(self, view: View) -> Embedding:
        return Embedding({"row": torch.cat([part.cumsum(0) for part in torch.split(view.data["x"], 4)])})


class AtLeast(nn.Module):
    """Has a way for few rows that a trace with many does not see."""

    def forward(self, view: View) -> Embedding:
        x = view.data["x"]
        return Embedding({"row": x + 1 if x.shape[0] > 5 else x - 1})


class Measures(nn.Module):
    """Asks a tensor that it never reads for its length."""

    def forward(self, view: View) -> Embedding:
        x, secret = view.data["x"], view.data["secret"]
        return Embedding({"row": x + torch.arange(int(secret.shape[0]))[:, None]})


class Asks(nn.Module):
    def forward(self, view: View) -> Embedding:
        x = view.data["x"]
        return Embedding({"row": x * 2 if bool(x.sum() > 0) else x})


class Counts(nn.Module):
    def forward(self, view: View) -> Embedding:
        x = view.data["x"]
        return Embedding({"row": x * len({x.shape[0]: 1}) + torch.zeros([7 if x.shape[0] == 7 else 5, 3])})


SECRET = 7.25


def rows(*counts: int) -> list[View]:
    return [View({"x": torch.randn(n, 3), "secret": torch.full((n,), SECRET)}) for n in counts]


def program(encoder: nn.Module, *counts: int) -> Program:
    (form,) = forms_of(encoder.eval(), rows(*counts))
    return traced(encoder, "net", form)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Net, Program, Path]:
    """An encoder, its program, and the file of it."""
    torch.manual_seed(0)
    net = Net().requires_grad_(False)
    found = program(net, 7, 5)
    file = tmp_path_factory.mktemp("program") / "net.pt2"
    file.write_bytes(found.saved())
    return net, found, file


def test_a_program_says_what_it_takes(made: tuple[Net, Program, Path]) -> None:
    _, found, _ = made
    assert found.inputs == {"x": ("n1", 3)}
    assert found.outputs == {"row": ("n1", 2), "all": (1, 2)}
    assert found.dtypes == {"row": torch.float32, "all": torch.float32}
    assert not found.ranges


def test_a_file_holds_weights_and_no_row(made: tuple[Net, Program, Path]) -> None:
    net, _, file = made
    loaded = load_program(file)
    x = torch.randn(11, 3)
    torch.testing.assert_close(loaded.module()(x=x)["row"], net.map(x))
    assert not loaded.constants
    with zipfile.ZipFile(file) as archive:
        held = b"".join(archive.read(name) for name in archive.namelist())
    assert torch.tensor(SECRET).numpy().tobytes() * 2 not in held
    assert net.map.weight.numpy().tobytes() in held
    assert str(Path(__file__).parents[2]).encode() not in held  # no place of the source


@pytest.mark.parametrize("part", ["data/sample_inputs/model.pt", "data/weights/model.pt", "data/constants/custom_obj_0"])
def test_a_file_with_a_pickle_is_not_opened(made: tuple[Net, Program, Path], tmp_path: Path, part: str) -> None:
    bad = tmp_path / "bad.pt2"
    bad.write_bytes(made[2].read_bytes())
    with zipfile.ZipFile(bad, "a") as archive:
        archive.writestr(f"bad/{part}", b"cos\nsystem\n(S'true'\ntR.")
    assert pickled(bad) == f"bad/{part}"
    with pytest.raises(RunFolderError, match="holds pickled data"):
        load_program(bad)


def test_a_weight_that_says_it_is_pickled_is_not_opened(made: tuple[Net, Program, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.pt2"
    with zipfile.ZipFile(made[2]) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("model_weights_config.json"):
                assert b'"use_pickle": false' in content
                content = content.replace(b'"use_pickle": false', b'"use_pickle": true', 1)
            target.writestr(name, content)
    with pytest.raises(RunFolderError, match="holds pickled data"):
        load_program(bad)


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "no.pt2").write_bytes(b"no zip")
    with pytest.raises(RunFolderError, match="is no program that torch"):
        load_program(tmp_path / "no.pt2")


def test_what_torch_cannot_trace_is_named() -> None:
    with pytest.raises(NotTraceable, match=r"Encoder 'net' cannot become a program: torch\.export says: .*") as error:
        program(Asks(), 7, 5)
    assert "It stopped at line" in str(error.value)
    assert "x * 2 if bool(x.sum() > 0) else x" in str(error.value)


def test_a_tensor_that_is_only_measured_is_no_input() -> None:
    found = program(Measures(), 7, 5)
    assert found.inputs == {"x": ("n1", 3)}
    assert found.traced.module()(x=torch.zeros(4, 3))["row"][:, 0].tolist() == [0, 1, 2, 3]


def test_a_length_that_must_be_open_and_is_fixed() -> None:
    with pytest.raises(NotTraceable, match=r"fixes axis 0 of x at 7, but it differs between the data's views"):
        program(Counts(), 7, 5)


def test_agreement_on_other_sizes(made: tuple[Net, Program, Path]) -> None:
    net, found, file = made
    agreement = agreements(net, [(found, [file])])[file]
    assert agreement.sizes == {"n1": (1, 2, 5, 7, 10)}  # both samples; one row, half of the smaller and twice that
    assert (agreement.views, agreement.refused) == (5, ())
    assert agreement.largest <= 1e-6


def test_a_count_that_the_trace_has_fixed_is_found(tmp_path: Path) -> None:
    """torch makes a program for two groups, which leaves out all rows from the third group on, without a word."""
    encoder = Groups()
    found = program(encoder, 7, 6)
    assert found.inputs == {"x": ("n1", 3)}
    file = tmp_path / "groups.pt2"
    file.write_bytes(found.saved())
    assert len(load_program(file).module()(x=torch.randn(13, 3))["row"]) == 8
    with pytest.raises(ParityError, match=r"level row by inf of its largest value, on x \(12, 3\)"):
        agreements(encoder, [(found, [file])])


def test_a_limit_that_no_view_of_the_data_meets_is_told(tmp_path: Path) -> None:
    encoder = AtLeast()
    found = program(encoder, 9, 8)
    assert found.ranges == {"n1": (6, None)}
    file = tmp_path / "limit.pt2"
    file.write_bytes(found.saved())
    agreement = agreements(encoder, [(found, [file])])[file]
    assert agreement.sizes == {"n1": (8, 9, 16)}
    assert len(agreement.refused) == 2
    assert agreement.refused[0].startswith("does not take x (4, 3): ")


def test_a_program_that_differs_fails(made: tuple[Net, Program, Path]) -> None:
    _, found, file = made
    other = Net().requires_grad_(False)
    with pytest.raises(ParityError, match=r"net\.pt2 differs from the trained encoder: level row by .* on x \(7, 3\)"):
        agreements(other, [(found, [file])])


def test_a_program_that_refuses_rows_fails(made: tuple[Net, Program, Path], tmp_path: Path) -> None:
    net, found, _ = made
    fixed = torch.export.export(_Fixed(net), (), kwargs={"x": torch.randn(7, 3)})
    torch.export.save(fixed, tmp_path / "fixed.pt2")
    with pytest.raises(ParityError, match=r"refuses rows of the data \(x \(5, 3\)\)"):
        agreements(net, [(found, [tmp_path / "fixed.pt2"])])


class _Fixed(nn.Module):
    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return dict(self.net(View({"x": x})).levels)


def test_the_fresh_process_has_nothing_of_ours(
    made: tuple[Net, Program, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The script notices when a module of this package gets in: here one of that name that is imported at start."""
    net, found, file = made
    (tmp_path / "sslplug_spy.py").write_text("")
    (tmp_path / "sitecustomize.py").write_text("import sslplug_spy\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ParityError, match="needs modules of this package: sslplug_spy"):
        agreements(net, [(found, [file])])


@pytest.mark.parametrize(
    ("expected", "found", "off"),
    [
        ([1.0, -4.0], [1.0, -4.0], 0.0),
        ([1.0, -4.0], [1.0, -3.0], 0.25),
        ([0.0], [0.0], 0.0),
        ([0.0], [1e-9], float("inf")),
        ([1.0], [float("nan")], float("inf")),
        ([1.0, 2.0], [1.0], float("inf")),
    ],
)
def test_difference(expected: Any, found: Any, off: float) -> None:
    assert difference(torch.tensor(expected), torch.tensor(found)) == off
    assert parity.BOUND == 1e-5
