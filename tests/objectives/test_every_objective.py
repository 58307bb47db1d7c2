"""What holds for every objective; a new one joins by being in OBJECTIVES."""

import pytest
import torch
import torch.nn.functional as F

from sslplug.errors import SslplugError
from sslplug.objectives import OBJECTIVES

ALL = sorted(OBJECTIVES)
DIM = 6


def kinds(name):
    component = OBJECTIVES[name]
    return component.provides(component.options())


VIEWS = [name for name in ALL if "score:views" in kinds(name)]
PREDICTION = [name for name in ALL if "score:prediction" in kinds(name)]


def made(name, **options):
    component = OBJECTIVES[name]
    torch.manual_seed(0)
    return component.build(component.options(**options), DIM)


def inputs(name, n=24, dtype=torch.float32, seed=1):
    """Views (leaves that need a gradient) and ids that suit the objective."""
    g = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(n, DIM, generator=g, dtype=dtype).requires_grad_() for _ in range(2))
    if name == "cross_entropy":
        return [a, torch.randint(0, DIM, (n,), generator=g)], None
    if "score:levels" in kinds(name):
        owner = torch.randint(0, 4, (n,), generator=g)
        owner[-3:] = -1
        return [a, b.detach()[:4].clone().requires_grad_()], [owner, torch.arange(4)]
    return [a, b], None


def total(objective, views, ids=None):
    return sum(objective(views, ids).values())


@pytest.mark.parametrize("name", ALL)
def test_component_is_complete(name):
    component = OBJECTIVES[name]
    objective = made(name)
    assert component.summary
    assert kinds(name) & {"score:views", "score:prediction", "score:levels"}
    assert objective.distribution in ("mean", "gathered", "statistic")
    assert objective.most_views is None or objective.most_views == 2
    for field, info in component.options.model_fields.items():
        assert info.description, f"option {field} of {name} has no description"


@pytest.mark.parametrize("name", ALL)
def test_forward_and_backward_give_finite_weighted_scalars(name):
    views, ids = inputs(name)
    terms = made(name)(views, ids)
    assert terms
    for term, value in terms.items():
        assert value.shape == (), f"{term} of {name} has shape {tuple(value.shape)}"
    sum(terms.values()).backward()
    assert views[0].grad.isfinite().all()
    assert views[0].grad.abs().sum() > 0


@pytest.mark.parametrize("name", ALL)
def test_gradient_is_the_slope_of_the_value(name):
    """Central differences along a random direction, float64; kinks (hinges) are unlikely to lie within 1e-6."""
    # SwAV's assigning view is a target without gradient, so the view it is predicted from is moved.
    objective, moved = (made(name, assigning=1), 1) if name == "swav" else (made(name), 0)
    objective.double()
    views, ids = inputs(name, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(total(objective, views, ids), [views[moved]])
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    with torch.no_grad():
        steps = ({moved: views[moved] + sign * 1e-6 * direction} for sign in (1, -1))
        up, down = (total(objective, [step.get(v, view) for v, view in enumerate(views)], ids) for step in steps)
    torch.testing.assert_close((gradient * direction).sum(), (up - down) / 2e-6, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", [*VIEWS, *(n for n in PREDICTION if n != "cross_entropy" and n not in VIEWS)])
def test_minimising_pulls_pairs_together(name):
    views, _ = inputs(name, n=32)
    objective = made(name)
    wanted = views[1].detach() if name not in VIEWS else views[1]

    def paired():
        return float(F.cosine_similarity(views[0].detach(), views[1].detach()).mean())

    before = paired()
    learned = [views[0], *([views[1]] if name in VIEWS else []), *objective.parameters()]
    optimiser = torch.optim.Adam(learned, lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        total(objective, [views[0], wanted]).backward()
        optimiser.step()
    assert paired() > before + 0.3, f"{name}: paired cosine went from {before:.2f} to {paired():.2f}"


@pytest.mark.parametrize("name", [*VIEWS, "sce", "mse"])
def test_identical_views_and_a_constant_batch_stay_finite(name):
    for batch in (torch.randn(16, DIM), torch.ones(16, DIM), torch.zeros(16, DIM)):
        view = batch.clone().requires_grad_()
        value = total(made(name), [view, view])
        value.backward()
        assert value.isfinite(), name
        assert view.grad.isfinite().all(), name


@pytest.mark.parametrize(("name", "temperature"), [(name, t) for name in ("infonce", "swav") for t in (0.001, 1000.0)])
@pytest.mark.parametrize("identical", [True, False])
def test_extreme_temperatures_stay_finite(name, temperature, identical):
    views, _ = inputs(name)
    value = total(made(name, temperature=temperature), [views[0], views[0] if identical else views[1]])
    value.backward()
    assert value.isfinite()
    assert views[0].grad.isfinite().all()


@pytest.mark.parametrize("name", VIEWS)
def test_order_of_rows_changes_nothing(name):
    views, _ = inputs(name, dtype=torch.float64)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(2))
    objective = made(name).double()
    torch.testing.assert_close(total(objective, views), total(objective, [view[order] for view in views]))


@pytest.mark.parametrize("name", VIEWS)
def test_ids_find_the_pairs_that_positions_would(name):
    views, _ = inputs(name, dtype=torch.float64)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(4))
    objective = made(name).double()
    by_id = total(objective, [views[0], views[1][order]], [torch.arange(24) * 7, order * 7])
    torch.testing.assert_close(by_id, total(objective, views))


@pytest.mark.parametrize("name", ALL)
def test_autocast_does_not_lower_the_precision(name):
    views, ids = inputs(name)
    exact = total(made(name), views, ids)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = total(made(name), views, ids)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, exact, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_half_precision_embeddings_are_widened(name):
    views, ids = inputs(name)
    half = [view.detach().bfloat16().requires_grad_() if view.is_floating_point() else view for view in views]
    value = total(made(name), half, ids)
    assert value.dtype == torch.float32
    value.backward()
    assert half[0].grad.dtype == torch.bfloat16


@pytest.mark.parametrize("name", [n for n in ALL if n != "cross_entropy"])
def test_a_shape_that_does_not_fit_is_named(name):
    with pytest.raises(SslplugError, match=r"\(24, 6\).*\(24, 5\)|\(24, 5\).*\(24, 6\)"):
        made(name)([torch.randn(24, DIM), torch.randn(24, DIM - 1)], [torch.arange(24)] * 2)


@pytest.mark.parametrize("name", [n for n in VIEWS if n != "metric_learning"])
def test_nan_comes_out_as_nan_never_as_a_number(name):
    views, _ = inputs(name)
    broken = views[0].detach().clone()
    broken[3, 2] = torch.nan
    assert total(made(name), [broken, views[1]]).isnan()


@pytest.mark.parametrize("name", ["vicreg", "barlow", "cca_ssg"])
def test_one_row_has_no_statistics(name):
    with pytest.raises(SslplugError, match="2 or more"):
        made(name)([torch.randn(1, DIM), torch.randn(1, DIM)])


@pytest.mark.parametrize("name", ["vicreg", "barlow", "cca_ssg", "cosine", "swav"])
def test_rows_that_pair_one_to_one_refuse_repeated_and_foreign_ids(name):
    views, _ = inputs(name)
    with pytest.raises(SslplugError, match="twice"):
        made(name)(views, [torch.zeros(24, dtype=torch.int64), torch.arange(24)])
    with pytest.raises(SslplugError, match="no id is in all"):
        made(name)(views, [torch.arange(24), torch.arange(24) + 100])


@pytest.mark.parametrize("name", ["vicreg", "barlow", "cca_ssg", "cosine", "swav"])
def test_rows_missing_from_a_view_are_left_out(name):
    views, _ = inputs(name, dtype=torch.float64)
    objective = made(name).double()
    ids = torch.arange(24)
    ids[0] = -1
    some = total(objective, [views[0], views[1][5:]], [ids, torch.arange(24)[5:]])
    torch.testing.assert_close(some, total(objective, [views[0][5:], views[1][5:]]))


@pytest.mark.parametrize("name", VIEWS)
def test_rows_that_match_many_to_many_are_computed_or_refused_before_training(name):
    """Views with an instance in different numbers of rows: the recipe check knows which objectives cannot take them."""
    component = OBJECTIVES[name]
    a, b = torch.randn(9, DIM), torch.randn(6, DIM)
    ids = [torch.arange(9) // 3, torch.arange(6) // 2]
    if "uneven" in component.refuses(component.options()):
        with pytest.raises(SslplugError, match="holds an id twice"):
            made(name)([a, b], ids)
    else:
        assert total(made(name), [a, b], ids).isfinite()
