"""NCL's prototype term (Lin et al. 2022, arXiv:2202.06200, eq. 11): an ego embedding against the centre of its k-means cluster.

Users and items are clustered apart, at the start of every epoch after the warm-up. The other centres are the negatives. Centres
are constants to the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sslplug.contracts import Progress
from sslplug.errors import UsageError
from sslplug.randomness import Rng
from sslplug_recsys.collaborative.clusters import k_means
from sslplug_recsys.collaborative.contrast import Contrast, ContrastOptions, Sides, Wants, compared
from sslplug_recsys.collaborative.lightgcn import LightGcn
from sslplug_recsys.propagation import Reading


class PrototypeOptions(ContrastOptions):
    """Clusters as prototypes (NCL)."""

    name: Literal["prototypes"] = Field("prototypes", description="ego embeddings against the centres of their clusters")
    clusters: int = Field(1000, ge=1, description="clusters of users, and of items")
    warmup: int = Field(20, ge=0, description="epochs without this term")


class PrototypeContrast(Contrast):
    """InfoNCE of the batch's ego rows against the centres of their side."""

    user_centres: Tensor
    item_centres: Tensor
    user_cluster: Tensor
    item_cluster: Tensor
    epoch: Tensor
    key: Tensor

    def __init__(self, options: PrototypeOptions, objective: nn.Module, encoder: LightGcn) -> None:
        super().__init__()
        if options.clusters > min(encoder.users, encoder.items):
            raise UsageError(
                f"Contrast 'prototypes': {options.clusters} clusters of {encoder.users} users and {encoder.items} items; expected "
                "at most as many as there are. Lower clusters."
            )
        self.options, self.objective = options, objective
        self.register_buffer("key", torch.randint(2**62, ()))
        self.register_buffer("epoch", torch.tensor(-1))
        for side, n in (("user", encoder.users), ("item", encoder.items)):
            self.register_buffer(f"{side}_centres", torch.zeros(options.clusters, encoder.options.dim))
            self.register_buffer(f"{side}_cluster", torch.zeros(n, dtype=torch.int64))

    def on_epoch_start(self, progress: Progress, encoder: LightGcn) -> None:
        """Cluster the ego embeddings as they are now."""
        self.epoch.fill_(progress.epoch)
        if progress.epoch < self.options.warmup:
            return
        rng = Rng.root(int(self.key)).fork(progress.epoch)
        users, nodes = encoder.users, encoder.users + encoder.items
        with torch.no_grad():
            table = encoder.table.detach()
            for side, rows in (("user", table[:users]), ("item", table[users:nodes])):
                centres, cluster = k_means(rows, self.options.clusters, rng.fork(side))
                self.get_buffer(f"{side}_centres").copy_(centres)
                self.get_buffer(f"{side}_cluster").copy_(cluster)

    def wants(self, sides: Sides, encoder: LightGcn, rng: Rng) -> Wants:
        """The ego rows of users and items."""
        return Wants((Reading(encoder.layer(0), sides.user), Reading(encoder.layer(0), sides.item)))

    def loss(self, sides: Sides, read: Sequence[Tensor], encoder: LightGcn) -> Tensor:
        """User side plus weighted item side; 0 during the warm-up."""
        users, items = read
        if int(self.epoch) < self.options.warmup:
            return (users.sum() + items.sum()) * 0.0
        number = torch.arange(self.options.clusters, device=users.device)
        of_user, of_item = self.user_cluster[sides.user], self.item_cluster[sides.item - encoder.users]
        user = compared(self.objective, users, self.user_centres, of_user, number, self.options)
        item = compared(self.objective, items, self.item_centres, of_item, number, self.options)
        return user + self.options.item_weight * item
