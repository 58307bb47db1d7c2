"""The recurrence of :mod:`recurrence` as one operation, for programs (``torch.export``): a loop over steps whose number is open.

Sequences lie side by side, padded to the longest; what a step computes past a sequence's end is never read.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan

from sslplug_sequence.events.batch import Events


def scanned(gates: Tensor, start: Tensor, weight: Tensor, bias: Tensor, events: Events) -> Tensor:
    """(m, width) states after every event, in the events' order.

    gates  (m, 3 width): the inputs' part of each event's gates
    start  (n, width): the state before each sequence;  weight (3 width, width), bias (3 width,): the state's part
    """
    width, n = start.shape[1], start.shape[0]
    steps = int(events.lengths.max().clamp(min=1))
    torch._check(steps >= 1)  # type: ignore[no-untyped-call] # what clamp has made sure of, said to the tracer
    owner, position = events.owner, events.position
    padded = gates.new_zeros(steps, n, 3 * width).index_put((position, owner), gates)

    def step(before: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.nn.functional.linear(before, weight, bias)
        rz = torch.sigmoid(given[:, : 2 * width] + hidden[:, : 2 * width])
        candidate = torch.tanh(given[:, 2 * width :] + rz[:, :width] * hidden[:, 2 * width :])
        after = torch.lerp(candidate, before, rz[:, width:])
        return after, after.clone()  # scan refuses a carried value that is also an output

    states: Tensor = scan(step, start.contiguous(), padded)[1]
    return states[position, owner]
