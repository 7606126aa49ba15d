"""The published strategies: what each transfers, freezes, penalises and starts from."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from toys import phase, tiny, tiny_examples

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.genome.bed import regions_table
from cistransfer.models.bundle import Bundle, check_bundle, open_bundle
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.registry import USER_FILES, build_model, parameter_count
from cistransfer.motifs import compare as compare_module
from cistransfer.motifs import denovo
from cistransfer.motifs.pwm import PWM, reverse_complement_pwm
from cistransfer.training import run as run_module
from cistransfer.training.finetune import finetune
from cistransfer.training.freeze import apply_phase, copy_transferred, parameter_groups
from cistransfer.training.initialise import choose_filters, dissimilar_motifs, initialise_filters
from cistransfer.training.loop import fit
from cistransfer.training.loss import masked_loss
from cistransfer.training.pretrain import pretrain
from cistransfer.training.run import train_run
from cistransfer.training.strategy import (
    Initialise,
    Phase,
    Probe,
    Strategy,
    load_strategy,
    shipped_strategies,
)

WINDOW = 90
CPU: dict[str, Any] = {"device": "cpu", "precision": "float32"}
ARCHITECTURES = ("cnn", "danq", "chromtransfer")


def examples(n: int = 48, seed: int = 0) -> ExampleSet:
    """Random windows of one task; bound at a high GC content."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, WINDOW), dtype=np.uint8)
    gc = ((codes == 1) | (codes == 2)).sum(axis=1)
    labels = (gc > np.median(gc)).astype(np.int8)[:, None]
    start = np.arange(n) * 200 + 200 * n * seed
    part = np.where(np.arange(n) % 3 == 2, "valid", "train").astype(object)
    regions = regions_table(["chr1"] * n, start, start + WINDOW, part=part)
    return ExampleSet(codes, labels, regions, ("A",), {})


def shortened(strategy: Strategy) -> Strategy:
    """The same strategy with one epoch of two steps."""
    phases = tuple(
        each.model_copy(update={"epochs": 1, "steps_per_epoch": 2, "batch_size": 16})
        for each in strategy.phases
    )
    return strategy.model_copy(update={"phases": phases})


def statistic(name: str) -> bool:
    return name.endswith(("running_mean", "running_var", "num_batches_tracked"))


def pwm(name: str, width: int, seed: int = 0, strength: float = 0.2) -> PWM:
    return PWM(name, np.random.default_rng(seed).dirichlet([strength] * 4, width))


@pytest.fixture(scope="module")
def trunks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """A trunk of each architecture, trained for two steps (so its statistics have moved)."""
    folder = tmp_path_factory.mktemp("trunks")
    plan = shortened(load_strategy("published-scratch"))
    return {
        name: train_run(folder / name, examples(), plan, architecture=name, **CPU)
        for name in ARCHITECTURES
    }


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Tensors of the model that a run hands to its training, which is left out."""
    seen: dict[str, Tensor] = {}

    def spy(model: nn.Module, *_: Any, **__: Any) -> list[dict[str, Any]]:
        seen.update({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return []

    monkeypatch.setattr(run_module, "fit", spy)
    return seen


# ---- transfer depth ----


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("name", "transferred"),
    [
        ("published-first-convolution", lambda block: block == "conv1"),
        ("published-convolutions", lambda block: block.startswith("conv")),
        ("published", lambda block: block != "head"),
    ],
)
def test_transfer_depth(
    trunks: dict[str, Bundle],
    start: dict[str, Tensor],
    tmp_path: Path,
    architecture: str,
    name: str,
    transferred: Callable[[str], bool],
) -> None:
    trunk = trunks[architecture]
    finetune(tmp_path, examples(seed=1), trunk, strategy=name, seed=9, **CPU)
    fresh = build_model(architecture, window=WINDOW, n_tasks=1, seed=9).state_dict()
    trained = trunk.model.state_dict()
    assert start.keys() == trained.keys()
    for key, tensor in start.items():
        source = trained if transferred(key.split(".")[0]) else fresh
        assert torch.equal(tensor, source[key]), key
    assert any(not torch.equal(fresh[key], trained[key]) for key in fresh)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_transferred_networks_train_as_a_whole(
    trunks: dict[str, Bundle], tmp_path: Path, architecture: str
) -> None:
    trunk = trunks[architecture]
    plan = shortened(load_strategy("published-convolutions"))
    tuned = train_run(tmp_path, examples(seed=1), plan, trunk=trunk, **CPU)
    before = trunk.model.state_dict()
    for key, tensor in tuned.model.state_dict().items():
        taken_out = architecture == "cnn" and key.endswith("conv.bias")  # by the norm behind it
        assert key.endswith("tracked") or taken_out or not torch.equal(tensor, before[key]), key


def test_the_published_variants_differ_in_transfer_alone() -> None:
    whole = load_strategy("published").phases
    for name in ("published-first-convolution", "published-convolutions"):
        assert load_strategy(name).phases == whole
    (frozen,), (published,) = load_strategy("frozen-convolutions").phases, whole
    assert isinstance(frozen, Phase)
    assert frozen.model_copy(update={"freeze": ()}) == published
    (drifting,) = load_strategy("published-frozen").phases
    assert isinstance(drifting, Phase)
    assert drifting.model_copy(update={"drifting_statistics": ()}) == frozen


# ---- freezing ----


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", ["frozen-convolutions", "published-frozen"])
def test_frozen_convolutions(
    trunks: dict[str, Bundle], tmp_path: Path, architecture: str, name: str
) -> None:
    """Bit-identical with their statistics, or as published, with statistics that drift."""
    trunk = trunks[architecture]
    plan = shortened(load_strategy(name))
    tuned = train_run(tmp_path, examples(seed=1), plan, trunk=trunk, **CPU).model.state_dict()
    for key, tensor in trunk.model.state_dict().items():
        still = key.startswith("conv") and not (name == "published-frozen" and statistic(key))
        assert torch.equal(tuned[key], tensor) == still, key


def test_dropout_sleeps_in_what_is_frozen(trunks: dict[str, Bundle]) -> None:
    (frozen,) = load_strategy("frozen-convolutions").phases
    assert isinstance(frozen, Phase)
    for architecture in ("danq", "chromtransfer"):
        model = copy.deepcopy(trunks[architecture].model)
        apply_phase(model, frozen)
        awake = {
            name.split(".")[0].rstrip("0123456789"): module.training
            for name, module in model.named_modules()
            if isinstance(module, nn.Dropout)
        }
        expected = {"lstm": True} if architecture == "danq" else {"dense": True}
        assert awake == {"conv": False, **expected}


def test_a_phase_may_freeze_part_of_what_it_trains() -> None:
    model = tiny()
    groups = parameter_groups(model, phase())
    apply_phase(model, phase(train=["*"], freeze=["conv1.norm", "head"]))
    left = parameter_groups(model, phase(train=["*"], freeze=["conv1.norm", "head"]))
    assert sum(len(group["params"]) for group in groups) == 10
    assert sum(len(group["params"]) for group in left) == 10 - 2 - 2
    assert model.conv1.conv.weight.requires_grad
    assert not model.conv1.norm.training
    assert model.dense1.norm.training


def test_freezing_what_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"freeze: no module fits 'cnov\*'; the model has: conv1"):
        apply_phase(tiny(), phase(freeze=["cnov*"]))


# ---- ChromTransfer ----


@pytest.mark.parametrize(
    ("name", "norm", "keras_size"),
    [("chromtransfer-finetune", True, 657_761), ("chromtransfer-frozen", False, 653_537)],
)
def test_chromtransfer_gets_new_dense_layers(
    trunks: dict[str, Bundle], tmp_path: Path, name: str, norm: bool, keras_size: int
) -> None:
    trunk = trunks["chromtransfer"]
    plan = shortened(load_strategy(name))
    tuned = train_run(tmp_path, examples(seed=1), plan, trunk=trunk, **CPU)
    state, body = tuned.model.state_dict(), trunk.model.state_dict()
    assert sum(tensor.numel() for key, tensor in state.items() if "tracked" not in key) == (
        keras_size
    )
    assert state["dense1.linear.weight"].shape == (1024, 64)
    assert state["dense2.linear.weight"].shape == (32, 1024)
    assert tuned.card.architecture.to_json() == {
        "name": "chromtransfer",
        "arguments": dict(plan.arguments),
    }
    for key in body:
        if key.startswith("conv"):
            assert torch.equal(state[key], body[key]) == (name == "chromtransfer-frozen"), key
    assert check_bundle(tmp_path)["sequences"] > 0
    assert trunk.card.architecture.arguments == {}


def test_chromtransfer_recipes_are_those_of_the_paper_and_the_code() -> None:
    plans = {
        name: load_strategy(f"chromtransfer-{name}")
        for name in ("pretrain", "scratch", "finetune", "frozen")
    }
    for name, rate, batch, epochs, patience in (
        ("pretrain", 1e-3, 256, 100, 15),
        ("scratch", 1e-3, 128, 100, 10),
        ("finetune", 5e-6, 128, 100, 10),
        ("frozen", 1e-3, 128, 20, None),
    ):
        (only,) = plans[name].phases
        assert isinstance(only, Phase)
        assert (only.learning_rate, only.batch_size) == (rate, batch)
        assert (only.epochs, only.patience, only.monitor) == (epochs, patience, "loss")
        assert (only.strands, only.validation_strands) == ("forward", "forward")
        assert only.weight_decay == 0
    assert plans["pretrain"].arguments == {}
    assert plans["finetune"].arguments == plans["scratch"].arguments == {"dense": [1024, 32]}


@pytest.mark.parametrize("name", ["pretrain", "scratch", "finetune"])
def test_l2_of_chromtransfer_is_on_every_kernel_but_the_last(name: str) -> None:
    (only,) = load_strategy(f"chromtransfer-{name}").phases
    assert isinstance(only, Phase)
    model = build_model("chromtransfer", window=WINDOW, n_tasks=1, seed=0)
    apply_phase(model, only)
    strength = {
        id(parameter): group["l2"]
        for group in parameter_groups(model, only)
        for parameter in group["params"]
    }
    kernels = {
        id(module.weight)
        for key, module in model.named_modules()
        if isinstance(module, nn.Conv1d) and key != "conv11.conv"
    }
    assert len(kernels) == 1 + 3 + 6 + 3 + 6 + 1
    for parameter in model.parameters():
        assert strength[id(parameter)] == (1e-4 if id(parameter) in kernels else 0.0)


def test_a_body_that_does_not_fit_is_refused(trunks: dict[str, Bundle], tmp_path: Path) -> None:
    plan = load_strategy("chromtransfer-finetune").model_copy(update={"transfer": ("*",)})
    with pytest.raises(InputError, match=r"dense1.linear.weight .* has shape \(512, 64\), here"):
        train_run(tmp_path / "a", examples(), plan, trunk=trunks["chromtransfer"], **CPU)
    with pytest.raises(InputError, match="'cnn' has no argument 'dense'; there are"):
        finetune(
            tmp_path / "b", examples(), trunks["cnn"], strategy="chromtransfer-finetune", **CPU
        )
    model, trunk = tiny(), tiny()
    del model.dense1.norm
    with pytest.raises(InputError, match=r"dense1.norm.weight .* \(10,\), here it is absent"):
        copy_transferred(model, trunk, ["*"])


# ---- L2 ----


def test_l2_is_the_gradient_of_a_penalty_in_the_loss() -> None:
    """Three Adam steps on all examples, against a loss with the penalty written into it."""
    data = tiny_examples()
    rows = data.rows("train")
    strengths = {"conv1.conv.weight": 0.3, "head.weight": 0.1}
    ours, plain = tiny(), tiny()
    for model in (ours, plain):
        model.dense1.dropout.p = 0.0
    options = {"batch_size": len(rows), "strands": "forward", "epochs": 1, "steps_per_epoch": 3}
    only = phase(l2=strengths, **options)
    history = fit(ours, data, [only], run="x", seed=0)
    optimiser = torch.optim.Adam(plain.parameters(), lr=only.learning_rate)
    x = torch.eye(4)[torch.from_numpy(data.codes[rows]).long()].permute(0, 2, 1)
    labels = torch.from_numpy(data.labels[rows])
    plain.train()
    losses = []
    for _ in range(3):
        loss = masked_loss(plain(x), labels)
        losses.append(float(loss.detach()))
        penalty = sum(
            strength * plain.get_parameter(key).square().sum()
            for key, strength in strengths.items()
        )
        optimiser.zero_grad()
        (loss + penalty).backward()
        optimiser.step()
    for key, tensor in plain.state_dict().items():
        if key.endswith("weight"):  # a bias before batch norm has no gradient but rounding
            torch.testing.assert_close(ours.state_dict()[key], tensor, rtol=1e-4, atol=1e-5)
    assert history[0]["train_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    without = tiny()
    without.dense1.dropout.p = 0.0
    fit(without, data, [phase(**options)], run="x", seed=0)
    assert not torch.allclose(without.conv1.conv.weight, ours.conv1.conv.weight, atol=1e-3)


def test_the_last_pattern_of_l2_counts() -> None:
    model = tiny()
    only = phase(l2={"*weight": 0.5, "conv1": 0.0, "conv1.conv.weight": 0.25})
    apply_phase(model, only)
    found = {
        id(parameter): group["l2"]
        for group in parameter_groups(model, only)
        for parameter in group["params"]
    }
    assert found[id(model.conv1.conv.weight)] == 0.25
    assert found[id(model.conv1.norm.weight)] == 0.0
    assert found[id(model.dense1.linear.weight)] == 0.5
    assert found[id(model.dense1.linear.bias)] == 0.0


# ---- filters that start as motifs ----


@pytest.mark.parametrize(
    ("width", "first", "kept"), [(6, 6, (0, 6)), (7, 6, (0, 7)), (19, 0, (0, 19)), (22, 0, (1, 20))]
)
def test_a_filter_is_probability_minus_a_quarter_centred(
    width: int, first: int, kept: tuple[int, int]
) -> None:
    motif = pwm("m", width)
    model = build_model("cnn", window=WINDOW, n_tasks=1, seed=0)
    before = copy.deepcopy(model.state_dict())
    initialise_filters(model, [pwm("other", 5, 1), motif])
    weight = model.conv1.conv.weight[1]
    expected = torch.zeros(4, 19)
    inside = motif.probabilities[slice(*kept)]
    for position, row in enumerate(inside):
        for letter in range(4):
            expected[letter, first + position] = row[letter] - 0.25
    assert torch.equal(weight, expected)
    after = model.state_dict()
    assert torch.equal(after["conv1.conv.weight"][2:], before["conv1.conv.weight"][2:])
    for key in before:
        assert key == "conv1.conv.weight" or torch.equal(after[key], before[key])
    assert weight.requires_grad


def test_a_filter_scores_its_own_consensus_best() -> None:
    """The filter is not reversed and its rows are A, C, G, T."""
    letters = "GATTACA"
    motif = PWM("GATTACA", np.eye(4)[["ACGT".index(letter) for letter in letters]])
    model = build_model("danq", window=WINDOW, n_tasks=1, seed=0)
    initialise_filters(model, [motif])
    conv = nn.Conv1d(4, 1, 26)
    conv.weight.data = model.conv1.conv.weight.data[:1].clone()
    conv.bias.data.zero_()
    sequence = "T" * 20 + letters + "C" * 20
    x = torch.eye(4)[["ACGT".index(letter) for letter in sequence]].T[None]
    scores = conv(x)[0, 0]
    assert int(scores.argmax()) == 20 - (26 - 7) // 2
    assert float(scores.detach().max()) == pytest.approx(7 * 0.75)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_filters_of_every_architecture(architecture: str) -> None:
    motif = pwm("m", 8)
    model = build_model(architecture, window=WINDOW, n_tasks=1, seed=0)
    initialise_filters(model, [motif])
    weight = model.conv1.conv.weight[0]
    expected = np.abs(motif.probabilities - 0.25).sum()
    assert float(weight.detach().abs().sum()) == pytest.approx(expected)


def test_motifs_beside_the_network_are_no_filters() -> None:
    base = build_model("cnn", window=WINDOW, n_tasks=1, seed=0)
    model = Model(base.network, MotifFeatures([6]))
    initialise_filters(model, [pwm("m", 8)])
    assert not model.conv1.conv.weight[0, :, :5].any()
    assert not model.motifs.odds0.any()


def test_motifs_that_do_not_fit_are_refused() -> None:
    model = build_model("cnn", window=WINDOW, n_tasks=1, seed=0)
    with pytest.raises(InputError, match=r"at most 100 motifs.*found 101"):
        initialise_filters(model, [pwm("m", 6)] * 101)
    with pytest.raises(InputError, match="only where a convolution reads the one-hot"):
        initialise_filters(nn.Linear(4, 1), [pwm("m", 6)])
    initialise_filters(nn.Linear(4, 1), [])


def _plan(**initialise: object) -> Strategy:
    published = load_strategy("published-motif-filters").model_dump()
    return Strategy.model_validate({**published, "initialise": initialise or None})


def test_given_motifs_keep_their_order_and_denovo_ones_come_in_both_orientations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = examples()
    found = [pwm("1-AAA", 9, 1), pwm("2-CCC", 9, 2)]
    asked: list[tuple[Any, ...]] = []

    class Found:
        def __init__(self, motif: PWM) -> None:
            self.pwm = motif

    def find(codes: np.ndarray, labels: np.ndarray, **options: Any) -> list[Found]:
        asked.append((codes, labels, options))
        return [Found(motif) for motif in found]

    monkeypatch.setattr(denovo, "find_motifs", find)
    given = [pwm("x", 7, 3), pwm("y", 7, 4)]
    chosen = choose_filters(data, _plan(given=2, denovo=2), given, seed=5)
    expected = [*given, found[0], None, found[1], None]
    for motif, wanted in zip(chosen, expected, strict=True):
        assert wanted is None or motif is wanted
    for at in (2, 4):
        reverse = reverse_complement_pwm(chosen[at]).probabilities
        np.testing.assert_array_equal(chosen[at + 1].probabilities, reverse)
    ((codes, labels, options),) = asked
    rows = data.rows("train")
    np.testing.assert_array_equal(codes, data.codes[rows])
    np.testing.assert_array_equal(labels, data.labels[rows, 0])
    assert options == {"n_motifs": 2, "hold_out": 0.0, "engine": "own", "seed": 5}
    assert choose_filters(data, _plan(given=2), given, seed=5) == given
    assert choose_filters(data, _plan(), given, seed=5) == []


def test_too_many_motifs_are_drawn_among_dissimilar_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 0-1-2 each matches the next (1-2 only when 2 is the query); 3 matches none; 4 is flat."""
    pool = [pwm(str(number), 8, number) for number in range(5)]
    small = {(0, 1): 0.01, (1, 0): 0.02, (2, 1): 0.05, (1, 2): 0.2}
    rows = [
        (query, target, 0.0 if query == target else small.get((query, target), 0.9))
        for query in range(4)
        for target in range(5)
    ]
    table = pd.DataFrame(rows, columns=["query", "target", "q"])
    monkeypatch.setattr(compare_module, "compare", lambda *_, **__: table)
    drawn = [
        tuple(motif.name for motif in dissimilar_motifs(pool, 4, seed=seed)) for seed in range(40)
    ]
    assert {tuple(sorted(names)) for names in drawn} == {("0", "2", "3"), ("1", "3")}
    assert len(set(drawn)) > 4
    assert drawn[7] == tuple(motif.name for motif in dissimilar_motifs(pool, 4, seed=7))
    assert all(len(dissimilar_motifs(pool, 1, seed=seed)) == 1 for seed in range(5))
    strict = dissimilar_motifs(pool, 4, min_q=0.95, seed=0)
    loose = dissimilar_motifs(pool, 4, min_q=0.001, seed=0)
    assert (len(strict), len(loose)) == (1, 4)
    assert dissimilar_motifs(pool, 0) == []
    assert dissimilar_motifs(pool, 5) == pool


def test_the_published_initialisation_from_end_to_end(
    tmp_path: Path, start: dict[str, Tensor]
) -> None:
    """Fifty motifs of those given, five de novo ones twice, forty filters at random."""
    data = examples(n=90)
    site = np.array([2, 0, 3, 3, 0, 1, 0, 2], dtype=np.uint8)
    for row in np.flatnonzero(data.labels[:, 0] == 1):
        at = int(np.random.default_rng(row).integers(0, WINDOW - 8))
        data.codes[row, at : at + 8] = site
    given = [pwm(f"g{at}", 10, at) for at in range(50)]
    bundle = finetune(
        tmp_path, data, None, strategy="published-motif-filters", motifs=given, seed=3, **CPU
    )
    filters = bundle.card.filters
    assert [entry["name"] for entry in filters[:50]] == [motif.name for motif in given]
    assert 2 <= len(filters) - 50 <= 10
    assert len(filters) % 2 == 0
    weight = start["conv1.conv.weight"]
    fresh = build_model("cnn", window=WINDOW, n_tasks=1, seed=3).state_dict()
    for at, motif in enumerate(given):
        expected = torch.from_numpy(motif.probabilities.T - 0.25).float()
        assert torch.equal(weight[at, :, 4:14], expected)
        assert not weight[at, :, :4].any()
        assert not weight[at, :, 14:].any()
    untouched = slice(len(filters), None)
    assert torch.equal(weight[untouched], fresh["conv1.conv.weight"][untouched])
    assert torch.equal(start["conv1.conv.bias"], fresh["conv1.conv.bias"])


def test_motifs_must_be_given_where_they_are_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'published-motif-filters' starts filters as motifs"):
        finetune(tmp_path, examples(), None, strategy="published-motif-filters", **CPU)
    with pytest.raises(InputError, match="'scratch' does not use motifs"):
        finetune(tmp_path, examples(), None, strategy="scratch", motifs=[pwm("m", 6)], **CPU)
    with pytest.raises(InputError, match="de novo motifs need examples of one task"):
        choose_filters(tiny_examples(), _plan(denovo=1), [], seed=0)


# ---- entries ----


HEAD = 'name = "n"\nsummary = "s"\nstart = "scratch"\n'
PHASE = '[[phases]]\nname = "x"\nlearning_rate = 1e-3\nbatch_size = 2\nepochs = 1\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "[initialise]\ngivn = 3\n" + PHASE, "initialise.givn'; nearest: given"),
        (HEAD + "[initialise]\ngiven = -3\n" + PHASE, "initialise.given: .*greater"),
        (HEAD + "[initialise]\ndissimilar = 2\n" + PHASE, "initialise.dissimilar: .*less"),
        (HEAD + "initialize = {}\n" + PHASE, "'initialize'; nearest: initialise"),
        (HEAD + "argument = {}\n" + PHASE, "'argument'; nearest: arguments"),
        (HEAD + PHASE + 'freez = ["conv*"]\n', "freez'; nearest: freeze"),
        (HEAD + PHASE + "l2 = 1e-4\n", "l2: .*dictionary"),
        (HEAD + PHASE + 'l2 = { "conv*" = -1 }\n', "l2.*greater than or equal to 0"),
        (
            HEAD.replace("scratch", "trunk") + "[initialise]\ngiven = 3\n" + PHASE,
            "initialise needs start = 'scratch'",
        ),
    ],
)
def test_misspelt_and_wrong_entries_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_strategy(str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_patterns_of_l2_that_fit_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="l2: no module fits 'conv11'"):
        parameter_groups(tiny(), phase(l2={"conv11": 0.0}))


def test_every_strategy_is_in_the_list() -> None:
    expected = {
        "published", "published-scratch", "published-first-convolution", "published-convolutions",
        "published-frozen", "frozen-convolutions", "published-motif-filters", "pretrain-published",
        "chromtransfer-pretrain", "chromtransfer-scratch", "chromtransfer-finetune",
        "chromtransfer-frozen",
    }  # fmt: skip
    assert expected <= set(shipped_strategies())


# ---- a network of the user's own, through a whole run ----

MINE = """
from torch import nn


class Mine(nn.Module):
    def __init__(self, window=200, n_tasks=1, width=8):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv1d(4, width, 9), nn.BatchNorm1d(width), nn.ReLU())
        self.head = nn.Linear(width, n_tasks)

    def features(self, x):
        return self.conv1(x).amax(dim=2)

    def forward(self, x):
        return self.head(self.features(x))
"""


def test_a_user_network_is_trained_tuned_and_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cistransfer.models.registry.USER_FILES", USER_FILES)
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    spec = f"{file}:Mine"
    plan = tmp_path / "mine.toml"
    plan.write_text(HEAD + PHASE.replace("batch_size = 2", "batch_size = 16"))
    options: dict[str, Any] = {"architecture": spec, "arguments": {"width": 5}, **CPU}
    trunk = pretrain(tmp_path / "trunk", examples(), strategy=str(plan), **options)
    assert trunk.card.architecture.name == "mine.py:Mine"
    assert trunk.card.architecture.arguments == {"width": 5}
    assert len(trunk.card.architecture.sha256 or "") == 64
    assert parameter_count(trunk.model) == 4 * 9 * 5 + 5 + 10 + 6
    tuned = finetune(
        tmp_path / "tuned", examples(seed=1), trunk, strategy="frozen-convolutions", **CPU
    )
    for key, tensor in trunk.model.state_dict().items():
        assert torch.equal(tuned.model.state_dict()[key], tensor) == key.startswith("conv")
    again = pretrain(tmp_path / "trunk", examples(), strategy=str(plan), **options)
    assert again.card.run == trunk.card.run
    file.write_text(MINE + "\n# changed\n")
    with pytest.raises(InputError, match=r"another version of mine\.py"):
        pretrain(tmp_path / "trunk", examples(), strategy=str(plan), **options)
    USER_FILES.clear()
    with pytest.raises(InputError, match=r"class 'Mine' of your file mine\.py"):
        open_bundle(tmp_path / "tuned")
    file.write_text(MINE)
    assert open_bundle(tmp_path / "tuned", architecture=spec).tasks == ("A",)


def test_the_documentation_names_every_entry_and_strategy() -> None:
    text = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    section = text.split("## Strategy (TOML)")[1].split("\n## ")[0]
    entries = tomllib.loads(section.split("```toml")[1].split("```")[0])
    assert set(entries) == set(Strategy.model_fields)
    assert set(entries["initialise"]) == set(Initialise.model_fields)
    assert set(entries["phases"][0]) == set(Phase.model_fields) - {"kind"}
    (probe,) = tomllib.loads(section.split("```toml")[2].split("```")[0])["phases"]
    assert probe == Probe(kind="probe", name="probe").model_dump(mode="json")
    with pytest.raises(ValueError, match="initialise needs start"):
        Strategy.model_validate(entries)
    Strategy.model_validate({**entries, "start": "scratch"})
    named = set(re.findall(r"`([a-z-]+)`", section))
    for name in shipped_strategies():
        assert name in named or not name.startswith(("published", "chromtransfer", "frozen"))
