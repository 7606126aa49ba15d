"""Motifs beside a network: equal to the scan of the motif room, on both strands, never trained."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.models.blocks import one_hot
from cistransfer.models.bundle import Bundle, check_bundle, open_bundle, weights_hash
from cistransfer.models.card import Architecture
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.registry import build_model
from cistransfer.models.score import score_features
from cistransfer.motifs.pwm import PWM, reverse_complement_pwm
from cistransfer.motifs.scan import sum_occupancy
from cistransfer.training.finetune import finetune
from cistransfer.training.freeze import copy_transferred
from cistransfer.training.strategy import load_strategy

CPU: dict[str, Any] = {"device": "cpu", "precision": "float32"}


@pytest.fixture(scope="module")
def target_examples(target_examples: ExampleSet) -> ExampleSet:
    """Without the part ``extra``, whose use is tested with probes."""
    kept = np.flatnonzero(target_examples.regions["part"] != "extra")
    return replace(
        target_examples,
        codes=np.asarray(target_examples.codes[kept]),
        labels=np.asarray(target_examples.labels[kept]),
        regions=target_examples.regions.iloc[kept].reset_index(drop=True),
    )


def random_pwm(width: int, seed: int = 0, concentration: float = 0.3) -> PWM:
    rng = np.random.default_rng(seed)
    return PWM(f"m{seed}", rng.dirichlet(np.full(4, concentration), width), alt_name=f"TF{seed}")


def features(*pwms: PWM) -> MotifFeatures:
    made = MotifFeatures([pwm.width for pwm in pwms])
    made.fill(pwms)
    return made


def run(module: nn.Module, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    return module(one_hot(torch.from_numpy(codes))).double().numpy()


def random_codes(n: int, length: int, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 4, (n, length), dtype=np.uint8)


@settings(max_examples=40)
@given(
    widths=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    seed=st.integers(0, 99),
    concentration=st.sampled_from([0.05, 0.3, 5.0]),
)
def test_the_logarithm_of_the_sum_occupancy(
    widths: list[int], seed: int, concentration: float
) -> None:
    pwms = [random_pwm(width, seed + at, concentration) for at, width in enumerate(widths)]
    codes = random_codes(7, 31, seed)
    expected = np.stack([np.log(sum_occupancy(codes, pwm)) for pwm in pwms], axis=1)
    np.testing.assert_allclose(run(features(*pwms), codes), expected, atol=1e-5, rtol=1e-5)


def test_a_literal_occupancy() -> None:
    """AC with certainty: each hit counts 4 x 4, on ACAC two hits, on its complement GTGT too."""
    certain = PWM("AC", np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]]))
    codes = np.array([[0, 1, 0, 1], [2, 3, 2, 3], [3, 3, 3, 3]], dtype=np.uint8)
    found = np.exp(run(features(certain), codes)[:, 0])
    assert found[0] == pytest.approx(32, rel=1e-2)
    assert found[1] == pytest.approx(32, rel=1e-2)
    assert found[2] < 0.02


def test_strands_do_not_matter() -> None:
    pwms = [random_pwm(width, width) for width in (4, 7, 12)]
    codes = random_codes(20, 40)
    codes[:5, 10:13] = 4
    reverse = np.where(codes == 4, 4, 3 - codes)[:, ::-1].astype(np.uint8)
    np.testing.assert_allclose(
        run(features(*pwms), codes), run(features(*pwms), reverse.copy()), atol=1e-5
    )
    turned = features(*map(reverse_complement_pwm, pwms))
    np.testing.assert_allclose(run(turned, codes), run(features(*pwms), codes), atol=1e-5)


def test_an_n_scores_nothing() -> None:
    """Its log-odds are 0: a window of N alone counts 1, one with an N counts its other bases."""
    pwm = random_pwm(5, 3)
    every = np.full((1, 12), 4, dtype=np.uint8)
    assert run(features(pwm), every)[0, 0] == pytest.approx(np.log(2 * (12 - 5 + 1)), abs=1e-6)
    codes = random_codes(1, 5)
    codes[0, 2] = 4
    reverse = [3 - base if base < 4 else 4 for base in codes[0][::-1]]
    ratio, other = (
        np.prod([4 * pwm.probabilities[at, base] for at, base in enumerate(strand) if at != 2])
        for strand in (codes[0], reverse)
    )
    assert run(features(pwm), codes)[0, 0] == pytest.approx(np.log(ratio + other), abs=0.02)


def test_float32_whatever_the_arithmetic() -> None:
    pwm = random_pwm(9, 2)
    x = one_hot(torch.from_numpy(random_codes(4, 30)))
    expected = features(pwm)(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = features(pwm)(x)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert features()(x).shape == (4, 0)


def test_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="widths"):
        features(random_pwm(5)).fill([random_pwm(6)])
    base = build_model("cnn", window=90, n_tasks=1, seed=0)
    base.head = nn.Identity()
    with pytest.raises(InputError, match="linear head"):
        Model(base, MotifFeatures([5]))
    with pytest.raises(InputError, match="2 bags of 3 folds need 6 motifs, found 5"):
        MotifFeatures([4] * 5, 2, 3)


def test_the_features_of_both(trunk: Bundle) -> None:
    """The network's features are untouched and come first."""
    pwms = [random_pwm(6, 1), random_pwm(8, 2)]
    model = build_model("cnn", window=100, n_tasks=2, seed=0, motifs=features(*pwms)).eval()
    copy_transferred(model, trunk.model, ["*"])
    codes = random_codes(5, 100)
    found = score_features(model, codes)
    base = score_features(trunk.model, codes)
    assert found.shape == (5, base.shape[1] + 2)
    np.testing.assert_allclose(found[:, :-2], base, atol=1e-6)
    for at, pwm in enumerate(pwms):
        expected = np.log(sum_occupancy(codes, pwm))
        np.testing.assert_allclose(found[:, at - 2], expected, atol=1e-5, rtol=1e-5)
    assert model(one_hot(torch.from_numpy(codes))).shape == (5, 2)


GRADIENT = """
name = "own"
summary = "All that can train, trains"
start = "trunk"
motifs = "given"

[[phases]]
kind = "probe"
name = "probe"
strengths = [1e-3]
motif_scales = [3.0]

[[phases]]
name = "all"
learning_rate = 1e-2
batch_size = 32
epochs = 1
steps_per_epoch = 2
strands = "random"
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("strategy") / "own.toml"
    path.write_text(GRADIENT)
    return str(path)


@pytest.fixture(scope="module")
def tuned(
    trunk: Bundle, target_examples: ExampleSet, own: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Bundle, list[PWM]]:
    pwms = [random_pwm(7, 1), random_pwm(10, 2)]
    out = tmp_path_factory.mktemp("tuned") / "run"
    return finetune(out, target_examples, trunk, strategy=own, motifs=pwms, **CPU), pwms


def test_no_phase_trains_the_motifs(tuned: tuple[Bundle, list[PWM]], trunk: Bundle) -> None:
    bundle, pwms = tuned
    state = bundle.model.state_dict()
    expected = features(*pwms).state_dict()
    assert {name for name in state if name.startswith("motifs.")} == {
        "motifs.odds0",
        "motifs.odds1",
    }
    for name, tensor in expected.items():
        assert torch.equal(state[f"motifs.{name}"], tensor), name
    parent = trunk.model.state_dict()  # while the network did train
    assert not torch.equal(state["conv1.conv.weight"], parent["conv1.conv.weight"])
    assert not any(name.startswith("motifs") for name, _ in bundle.model.named_parameters())


def test_a_bundle_with_motifs_comes_back(
    tuned: tuple[Bundle, list[PWM]], target_examples: ExampleSet
) -> None:
    bundle, pwms = tuned
    again = open_bundle(bundle.path)
    assert weights_hash(again.model) == bundle.card.weights == again.card.weights
    assert again.card.architecture == Architecture(name="cnn")
    assert again.card.motifs is not None
    assert again.card.motifs.widths == (7, 10)
    assert check_bundle(bundle.path)["largest_difference"] < 1e-5
    facts = again.card.motifs.known
    assert [fact.name for fact in facts] == [pwm.alt_name for pwm in pwms]
    assert [len(fact.consensus) for fact in facts] == [7, 10]
    assert len({fact.sha256 for fact in facts}) == 2
    found = score_features(again.model, target_examples.codes[:6])[:, -2:]
    expected = np.log([sum_occupancy(target_examples.codes[:6], pwm) for pwm in pwms]).T
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


def test_as_a_trunk_it_transfers_its_network(
    tuned: tuple[Bundle, list[PWM]], target_examples: ExampleSet, tmp_path: Path,
    short_strategy: Callable[..., str],
) -> None:  # fmt: skip
    """Without motifs, and with others: the network goes on, the old motifs are dropped."""
    bundle, _ = tuned
    parent = bundle.model.state_dict()
    alone = finetune(tmp_path / "alone", target_examples, bundle, strategy="probe", **CPU)
    assert alone.card.architecture == Architecture(name="cnn")
    assert alone.card.motifs is None
    assert alone.model.motifs is None
    assert alone.card.parent == bundle.card.weights
    for name, tensor in alone.model.state_dict().items():
        if not name.startswith("head"):
            assert torch.equal(tensor, parent[name]), name
    other = tmp_path / "other.toml"
    other.write_text(GRADIENT[: GRADIENT.index('[[phases]]\nname = "all"')])
    new = finetune(
        tmp_path / "new", target_examples, bundle, strategy=str(other), motifs=[random_pwm(5, 9)],
        **CPU,
    )  # fmt: skip
    assert new.card.motifs is not None
    assert new.card.motifs.widths == (5,)
    assert new.card.architecture == Architecture(name="cnn")
    for name, tensor in new.model.state_dict().items():
        if not name.startswith(("head", "motifs")):
            assert torch.equal(tensor, parent[name]), name


def _found(monkeypatch: pytest.MonkeyPatch, pwms: list[PWM]) -> list[dict[str, Any]]:
    """Replace the de novo search; returns what it was called with."""

    calls: list[dict[str, Any]] = []

    def search(codes: NDArray[np.uint8], labels: NDArray[np.int8], **options: Any) -> list[Any]:
        calls.append({"codes": codes, "labels": labels, **options})
        return [type("Found", (), {"pwm": pwm}) for pwm in pwms]

    monkeypatch.setattr("cistransfer.training.motifs.find_motifs", search)
    return calls


def test_which_motifs_a_strategy_takes(
    target_examples: ExampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cistransfer.training import motifs as room

    calls = _found(monkeypatch, [random_pwm(6, 20), random_pwm(6, 21)])
    known = [random_pwm(7, 1), random_pwm(8, 2)]
    train = target_examples.rows("train")
    bound = int((target_examples.labels[train, 0] == 1).sum())
    plan = load_strategy("probe")
    names: dict[tuple[str, bool, bool], list[str]] = {}
    for enough in (True, False):
        monkeypatch.setattr(room, "ENOUGH_TO_FIND", bound if enough else bound + 1)
        for kind in ("none", "given", "denovo", "both"):
            for given_any in (True, False):
                strategy = plan.model_copy(update={"motifs": kind, "name": kind})
                try:
                    chosen, bags = room.choose_motifs(
                        target_examples, strategy, known if given_any else [], seed=3
                    )
                except InputError as error:
                    names[kind, given_any, enough] = [str(error)]
                else:
                    names[kind, given_any, enough] = [pwm.name for pwm in chosen]
                    assert bags == {}
    for enough in (True, False):
        assert names["none", False, enough] == []
        assert names["none", True, enough] == [
            "strategy 'none' does not use motifs; choose another one"
        ]
        assert names["given", True, enough] == ["m1", "m2"]
        assert names["given", False, enough] == [
            "strategy 'given' needs the TF's motifs (--motifs FILE)"
        ]
        assert names["denovo", False, enough] == ["m20", "m21"]
        assert names["both", False, enough] == ["m20", "m21"]
    assert names["both", True, True] == ["m1", "m2", "m20", "m21"]
    assert names["both", True, False] == ["m1", "m2"]
    for call in calls:  # nothing but the training part is searched
        assert np.array_equal(call["codes"], target_examples.codes[train])
        assert np.array_equal(call["labels"], target_examples.labels[train, 0])
        assert call["seed"] == 3


def test_what_is_found_does_not_hang_on_what_is_installed(
    target_examples: ExampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `streme` on PATH, here one that fails, is not asked unless the strategy says so."""
    from cistransfer.training.motifs import choose_motifs

    plan = load_strategy("finetune").model_copy(update={"motif_folds": 2})
    found, bags = choose_motifs(target_examples, plan, [], seed=0)
    program = tmp_path / "streme"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    again, same = choose_motifs(target_examples, plan, [], seed=0)
    assert bags == same
    for first, second in zip(found, again, strict=True):
        np.testing.assert_array_equal(first.probabilities, second.probabilities)
    streme = plan.model_copy(update={"engine": "streme"})
    with pytest.raises(InputError, match=r"streme failed \(exit 1\): broken"):
        choose_motifs(target_examples, streme, [], seed=0)
    # The default stays out of the identity of runs, as before; another engine is another run.
    record = streme.model_dump(mode="json", exclude_defaults=True)
    assert record == {**plan.model_dump(mode="json", exclude_defaults=True), "engine": "streme"}


def test_found_motifs_are_not_for_several_tasks(trunk_examples: ExampleSet) -> None:
    from cistransfer.training.motifs import choose_motifs

    plan = load_strategy("probe").model_copy(update={"motifs": "denovo"})
    with pytest.raises(InputError, match="de novo motifs need examples of one task"):
        choose_motifs(trunk_examples, plan, [], seed=0)
    given = load_strategy("probe").model_copy(update={"motifs": "given"})
    known = [random_pwm(7)]
    assert choose_motifs(trunk_examples, given, known, seed=0) == (known, {})


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("folds", [2, 5, 10, 1000])
def test_motifs_of_folds(
    folds: int, many: bool, target_examples: ExampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every training example is left out of one search, and nothing else is searched."""
    from cistransfer.training import motifs as room

    found = [random_pwm(6, 20), random_pwm(6, 21)][: 1 + many]
    calls = _found(monkeypatch, found)
    train = target_examples.rows("train")
    labels = np.asarray(target_examples.labels[train, 0])
    bound, unbound = int((labels == 1).sum()), int((labels == 0).sum())
    monkeypatch.setattr(room, "ENOUGH_TO_FIND", bound if many else bound + 1)
    plan = load_strategy("probe").model_copy(update={"motif_folds": folds, "motifs": "denovo"})
    chosen, bags = room.choose_motifs(target_examples, plan, [], seed=3)
    folds = max(2, folds // 2) if many else folds
    n = min(folds, bound, unbound)
    assert len(calls) == n
    assert bags == {"bags": 1 + many, "folds": n}
    assert [pwm.name for pwm in chosen] == ["m20"] * n + ["m21"] * n * many
    fold = room.folds_of(labels, folds, 3)
    assert np.array_equal(fold, room.folds_of(labels, n, 3))
    for value in (0, 1):
        sizes = np.bincount(fold[labels == value], minlength=n)
        assert sizes.max() - sizes.min() <= 1
    for number, call in enumerate(calls):
        assert call["n_motifs"] == (3 if many else 1)
        assert call["seed"] == 3
        assert np.array_equal(call["codes"], target_examples.codes[train[fold != number]])
        assert np.array_equal(call["labels"], labels[fold != number])
    other = room.folds_of(labels, folds, 4)
    assert n == min(bound, unbound) or not np.array_equal(fold, other)

    both = plan.model_copy(update={"motifs": "both"})  # however few there are
    chosen, again = room.choose_motifs(target_examples, both, [random_pwm(7, 1)], seed=3)
    assert [pwm.name for pwm in chosen] == ["m1"] + ["m20"] * n + ["m21"] * n * many
    assert again == bags
    given = plan.model_copy(update={"motifs": "given"})
    chosen, bags = room.choose_motifs(target_examples, given, [random_pwm(7, 1)], seed=3)
    assert ([pwm.name for pwm in chosen], bags) == (["m1"], {})


def test_folds_in_which_nothing_is_found(
    target_examples: ExampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a fold's motif tells no sequence from another; without any motif there is no bag."""
    from cistransfer.training.motifs import choose_motifs

    plan = load_strategy("probe").model_copy(update={"motif_folds": 3, "motifs": "both"})
    _found(monkeypatch, [])
    known = [random_pwm(7, 1)]
    assert choose_motifs(target_examples, plan, known, seed=0) == (known, {})
    assert choose_motifs(target_examples, plan, [], seed=0) == ([], {})
    answers = iter([[random_pwm(6, 20)], [], [random_pwm(6, 21), random_pwm(6, 22)]])

    def search(*_: Any, **__: Any) -> list[Any]:
        return [type("Found", (), {"pwm": pwm}) for pwm in next(answers)]

    monkeypatch.setattr("cistransfer.training.motifs.find_motifs", search)
    chosen, bags = choose_motifs(target_examples, plan, known, seed=0)
    names = ["m1", "m20", "none", "m21", "none", "none", "m22"]
    assert [pwm.name for pwm in chosen] == names
    assert bags == {"bags": 2, "folds": 3}
    flat = run(features(chosen[2]), random_codes(20, 50))
    np.testing.assert_allclose(flat, np.log(2 * 50), rtol=1e-6)


@pytest.mark.parametrize(("bags", "folds"), [(0, 0), (1, 1), (1, 4), (2, 2), (2, 1), (1, 3)])
def test_a_bag_of_motifs_is_one_feature(bags: int, folds: int) -> None:
    """The mean of the logarithms, after the other motifs."""
    widths = (4, 9, 6, 5)
    pwms = [random_pwm(width, width) for width in widths]
    made = MotifFeatures(widths, bags, folds)
    made.fill(pwms)
    codes = random_codes(7, 30)
    each = [np.log(sum_occupancy(codes, pwm)) for pwm in pwms]
    expected = each[: 4 - bags * folds]
    for bag in range(bags):
        versions = each[4 - (bags - bag) * folds :][:folds]
        expected.append(sum(versions) / folds)
    found = run(made, codes)
    assert found.shape == (7, made.n_features) == (7, len(expected))
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-4)
    model = build_model("cnn", window=200, n_tasks=1, seed=0, motifs=made)
    assert model.head.in_features == 1000 + len(expected)


def test_the_default_reads_what_it_found(
    trunk: Bundle, target_examples: ExampleSet, tmp_path: Path
) -> None:
    """End to end, with the search itself: the card names the motifs, the network is the trunk's."""
    bundle = finetune(tmp_path / "run", target_examples, trunk, **CPU)
    motifs = bundle.card.motifs
    assert motifs is not None
    assert (motifs.bags, motifs.folds, len(motifs.known)) == (1, 10, 10)
    assert list(motifs.widths) == [len(motif.consensus) for motif in motifs.known]
    for name, tensor in trunk.model.state_dict().items():
        if not name.startswith("head"):
            assert torch.equal(bundle.model.state_dict()[name], tensor), name
    head = bundle.model.head.weight[0]
    assert len(head) == trunk.model.head.in_features + 1
    assert head[-1] != 0
    check_bundle(tmp_path / "run")
