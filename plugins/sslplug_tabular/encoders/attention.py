"""Multi-head self-attention among a row's tokens, and among the rows of a batch (SAINT's inter-sample attention)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """(b, t, width) -> (b, t, width): softmax(q k' / sqrt(d)) v over t, ``heads`` heads of ``inner // heads`` numbers each."""

    def __init__(self, width: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * inner)
        self.out = nn.Linear(inner, width)

    def forward(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """``keep``: (b, t) bool, the tokens that may be looked at; None: all."""
        b, t, _ = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mask = None if keep is None else keep[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        out: Tensor = self.out(found.transpose(1, 2).reshape(b, t, -1))
        return out


class RowAttention(nn.Module):
    """Attention among rows, each the concatenation of its tokens (Somepalli et al. 2021, arXiv:2106.01342, section 3.2).

    Training compares all rows of a batch. An embedding then depends on the rows beside it, so in eval mode rows look only at
    the ``group`` rows of their fixed group, in the order they come: 1 makes each row independent of all others.
    """

    def __init__(self, width: int, tokens: int, heads: int, head_width: int, dropout: float, group: int) -> None:
        super().__init__()
        self.group = group
        self.attention = Attention(width * tokens, heads, heads * head_width, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(n, t, width) -> (n, t, width)."""
        flat = x.flatten(1)
        if torch.compiler.is_exporting():
            return self._program(flat).view_as(x)
        groups = [flat] if self.training else list(torch.split(flat, self.group))
        return torch.cat([self.attention(rows[None])[0] for rows in groups]).view_as(x)

    def _program(self, flat: Tensor) -> Tensor:
        """The same in eval mode while ``torch.export`` traces: all groups at once, the last one filled up with rows that nobody
        looks at, for a list of groups would have the length that it had in the trace."""
        n, width = flat.shape
        groups = (n + self.group - 1) // self.group
        filled = F.pad(flat, (0, 0, 0, groups * self.group - n)).view(groups, self.group, width)
        real = torch.arange(groups * self.group, device=flat.device).view(groups, self.group) < n
        found: Tensor = self.attention(filled, real)
        return found.flatten(0, 1)[:n]
