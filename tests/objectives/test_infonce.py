"""InfoNCE against a dense loop in float64, known values, and the bound on its memory."""

import itertools
import math
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.losses import NTXentLoss, SupConLoss

from sslplug.errors import SslplugError
from sslplug.objectives import OBJECTIVES

COMPONENT = OBJECTIVES["infonce"]


def ours(views, ids=None, queue=None, **options):
    return COMPONENT.build(COMPONENT.options(**{"tile": 16, **options}), 0)(views, ids, queue)["infonce"]


def reference(views, ids=None, *, temperature=0.5, negatives="both", symmetric=True, margin=0.0, decoupled=False):
    """The equation of the module, one anchor at a time."""
    unit = [F.normalize(view, dim=1) for view in views]
    ids = [torch.arange(len(view)) for view in views] if ids is None else ids
    rows = [(v, i) for v, view in enumerate(views) for i in range(len(view))]
    terms = []
    for v, i in rows if symmetric else [(v, i) for v, i in rows if v == 0]:
        if negatives == "both":
            compared = [[(w, j) for w, j in rows if (w, j) != (v, i)]]
        else:
            compared = [[(w, j) for w, j in rows if w == other] for other in range(len(views)) if other != v]
        for others in compared:
            same = torch.tensor([bool(ids[w][j] == ids[v][i]) and int(ids[v][i]) >= 0 for w, j in others])
            if not same.any():
                continue
            logits = torch.stack([unit[v][i] @ unit[w][j] for w, j in others])
            logits = (logits - margin * same.to(logits.dtype)) / temperature
            denominator = logits[~same] if decoupled else logits
            terms.append(torch.logsumexp(denominator, 0) - logits[same].mean())
    return torch.stack(terms).mean()


def leaves(sizes, dim=4, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(n, dim, generator=g, dtype=dtype).requires_grad_() for n in sizes]


def assert_same(views, ids, rtol, **options):
    value, expected = ours(views, ids, **options), reference(views, ids, **options)
    torch.testing.assert_close(value, expected, rtol=rtol, atol=rtol)
    for got, wanted in zip(*(torch.autograd.grad(x, views, allow_unused=True) for x in (value, expected)), strict=True):
        got, wanted = (torch.zeros_like(views[0][:1]) if g is None else g for g in (got, wanted))
        torch.testing.assert_close(got, wanted.expand_as(got), rtol=rtol, atol=rtol * max(1.0, float(wanted.abs().max())))


FORMS = [
    dict(zip(("negatives", "symmetric", "margin", "decoupled"), form, strict=True))
    for form in itertools.product(("both", "inter"), (True, False), (0.0, 0.2), (False, True))
]


@pytest.mark.parametrize("temperature", [0.5, 0.001, 1000.0])
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("count", [2, 3])
def test_every_form_equals_the_dense_loop(count, form, temperature):
    assert_same(leaves([19] * count), None, 1e-11, temperature=temperature, **form)


@pytest.mark.parametrize("temperature", [0.5, 0.001])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_form_with_ids_equals_the_dense_loop(form, temperature):
    g = torch.Generator().manual_seed(9)
    sizes = [21, 17, 9]
    ids = [torch.randint(-1, 9, (n,), generator=g) for n in sizes]
    assert_same(leaves(sizes), ids, 1e-10, temperature=temperature, **form)


@settings(deadline=None, max_examples=25)
@given(
    ids=st.lists(st.integers(-1, 4), min_size=4, max_size=40),
    cut=st.integers(1, 39),
    form=st.sampled_from([f for f in FORMS if not f["decoupled"]]),
)
def test_any_ids_equal_the_dense_loop(ids, cut, form):
    cut = min(cut, len(ids) - 1)
    split = [torch.tensor(ids[:cut]), torch.tensor(ids[cut:])]
    views = leaves([cut, len(ids) - cut])
    known = [i for i in ids if i >= 0]
    anchored = (
        len(set(known)) < len(known)
        if form["negatives"] == "both" and form["symmetric"]
        else any(i >= 0 and ids.count(i) > 1 for i in ids[:cut])
        if form["negatives"] == "both"
        else bool(set(split[0].tolist()) & set(split[1].tolist()) - {-1})
    )
    if anchored:
        assert_same(views, split, 1e-10, **form)
    else:
        with pytest.raises(SslplugError, match="no row shares its id"):
            ours(views, split, **form)


@pytest.mark.parametrize(("rows", "tile"), [(700, 64), (700, 512), (250, 608), (1500, 608)])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_tiles_are_exact_against_dense_cross_entropy(rows, tile, dtype, bound):
    """Both losses in ``dtype``; the dense one in float64 is the truth for both."""
    views = leaves([rows, rows], 32, dtype=dtype)
    value = ours(views, temperature=0.2, tile=tile)
    got = torch.cat(torch.autograd.grad(value, views)).double()
    exact = [view.detach().double().requires_grad_() for view in views]
    z = F.normalize(torch.cat(exact), dim=1)
    logits = (z @ z.t() / 0.2).fill_diagonal_(-torch.inf)
    expected = F.cross_entropy(logits, torch.cat([torch.arange(rows, 2 * rows), torch.arange(rows)]))
    wanted = torch.cat(torch.autograd.grad(expected, exact))
    assert abs(value.item() - expected.item()) <= bound * abs(expected.item())
    assert float((got - wanted).norm()) <= bound * float(wanted.norm())


@pytest.mark.parametrize("tile", [16, 48, 608])
@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize(("margin", "decoupled"), [(0.0, False), (0.2, False), (0.0, True)])
def test_matching_by_row_or_by_equal_ids_is_one_loss(tile, count, margin, decoupled):
    """Two implementations of one equation: rows of one instance lie on diagonals, or are found by their ids."""
    views = leaves([37] * count, 8)
    scales = [float(i + 1) for i in range(count)]
    given = {"tile": tile, "margin": margin, "decoupled": decoupled, "temperature": 0.1}
    by_row = ours([view * scale for view, scale in zip(views, scales, strict=True)], **given)
    by_id = ours(views, [torch.arange(37)] * count, **given)
    torch.testing.assert_close(by_row, by_id, rtol=1e-13, atol=1e-13)
    for got, wanted in zip(*(torch.autograd.grad(x, views) for x in (by_row, by_id)), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-11, atol=1e-14)


def test_zero_and_tiny_rows_have_the_dense_gradient():
    a, b = leaves([20, 20])
    with torch.no_grad():
        a[3] = 0.0
        b[5] *= 1e-14
    assert_same([a, b], None, 1e-9)
    assert ours([a, b]).isfinite()


def test_a_view_given_twice_and_a_view_without_gradient():
    a, b = leaves([20, 20])
    twice = torch.autograd.grad(ours([a, a]), a)[0]
    torch.testing.assert_close(twice, torch.autograd.grad(reference([a, a]), a)[0], rtol=1e-11, atol=1e-11)
    frozen = torch.autograd.grad(ours([a, b.detach()]), a)[0]
    torch.testing.assert_close(frozen, torch.autograd.grad(reference([a, b.detach()]), a)[0], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("temperature", [0.5, 0.001])
def test_gradients_may_be_taken_twice_from_one_forward(temperature):
    """Backward must not spoil what forward kept."""
    views = leaves([40, 40])
    value = ours(views, temperature=temperature, tile=608) * 3.0
    first = torch.autograd.grad(value, views, retain_graph=True)
    for one, again in zip(first, torch.autograd.grad(value, views), strict=True):
        assert torch.equal(one, again)
    for one, plain in zip(first, torch.autograd.grad(ours(views, temperature=temperature), views), strict=True):
        torch.testing.assert_close(one, plain * 3.0, rtol=1e-10, atol=1e-12)


def test_known_values():
    n, tau = 9, 0.3
    eye = torch.eye(n, dtype=torch.float64)
    one = torch.ones(n, 4, dtype=torch.float64)
    torch.testing.assert_close(float(ours([one, one])), math.log(2 * n - 1))
    grace = -math.log(math.exp(1 / tau) / (math.exp(1 / tau) + 2 * (n - 1)))
    torch.testing.assert_close(float(ours([eye, eye], temperature=tau)), grace)
    clip = -math.log(math.exp(1 / tau) / (math.exp(1 / tau) + n - 1))
    torch.testing.assert_close(float(ours([eye, eye], temperature=tau, negatives="inter")), clip)
    graphcl = math.log(n - 1) - 1 / tau
    given = {"temperature": tau, "negatives": "inter", "symmetric": False, "decoupled": True}
    torch.testing.assert_close(float(ours([eye, eye], **given)), graphcl)


def test_one_positive_is_the_metric_learning_librarys_ntxent_and_several_its_supcon():
    a, b = leaves([30, 30], dtype=torch.float32)
    labels = torch.arange(30).repeat(2)
    torch.testing.assert_close(ours([a, b], temperature=0.2), NTXentLoss(temperature=0.2)(torch.cat([a, b]), labels))
    group = torch.arange(30) // 3
    supcon = SupConLoss(temperature=0.2)(torch.cat([a, b]), group.repeat(2))
    torch.testing.assert_close(ours([a, b], [group, group], temperature=0.2), supcon)


@pytest.mark.parametrize("temperature", [0.2, 0.001])
@pytest.mark.parametrize("decoupled", [False, True])
def test_a_queue_gives_mocos_form(temperature, decoupled):
    q, k = leaves([10, 10])
    (queue,) = leaves([50], seed=3)
    value = ours([q, k], None, queue.detach(), temperature=temperature, decoupled=decoupled, margin=0.1)
    zq, zk, zn = (F.normalize(x, dim=1) for x in (q, k, queue))
    positive = ((zq * zk).sum(1, keepdim=True) - 0.1) / temperature
    logits = torch.cat([positive, zq @ zn.t() / temperature], 1)
    expected = (logits[:, int(decoupled) :].logsumexp(1) - logits[:, 0]).mean()
    torch.testing.assert_close(value, expected, rtol=1e-11, atol=1e-11)
    for got, wanted in zip(torch.autograd.grad(value, [q, k]), torch.autograd.grad(expected, [q, k]), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-10)


def test_errors_say_what_to_do():
    a, b = leaves([1, 1])
    with pytest.raises(SslplugError, match="decoupled: false"):
        ours([a, b], decoupled=True)
    with pytest.raises(SslplugError, match="got 1 views"):
        ours([a])
    with pytest.raises(SslplugError, match="ids of shape"):
        ours([a, b], [torch.arange(2), torch.arange(1)])
    with pytest.raises(SslplugError, match="queue of negatives is empty"):
        ours([a, b], None, torch.zeros(0, 4))
    with pytest.raises(SslplugError, match="views' ids differ"):
        ours([a, b], [torch.tensor([1]), torch.tensor([2])], torch.ones(3, 4))


def test_memory_grows_with_rows_not_with_their_square():
    """8192 rows: a dense path holds at least one 256 MiB matrix; this one stays far below, with ids too."""
    script = (
        "import torch, resource\n"
        "from sslplug.objectives import OBJECTIVES\n"
        "torch.set_num_threads(1)\n"
        "c = OBJECTIVES['infonce']; f = c.build(c.options(), 32)\n"
        "def run(n, by_id):\n"
        "    v = [torch.randn(n // 2, 32).requires_grad_() for _ in range(2)]\n"
        "    f(v, [torch.arange(n // 2)] * 2 if by_id else None)['infonce'].backward()\n"
        "run(64, False); run(64, True)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "run(8192, False); run(8192, True)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40 * 1024, f"{int(done.stdout) / 1024:.0f} MiB"
