"""What options are made of, each kind by a small one made here: what the learner and the loop do with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import SMALL_MODEL, TINY, Silent, config, final_weights, run
from torch import Tensor, nn

from ablation.average import Average, Moment
from ablation.build import build
from ablation.errors import ConfigError, Stopped
from ablation.key import Key
from ablation.learner import Drawing, Learner, own_teacher
from ablation.loss.ce import cross_entropy
from ablation.machine.precision import choose_precision
from ablation.regularizer.ema import Ema
from ablation.trial.parts import build_learner, parts
from ablation.types import Aug, Batch, Data, Model, Noisy, Pass, Penalty, Repeat, Taught, Team, Wrap

FP32 = choose_precision("fp32", torch.device("cpu"))


def several() -> tuple[Repeat, Aug, Penalty]:
    """Twice every image; darkened; the mean of the logits as a loss."""
    return Repeat(2), lambda batch, key: batch._replace(x=batch.x / 2), Penalty(lambda model: lambda p: p.logits.mean())


def team(members: int = 2) -> Team:
    return Team(lambda node: [node | {"depth": 8 + 6 * i} for i in range(members)], Mean)


class Mean(Model):
    """Of several models' logits."""

    def __init__(self, models: list[Model]) -> None:
        super().__init__()
        self.models, self.head = nn.ModuleList(models), nn.Identity()

    def features(self, x: Tensor) -> Tensor:
        return torch.stack([model(x) for model in self.models]).mean(0)


class Draw(Noisy):
    """Adds the same number to everything."""

    def __init__(self, site: str | None = None) -> None:
        super().__init__()
        self.site = site

    def forward(self, x: Tensor) -> Tensor:
        return x + self.key.uniform(1) if self.training else x


def noisy(site: str | None = None) -> Wrap:
    def apply(model: Model) -> Model:
        model.head = nn.Sequential(model.head, Draw(site), Draw(site))
        return model

    return Wrap(apply)


class Last(Average):
    """The weights themselves, with nonsense for statistics."""

    reestimate = True

    def begin(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: w.clone() for name, w in weights.items()}

    def update(self, state: dict[str, Tensor], weights: dict[str, Tensor], moment: Moment) -> None:
        for name, w in weights.items():
            state[name].copy_(w if "running" not in name else torch.full_like(w, 7.0))

    def weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return state


def last() -> Average:
    return Last()


def halved() -> Penalty:
    """A second pass, of darker images."""
    return Penalty(lambda model: lambda p: p.again(p.images / 2, p.key)[1].mean())


def refuses() -> Wrap:
    def apply(model: Model) -> Model:
        raise ValueError("strength: is no good here")

    return Wrap(apply)


def two_averages() -> tuple[Average, Average]:
    return Last(), Last()


def own() -> Taught:
    """Learns from its own weights of the step before, as if these were the labels."""
    return Taught(lambda p, logits: cross_entropy(p.logits, p.batch.y) + (p.logits - logits).square().mean(), own=ema())


def ema() -> Ema:
    return Ema(0.5, False, "copy")


def relabels() -> Taught:
    return Taught(lambda p, logits: cross_entropy(p.logits, p.batch.y), ema(), lambda z: z.softmax(1))


def settings(group: str, *makers: str) -> dict[str, Any]:
    base = config(*TINY, *SMALL_MODEL)
    nodes = {maker: {"_target_": f"{__name__}.{maker}"} for maker in makers}
    base[group] = nodes if group != "loss" else nodes[makers[0]]
    return base


def learner(made: dict[str, Any]) -> tuple[Learner, Data]:
    data: Data = build(made["data"], "data")
    return build_learner(made, parts(made), data, FP32, Key.root(0)), data


def step(made: dict[str, Any]) -> tuple[Pass, Data, Any]:
    """One pass of four images, as the loss saw it."""
    found, data = learner(made)
    seen: list[Pass] = []
    found.terms["probe"] = lambda p: seen.append(p) or p.logits.sum()  # type: ignore[func-returns-value]
    done = found(data.train.x[:4], data.train.y[:4], Key.root(1), torch.tensor(0.0))
    return seen[0], data, done


def test_copies_have_views_of_their_own_and_count_as_one_image() -> None:
    given, _, done = step(settings("aug", "several"))
    assert given.batch.x.shape[0] == given.batch.y.shape[0] == 8
    assert torch.equal(given.batch.y[:4], given.batch.y[4:])
    assert not torch.equal(given.clean.x[:4], given.clean.x[4:]), "another crop"
    assert torch.equal(given.batch.x, given.clean.x / 2)
    hits = (given.logits.argmax(1) == given.batch.y.argmax(1)).float().sum() / 2
    assert done.hits == hits
    terms = cross_entropy(given.logits, given.batch.y) + given.logits.mean() + given.logits.sum()
    torch.testing.assert_close(done.loss, terms)


def test_another_pass_draws_other_noise_and_the_same_word_the_same() -> None:
    look(step(settings("regularizer", "noisy"))[0], other_noise)


def look(given: Pass, see: Callable[[Pass], None]) -> None:
    """See to a pass of `step` with the noise that it had."""
    layers = {path: m for path, m in given.model.named_modules() if isinstance(m, Noisy)}
    with Drawing({m: Key.root(1).fold(m.site or f"model.{path}") for path, m in layers.items()}):
        see(given)


def other_noise(given: Pass) -> None:
    plain = given.model(given.images)
    torch.testing.assert_close(plain, given.logits)
    features, logits = given.again(given.images, given.key.fold("other"))
    torch.testing.assert_close(features, given.features)
    shift = logits - given.logits
    assert shift.abs().min() > 1e-4
    torch.testing.assert_close(shift, shift[:1, :1].expand_as(shift))
    torch.testing.assert_close(given.again(given.images, given.key.fold("other"))[1], logits, rtol=0, atol=0)
    torch.testing.assert_close(given.model(given.images), plain, rtol=0, atol=0)  # its own noise is there again

    torch.testing.assert_close(given.normalise(given.batch.x), given.images, rtol=0, atol=0)


def test_another_pass_draws_the_same_at_sites() -> None:
    made = settings("regularizer", "noisy")
    made["regularizer"]["noisy"]["site"] = "word"
    given, _, _ = step(made)
    look(given, lambda g: torch.testing.assert_close(g.again(g.images, g.key.fold("other"))[1], g.logits))


def test_layers_of_one_site_draw_what_the_augmentation_of_that_name_does() -> None:
    made = settings("regularizer", "noisy")
    made["regularizer"]["noisy"]["site"] = "word"
    found, _ = learner(made)
    keys = found.keys(Key.root(1)).values()
    assert [key.word.item() for key in keys] == [Key.root(1).fold("word").word.item()] * 2
    other, _ = learner(settings("regularizer", "noisy"))
    assert len({key.word.item() for key in other.keys(Key.root(1)).values()}) == 2


def test_a_team_takes_the_models_place(tmp_path: Path) -> None:
    made = settings("regularizer", "team")
    (outcome,) = run(made, tmp_path / "runs").values()
    assert isinstance(outcome, dict)
    names = {name.split(".")[3] for name in final_weights(tmp_path / "runs") if name.startswith("weights.model.models")}
    assert names == {"0", "1"}
    (first,) = run(config(*TINY, "model.depth=8"), tmp_path / "one").values()
    (second,) = run(config(*TINY, "model.depth=14"), tmp_path / "two").values()
    assert outcome["params"] == first["params"] + second["params"]  # type: ignore[index]


@pytest.mark.parametrize("others", [(), ("halved",)])
def test_statistics_estimated_anew_are_those_of_the_batches(others: tuple[str, ...], tmp_path: Path) -> None:
    """Of every pass alike where a step has two."""
    made = settings("regularizer", "last", *others)
    made["data"]["view"] = "none"
    run(made, tmp_path)
    found = final_weights(tmp_path)
    model, data = learner(made)[0].model, build(made["data"], "data")
    model.load_state_dict({n.removeprefix("weights.model."): w for n, w in found.items() if n.startswith("weights.m")})
    x = (data.train.x.permute(0, 3, 1, 2) / 255 - data.mean[:, None, None]) / data.std[:, None, None]
    norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for norm in norms.values():
        norm.reset_running_stats()
        norm.momentum = None  # torch's cumulative mean
    with torch.no_grad():
        for index in Key.root(0).fold("order").fold(2).permutation(16).split(8):
            for brightness in (1.0, 0.5)[: 1 + len(others)]:
                model(brightness * x[index])
    for name, norm in norms.items():
        torch.testing.assert_close(found[f"averages.last.model.{name}.running_mean"], norm.running_mean)
        torch.testing.assert_close(found[f"averages.last.model.{name}.running_var"], norm.running_var)


@pytest.mark.parametrize("loss", ["own", "relabels"])
def test_the_student_as_its_own_teacher_resumes_bit_for_bit_and_is_not_reported(loss: str, tmp_path: Path) -> None:
    made = settings("loss", loss)
    (straight,) = run(made, tmp_path / "straight").values()
    with pytest.raises(Stopped):
        run(made, tmp_path / "stopped", Silent(3))
    (resumed,) = run(made, tmp_path / "stopped").values()
    one, other = final_weights(tmp_path / "straight"), final_weights(tmp_path / "stopped")
    assert any(name.startswith("averages.teacher.") for name in one)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert isinstance(straight, dict)
    assert "raw_test_acc" not in straight
    assert straight["test_acc"] == resumed["test_acc"]  # type: ignore[index]
    plain = config(*TINY, *SMALL_MODEL)
    run(plain, tmp_path / "plain")
    other = final_weights(tmp_path / "plain")
    assert not torch.equal(one["weights.model.head.weight"], other["weights.model.head.weight"])


def test_own_teacher_is_the_average_in_evaluation_mode(tmp_path: Path) -> None:
    """Fused seeds each have their own."""
    made = settings("loss", "own")
    run({**made, "seeds": [0, 1]}, tmp_path / "single")
    run({**made, "seeds": [0, 1], "fuse": True}, tmp_path / "fused")
    for seed in (0, 1):
        one, other = final_weights(tmp_path / "single", seed), final_weights(tmp_path / "fused", seed)
        name = "averages.teacher.model.head.weight"
        assert (one[name] - other[name]).norm() <= 0.02 * one[name].norm()


def test_targets_of_a_teacher_are_made_before_the_augmentations() -> None:
    made = settings("loss", "relabels")
    made["aug"] = {"mixup": {"_target_": "ablation.aug.mixup.mixup"}}
    found, data = learner(made)
    teacher = found.model
    found.teacher = own_teacher(teacher, {f"model.{n}": w.clone() for n, w in teacher.state_dict().items()})
    seen: list[Batch] = []
    found.augs["probe"] = lambda batch, key: seen.append(batch) or batch  # type: ignore[func-returns-value]
    x, y, key = data.train.x[:4], data.train.y[:4], Key.root(1)
    found(x, y, key, torch.tensor(0.0), found.teacher.used())
    clean = found.standard(x, y, key, torch.tensor(0.0))
    told = clean._replace(y=found.teacher.model(found.normalise(clean.x)).softmax(1))
    torch.testing.assert_close(seen[0].y, found.augs["mixup"](told, key.fold("mixup")).y)


@pytest.mark.parametrize(
    ("makers", "said"),
    [
        (["refuses"], r"^regularizer\.refuses\.strength: is no good here"),
        (["two_averages"], "two parts of one kind"),
    ],
)
def test_refused(makers: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parts(settings("regularizer", *makers))


def test_two_teams_are_refused() -> None:
    made = settings("regularizer", "team")
    made["regularizer"]["other"] = dict(made["regularizer"]["team"])
    with pytest.raises(ConfigError, match="team and other both replace the model"):
        parts(made)


def test_moments() -> None:
    assert [Moment(i, 6, 3).epoch_ended for i in range(6)] == [False, False, True] * 2
    assert Moment(5, 6, 3).t == 1.0


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("+regularizer.loss._target_=ablation.regularizer.confidence_penalty.confidence_penalty", "the main term"),
        ("+aug.view._target_=ablation.aug.cutout.cutout", "the standard crop"),
        ("+regularizer.teacher._target_=ablation.regularizer.ema.ema", "the student as its own teacher"),
        ("+regularizer.raw._target_=ablation.regularizer.ema.ema", "the trained weights"),
        ("+regularizer.best._target_=ablation.regularizer.ema.ema", "the best epoch's accuracy"),
    ],
)
def test_names_that_are_taken_are_refused(row: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"is the name of {why}"):
        parts(config(*TINY, row))


def test_one_name_in_two_groups_is_refused() -> None:
    row = ("aug=cutout", "+regularizer.cutout._target_=ablation.regularizer.confidence_penalty.confidence_penalty")
    with pytest.raises(ConfigError, match=r"^regularizer\.cutout: aug\.cutout has this name too"):
        parts(config(*TINY, *row))
