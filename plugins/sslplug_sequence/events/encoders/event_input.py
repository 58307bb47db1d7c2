"""One event by itself as a vector: embeddings of its categories, its numbers, the time since the event before.

The event encoder of CoLES (Babaev et al. 2022): embeddings with a little Gaussian noise, one vector for the whole batch; numbers
through batch normalisation.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Options, View
from sslplug_sequence.events.batch import Events
from sslplug_sequence.events.spec import EventSpec


class EventInputOptions(Options):
    """How single events become vectors."""

    dims: dict[str, int] = Field(default_factory=dict, description="embedding width of named categories")
    dim: int = Field(16, ge=1, description="embedding width of the other categories, at most its number of codes")
    noise: float = Field(0.003, ge=0, description="deviation of the noise on category embeddings while training")
    gaps: bool = Field(True, description="the time since the event before is an input")
    project: int | None = Field(None, ge=1, description="width of a linear map of the whole vector; none: no map")


class EventInput(nn.Module):
    """(m, width) vectors of a view's events. Events that ``View.mask`` hides become one learned vector."""

    def __init__(self, options: EventInputOptions, spec: EventSpec) -> None:
        super().__init__()
        widths = [options.dims.get(name, min(options.dim, size)) for name, size in spec.categories.items()]
        self.embeddings = nn.ModuleList(
            nn.Embedding(size, width, padding_idx=0) for size, width in zip(spec.categories.values(), widths, strict=True)
        )
        self.norm = nn.BatchNorm1d(len(spec.numbers)) if spec.numbers else None
        self.gap, self.gaps, self.missing, self.noise = spec.gap, options.gaps, spec.missing, options.noise
        inputs = sum(widths) + len(spec.numbers) * (2 if spec.missing else 1) + int(options.gaps)
        self.project = nn.Linear(inputs, options.project) if options.project else None
        self.width = options.project or inputs
        self.hidden = nn.Parameter(0.02 * torch.randn(self.width))

    def forward(self, view: View) -> Tensor:
        """(m, width), in the events' order."""
        events: Events = view.data
        parts = [embed(events.codes[:, column]) for column, embed in enumerate(self.embeddings)]
        if self.training and self.noise and parts:
            parts = [part + self.noise * torch.randn(part.shape[1], device=part.device) for part in parts]
        if self.norm is not None:
            # One event has no deviation; running statistics serve it.
            parts.append(self._normed(self.norm, events.numbers))
            if self.missing:
                parts.append(events.given.to(events.numbers.dtype))
        if self.gaps:
            gap = torch.log1p(events.gaps.clamp(min=0) / self.gap.unit)
            parts.append(((gap - self.gap.mean) / self.gap.std).float()[:, None])
        rows = torch.cat(parts, 1)
        if self.project is not None:
            rows = self.project(rows)
        mask = view.mask.get("event")
        return rows if mask is None else torch.where(mask[:, None], self.hidden.to(rows.dtype), rows)

    def _normed(self, norm: nn.BatchNorm1d, numbers: Tensor) -> Tensor:
        if self.training and len(numbers) < 2:
            return nn.functional.batch_norm(
                numbers, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
            )
        normed: Tensor = norm(numbers)
        return normed
