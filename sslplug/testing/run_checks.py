"""The check of a whole run: a short training must make frozen embeddings better than the untrained encoder's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from sslplug.build import compose
from sslplug.contracts import DomainData, Progress, Task, tasks_of
from sslplug.randomness import Rng
from sslplug.testing.material import Material, NotApplicable

STEPS = 60


def beats_untrained(material: Material) -> str:
    """After 60 steps of the default recipe a linear probe beats the same probe on the untrained encoder."""
    torch.manual_seed(0)
    composed = compose(material.default, material.schema, material.data, torch.device("cpu"))
    labelled = tasks_of(Task, composed.tasks).values()
    task = next((task for task in labelled if task.kind == "classification" and task.members is None), None)
    if task is None:
        raise NotApplicable("this data has no classification task.")
    untrained = probe(composed.new_encoder(), composed.data, task)
    method = composed.method.train()
    optimiser = torch.optim.Adam(method.parameters(), lr=3e-3)
    root, step, epoch = Rng.root(0), 0, 0
    while step < STEPS:
        batches = composed.batches_of(epoch)
        for number in range(len(batches)):
            loss = torch.stack(list(method(batches[number], root.fork(epoch, number)).values())).sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            step += 1
            method.after_step(Progress(epoch, epoch + 1, step, STEPS))  # type: ignore[operator]
        epoch += 1
    trained = probe(method.encoder, composed.data, task)  # type: ignore[arg-type]
    if trained > untrained:
        return ""
    return (
        f"accuracy on {task.name!r} is {trained:.3f} after {STEPS} steps, {untrained:.3f} untrained; "
        "expected more. Look at views that destroy what the task needs, and at the objective's sign."
    )


def probe(encoder: nn.Module, data: DomainData, task: Task) -> float:
    """Mean test accuracy over the task's splits of a logistic regression on frozen embeddings."""
    encoder.eval()
    with torch.no_grad():
        rows = torch.cat([encoder(view)[task.level] for view in data.rows()]).double().numpy()
    scores = []
    for split in task.splits:
        scale = StandardScaler().fit(rows[split.train])
        model = LogisticRegression(C=0.1, max_iter=2000).fit(scale.transform(rows[split.train]), task.labels[split.train])
        scores.append(model.score(scale.transform(rows[split.test]), task.labels[split.test]))
    return float(np.mean(scores))


CHECKS: Mapping[str, Callable[[Material], str]] = {"beats-untrained": beats_untrained}
