"""DCCF's encoder (Ren et al. 2023, arXiv:2305.02759): every layer mixes the graph, global intents and two adaptive masks.

Z = A^ E,   R_u = softmax(E_u C_u^T) C_u (items likewise),   H_Z, H_R: masks of Z and of R on the edges
E^{l+1} = Z + R + H_Z + H_R + E^l,   final = sum of the layers 0..L
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Embedding, View
from sslplug_recsys.collaborative.graph_table import SIDES, GraphTable, TableOptions
from sslplug_recsys.collaborative.masked_product import masked_product
from sslplug_recsys.propagation import Branch, Reading, propagate
from sslplug_recsys.spec import RecSpec


class DccfOptions(TableOptions):
    """Options of DCCF."""

    layers: int = Field(2, ge=1, description="L")
    intents: int = Field(128, ge=1, description="K: intents of users, and of items")


@dataclass(frozen=True, eq=False)
class Signals:
    """The four signals of one layer, (N, d) each."""

    graph: Tensor
    intents: Tensor
    graph_masked: Tensor
    intents_masked: Tensor


class Dccf(GraphTable):
    """Rows of the final table at the level that a view's role names, and again at the level pair."""

    def __init__(self, options: DccfOptions, spec: RecSpec) -> None:
        super().__init__(options, spec)
        self.options = options
        self.user_intents = nn.Parameter(nn.init.xavier_normal_(torch.empty(options.intents, options.dim)))
        self.item_intents = nn.Parameter(nn.init.xavier_normal_(torch.empty(options.intents, options.dim)))

    def layers(self) -> tuple[Tensor, list[Signals]]:
        """(N, d) final rows of all nodes, and each layer's signals."""
        graph = self.graph
        state: Tensor = self.table
        total, signals = state, []
        for _ in range(self.options.layers):
            z = propagate(state, [graph], [Branch((Reading((0.0, 1.0)),))])[0]
            r = self.reconstructed(state)
            found = Signals(z, r, masked_product(graph, z, state), masked_product(graph, r, state))
            state = z + r + found.graph_masked + found.intents_masked + state
            total = total + state
            signals.append(found)
        return total, signals

    def reconstructed(self, table: Tensor) -> Tensor:
        """(N, d) R: every row as a mixture of its side's intents; further nodes have none."""
        users, nodes = self.users, self.users + self.items
        parts = [
            (rows @ intents.t()).softmax(1) @ intents
            for rows, intents in ((table[:users], self.user_intents), (table[users:nodes], self.item_intents))
        ]
        return torch.cat([*parts, torch.zeros_like(table[nodes:])])

    def forward(self, view: View) -> Embedding:
        """The final rows of a view."""
        found = self.layers()[0][self.nodes(view)]
        return Embedding({SIDES[view.role]: found, "pair": found})


def build(options: DccfOptions, spec: RecSpec) -> Dccf:
    """The encoder."""
    return Dccf(options, spec)
