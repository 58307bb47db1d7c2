"""Small networks on frozen features: an MLP and a ResNet head, one training loop, one random search.

Forms of Gorishniy et al. 2021 ("Revisiting deep learning models for tabular data", section 3), from the equations.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from sslplug.contracts import Kind, Options
from sslplug.errors import NonFiniteError, UsageError
from sslplug.evaluation.metrics import selection_order
from sslplug.evaluation.probe import CLASS_KINDS, Prediction, Scaler, held_out
from sslplug.evaluation.search import Space, best_of, log_uniform, one_of, settings, uniform, zero_or


class NetworkOptions(Options):
    """A small network on standardised frozen features, AdamW, stopped early on validation rows, best weights kept."""

    width: int = Field(default=256, ge=1, description="hidden width")
    layers: int = Field(default=2, ge=1, description="hidden layers, or residual blocks")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout after each hidden layer")
    lr: float = Field(default=1e-3, gt=0, description="AdamW's learning rate")
    weight_decay: float = Field(default=1e-5, ge=0, description="AdamW's weight decay")
    batch_size: int = Field(default=256, ge=2, description="rows a step")
    epochs: int = Field(default=200, ge=1, description="most passes over the training rows")
    patience: int = Field(default=16, ge=1, description="epochs without a better validation score before stopping")
    projection: Literal["none", "groups"] = Field(
        default="none", description="groups: first one number a group of values (T-JEPA's linear_per_feature); not on raw"
    )
    group_width: int = Field(default=1, ge=1, description="values a group with projection: groups, such as a token's width")
    tune: int = Field(default=0, ge=0, description="random settings tried besides this one, chosen on validation rows")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: a CUDA card where there is one")


class MlpOptions(NetworkOptions):
    """Linear, ReLU, dropout, several times, and a linear layer. Tuned over layers, width, dropout, lr and weight decay."""


class ResNetOptions(NetworkOptions):
    """Residual blocks of batch norm, linear, ReLU, dropout, linear. Tuned as the MLP is, and over the inner width."""

    inner: float = Field(default=2.0, gt=0, description="width inside a block, as a multiple of the width")


SPACE: Space = {
    "layers": one_of([1, 2, 3, 4]),
    "width": one_of([64, 128, 256, 512]),
    "dropout": zero_or(uniform(0.0, 0.5)),
    "lr": log_uniform(1e-4, 1e-2),
    "weight_decay": zero_or(log_uniform(1e-6, 1e-2)),
}
"""What ``tune`` draws from, for every kind of features alike; the ResNet also draws ``inner`` from 1, 2, 4."""


class Groups(nn.Module):
    """(n, t * h) -> (n, t): a linear map of its own from each group of h values to one number (T-JEPA: linear_per_feature)."""

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.groups = groups
        bound = 1.0 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(groups, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """One number a group."""
        numbers: Tensor = (x.view(len(x), self.groups, -1) * self.weight).sum(2) + self.bias
        return numbers


class Block(nn.Module):
    """x + dropout(linear(dropout(relu(linear(batch norm(x))))))."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm1d(width), nn.Linear(width, inner), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(inner, width), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """The same shape as ``x``."""
        branch: Tensor = self.branch(x)
        return x + branch


def mlp(options: MlpOptions, inputs: int, outputs: int) -> nn.Module:
    """Hidden layers of one width, then the outputs."""
    layers: list[nn.Module] = []
    for width in [options.width] * options.layers:
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(options.dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


def resnet(options: ResNetOptions, inputs: int, outputs: int) -> nn.Module:
    """A linear layer, blocks, then linear(relu(batch norm))."""
    width, inner = options.width, max(1, round(options.inner * options.width))
    blocks = [Block(width, inner, options.dropout) for _ in range(options.layers)]
    return nn.Sequential(nn.Linear(inputs, width), *blocks, nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, outputs))


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network in eval mode. Numbers leave in the label's own unit: ``mean + scale * output``."""

    scaler: Scaler
    network: nn.Module
    classes: np.ndarray | None
    mean: float
    scale: float

    def __call__(self, x: np.ndarray) -> Prediction:
        """Scores of (n, f) rows, or numbers."""
        device = next(self.network.parameters()).device
        with torch.no_grad():
            rows = torch.split(torch.from_numpy(self.scaler(x).astype(np.float32)), 8192)
            parts = [self.network(part.to(device)).to("cpu", torch.float64) for part in rows]
        values = torch.cat(parts).numpy()
        return (
            Prediction(self.mean + self.scale * values[:, 0]) if self.classes is None else Prediction(values, self.classes)
        )


@dataclass(frozen=True)
class Network:
    """A probe that trains a network; ``form`` makes it from (options, inputs, outputs). See :class:`NetworkOptions`.

    Epoch and, with ``tune``, setting are chosen by the primary metric on validation rows, ties by the loss there. Where a split
    has none, a fifth of the training rows is held out to choose, stratified. Global randomness is left as it was.
    """

    options: NetworkOptions
    form: Callable[..., nn.Module]
    space: Space
    kinds: frozenset[Kind] = CLASS_KINDS | {"regression"}

    def flat(self) -> Network:
        """The same probe for features that have no groups."""
        return Network(self.options.model_copy(update={"projection": "none"}), self.form, self.space)

    def fit(
        self, x_train: np.ndarray, y_train: np.ndarray, x_val: np.ndarray, y_val: np.ndarray, kind: Kind, seed: int
    ) -> FittedNetwork:
        """Fit on (n, f) rows. UsageError where the groups of ``projection`` do not divide the columns."""
        options = self.options
        if options.projection == "groups" and x_train.shape[1] % options.group_width:
            raise UsageError(
                f"projection: groups with group_width: {options.group_width}, but the embeddings have {x_train.shape[1]} "
                "columns; give a width that divides them (a token's width), or projection: none."
            )
        parts = held_out(x_train, y_train, x_val, y_val, kind, seed)
        scaler = Scaler.of(parts[0])
        classes = None if kind == "regression" else np.unique(parts[1])
        asked = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        device = torch.device(asked)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            return best_of(
                settings(options, self.space, options.tune, seed),
                lambda chosen: self._trained(chosen, scaler, classes, parts, kind, seed, device),
            )

    def _trained(
        self,
        options: NetworkOptions,
        scaler: Scaler,
        classes: np.ndarray | None,
        parts: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
        kind: Kind,
        seed: int,
        device: torch.device,
    ) -> tuple[FittedNetwork, tuple[float, ...]]:
        """One setting: the network at its best epoch, and that epoch's validation score and minus its loss."""
        torch.manual_seed(seed)
        x_train, y_train, x_val, y_val = parts
        network = self._network(options, x_train.shape[1], 1 if classes is None else len(classes)).to(device)
        mean, scale = (0.0, 1.0) if classes is not None else (float(y_train.mean()), float(y_train.std()) or 1.0)
        x = torch.from_numpy(scaler(x_train).astype(np.float32)).to(device)
        y: Tensor = (
            torch.from_numpy(((y_train - mean) / scale).astype(np.float32))
            if classes is None
            else torch.from_numpy(np.searchsorted(classes, y_train))
        ).to(device)
        optimiser = torch.optim.AdamW(network.parameters(), lr=options.lr, weight_decay=options.weight_decay)
        fitted = FittedNetwork(scaler, network, classes, mean, scale)
        top: tuple[float, ...] = (-math.inf,)
        state, since = copy.deepcopy(network.state_dict()), 0
        for epoch in range(options.epochs):
            network.train()
            for rows in _batches(len(x), options.batch_size, device):
                output = network(x[rows])
                loss = mse_loss(output[:, 0], y[rows]) if classes is None else cross_entropy(output, y[rows])
                optimiser.zero_grad(set_to_none=True)
                torch.autograd.backward([loss])
                optimiser.step()
            network.eval()
            prediction = fitted(x_val)
            if not np.isfinite(prediction.values).all():
                if epoch == 0 and not options.tune:
                    raise NonFiniteError(f"A head's outputs are not finite after one epoch; lower its lr ({options.lr:g}).")
                break
            score = selection_order(kind, y_val, prediction)
            if score > top:
                top, state, since = score, copy.deepcopy(network.state_dict()), 0
            else:
                since += 1
                if since >= options.patience:
                    break
        network.load_state_dict(state)
        network.eval()
        return fitted, top

    def _network(self, options: NetworkOptions, inputs: int, outputs: int) -> nn.Module:
        if options.projection == "none":
            return self.form(options, inputs, outputs)
        groups = inputs // options.group_width
        return nn.Sequential(Groups(groups, options.group_width), self.form(options, groups, outputs))


def make_mlp(options: MlpOptions) -> Network:
    """The ``mlp`` probe."""
    return Network(options, mlp, SPACE)


def make_resnet(options: ResNetOptions) -> Network:
    """The ``resnet`` probe."""
    return Network(options, resnet, {**SPACE, "inner": one_of([1.0, 2.0, 4.0])})


def _batches(rows: int, size: int, device: torch.device) -> list[Tensor]:
    """Shuffled row numbers in batches; a last batch of one row joins the one before it, for the sake of batch norm."""
    parts = list(torch.split(torch.randperm(rows).to(device), size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return parts
