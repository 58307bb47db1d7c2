"""A gated recurrent unit over sequences of any lengths without padding (Cho et al. 2014, in the form of ``torch.nn.GRU``).

Events are laid out step by step: first events of all sequences, longest sequence first, then all second events, and so on. On a
CPU the recurrence and its derivative are written out, since the stepwise autograd graph costs several times the arithmetic; on
other devices the same layout is a ``PackedSequence`` for the vendor's kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.encoders.scanned import scanned


@dataclass(frozen=True)
class Steps:
    """The step-by-step layout of m events of n sequences.

    event   (m,) int64: the event at each place of the layout
    place   (m,) int64: the place of each event, the inverse of ``event``
    counts  how many sequences each step has, not increasing
    rank    (n,) int64: the row of each sequence, longest first
    """

    event: Tensor
    place: Tensor
    counts: list[int]
    rank: Tensor

    @classmethod
    def of(cls, events: Events) -> Steps:
        """The layout of a batch."""
        order = torch.argsort(events.lengths, descending=True, stable=True)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order), device=order.device)
        position = events.position
        event = torch.argsort(position * max(len(order), 1) + rank[events.owner])
        place = torch.empty_like(event)
        place[event] = torch.arange(len(event), device=event.device)
        return cls(event, place, torch.bincount(position).tolist() if len(event) else [], rank)


class _Gru(torch.autograd.Function):
    """States of all steps from the inputs' gates: with u = W_hh h + b_hh split in three,

    r = sigmoid(a_r + u_r), z = sigmoid(a_z + u_z), c = tanh(a_n + r u_n), h' = c + z (h - c).

    Every gradient of a step is the state's gradient times a factor known from the forward pass, so only the state's gradient
    is carried from step to step; the weights' gradients are single products over all steps.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, start: Tensor, weight: Tensor, bias: Tensor, counts: list[int]) -> Tensor:
        width = start.shape[1]
        out = gates.new_empty(len(gates), width)
        candidate_in = torch.empty_like(out)
        rz = gates.new_empty(len(gates), 2 * width)
        candidate = torch.empty_like(out)
        before, at, turned = start, 0, weight.t()
        for count in counts:
            upto = at + count
            before = before[:count]
            hidden = torch.addmm(bias, before, turned)
            a, g, c = gates[at:upto], rz[at:upto], candidate[at:upto]
            torch.add(a[:, : 2 * width], hidden[:, : 2 * width], out=g).sigmoid_()
            candidate_in[at:upto] = hidden[:, 2 * width :]
            torch.addcmul(a[:, 2 * width :], g[:, :width], hidden[:, 2 * width :], out=c).tanh_()
            torch.lerp(c, before, g[:, width:], out=out[at:upto])
            before, at = out[at:upto], upto
        ctx.save_for_backward(out, candidate_in, rz, candidate, start, weight)
        ctx.counts = counts
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        out, candidate_in, rz, c, start, weight = ctx.saved_tensors
        counts, width = ctx.counts, start.shape[1]
        r, z = rz[:, :width], rz[:, width:]
        edges = [0]
        for count in counts:
            edges.append(edges[-1] + count)
        previous = torch.cat([start[: counts[0]], *(out[a : a + n] for a, n in zip(edges, counts[1:], strict=False))])
        through_c = (1 - z) * (1 - c * c)
        factor = torch.cat([through_c * candidate_in * r * (1 - r), (previous - c) * z * (1 - z), through_c * r], 1)
        state = grad.clone()
        stepwise = factor.view(-1, 3, width)
        carried: Tensor | None = None
        for a, count in zip(reversed(edges[:-1]), reversed(counts), strict=True):
            d = state[a : a + count]
            if carried is not None:
                d[: len(carried)] += carried
            asked = (d.unsqueeze(1) * stepwise[a : a + count]).view(count, 3 * width)
            carried = torch.addmm(d * z[a : a + count], asked, weight)
        of_hidden = (state.unsqueeze(1) * stepwise).view(-1, 3 * width)
        of_gates = torch.cat([of_hidden[:, : 2 * width], state * through_c], 1)
        of_start = torch.zeros_like(start)
        if carried is not None:
            of_start[: counts[0]] = carried
        return of_gates, of_start, of_hidden.t() @ previous, of_hidden.sum(0), None


class RaggedGru(nn.Module):
    """Layers of GRU with learned start states tanh(s). ``(m, d) events -> (m, width) states`` and the start ``(n, width)``."""

    def __init__(self, inputs: int, width: int, layers: int) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.GRU(inputs if layer == 0 else width, width) for layer in range(layers))
        self.start = nn.Parameter(0.1 * torch.randn(layers, width))

    def forward(self, rows: Tensor, steps: Steps, sequences: int) -> tuple[Tensor, Tensor]:
        """States after every event, in the events' order, and the last layer's start state of each sequence."""
        starts = torch.tanh(self.start)
        state = rows[steps.event]
        for layer, cell in enumerate(self.cells):
            begin = starts[layer].expand(sequences, -1)
            if not steps.counts:
                state = begin[:0]
            elif rows.device.type == "cpu":
                weight, recurrent, bias, recurrent_bias = cell.parameters()
                gates = torch.nn.functional.linear(state, weight, bias).to(begin.dtype)
                with torch.autocast("cpu", enabled=False):  # the recurrence keeps its precision
                    state = _Gru.apply(gates, begin, recurrent, recurrent_bias, steps.counts)  # type: ignore[no-untyped-call]
            else:
                begin = begin[: steps.counts[0]].contiguous()
                state = cell(PackedSequence(state, torch.tensor(steps.counts)), begin.unsqueeze(0))[0].data
        return state[steps.place], starts[-1].expand(sequences, -1)

    def program(self, rows: Tensor, events: Events) -> tuple[Tensor, Tensor]:
        """The same while ``torch.export`` traces, where no layout can be made of lengths that are not known yet."""
        starts, state, sequences = torch.tanh(self.start), rows, events.entity.shape[0]
        for layer, cell in enumerate(self.cells):
            weight, recurrent, bias, recurrent_bias = cell.parameters()
            gates = torch.nn.functional.linear(state, weight, bias)
            state = scanned(gates, starts[layer].expand(sequences, -1), recurrent, recurrent_bias, events)
        return state, starts[-1].expand(sequences, -1)
