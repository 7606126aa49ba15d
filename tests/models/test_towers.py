"""The published network and a bank of motifs as one trunk: joined, copied, explained, stacked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet, save_examples
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import reverse_complement as complement
from cistransfer.interpretation.deeplift import deeplift
from cistransfer.interpretation.mutagenesis import mutagenesis
from cistransfer.models.blocks import one_hot
from cistransfer.models.bundle import check_bundle, open_bundle, save_bundle
from cistransfer.models.card import Architecture
from cistransfer.models.model import MotifFeatures
from cistransfer.models.registry import build_model
from cistransfer.models.score import score_codes, score_features
from cistransfer.training.freeze import copy_transferred
from cistransfer.training.join import join_trunks
from cistransfer.training.run import fit_on_validation

SPLIT = {"by": "chromosome", "valid": ["chr2"], "test": ["chr3"]}


def examples(tasks: tuple[str, ...], window: int = 200) -> ExampleSet:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (24, window), dtype=np.uint8)
    labels = rng.integers(0, 2, (24, len(tasks))).astype(np.int8)
    start = np.arange(24) * 1000
    part = np.where(np.arange(24) < 8, "train", "valid").astype(object)
    return ExampleSet(
        codes, labels, regions_table(["chr1"] * 24, start, start + window, part=part), tasks, {}
    )


def trunk(folder: Path, name: str, tasks: tuple[str, ...], split: object = SPLIT) -> Path:
    """A run folder as `pretrain` leaves it, of weights that nothing was trained on."""
    data = examples(tasks)
    model = build_model(name, window=200, n_tasks=len(tasks), seed=len(tasks)).train()
    with torch.no_grad():  # batch norms as after training
        for _ in range(4):
            model(one_hot(torch.from_numpy(data.codes)))
    model.eval()
    save_examples(folder / "examples", data)
    seen = data.regions.assign(part="train" if name == "cnn" else data.regions["part"])
    save_bundle(
        folder / "bundle",
        model,
        architecture=Architecture(name=name),
        tasks=list(tasks),
        window=200,
        regions=seen,
        example=data.codes[:2],
        facts={"split": split, **fit_on_validation(model, data)},
        seen={"train": np.array([1, 5], dtype=np.uint64), "valid": np.array([7], dtype=np.uint64)},
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("towers")
    trunk(place / "cnn", "cnn", ("A", "B"))
    trunk(place / "bank", "motif-bank", ("open@x", "B", "A"))
    join_trunks(place / "cnn", place / "bank", place / "both")
    return place


def test_features_of_both_and_the_mean_of_their_logits(folder: Path) -> None:
    cnn, bank, both = (open_bundle(folder / name) for name in ("cnn", "bank", "both"))
    codes = examples(("A",)).codes
    own = [score_features(each.model, codes) for each in (cnn, bank)]
    features = score_features(both.model, codes)
    np.testing.assert_allclose(features, np.concatenate(own, axis=1), atol=1e-5)
    logits = [score_codes(cnn.model, codes), score_codes(bank.model, codes)[:, [2, 1]]]
    np.testing.assert_allclose(score_codes(both.model, codes), np.mean(logits, 0), atol=1e-5)


def test_the_card_is_of_both(folder: Path) -> None:
    both = open_bundle(folder / "both")
    assert both.tasks == ("A", "B")
    assert both.card.split == SPLIT
    assert set(both.regions()["part"]) == {"train"}  # the other one has learned from all
    assert {part: list(hashes) for part, hashes in both.seen().items()} == {
        "train": [1, 5],
        "valid": [7],
    }
    data = examples(("open@x", "B", "A"))
    data = ExampleSet(data.codes, data.labels[:, [2, 1]], data.regions, ("A", "B"), {})
    wanted = fit_on_validation(both.model, data)
    assert list(both.card.threshold or ()) == wanted["threshold"]
    assert {name: list(v) for name, v in both.card.validation.items()} == wanted["validation"]
    assert check_bundle(folder / "both")["largest_difference"] < 1e-4


def test_the_command_line_writes_a_small_copy(folder: Path, tmp_path: Path) -> None:
    asked = [str(folder / "cnn"), "--join", str(folder / "bank"), "--out", str(tmp_path / "out")]
    assert run_app(app, ["compact", *asked]) == 0
    small, both = open_bundle(tmp_path / "out"), open_bundle(folder / "both")
    assert small.card.storage == "float16"
    codes = examples(("A",)).codes
    np.testing.assert_allclose(
        score_codes(small.model, codes), score_codes(both.model, codes), atol=0.02
    )


def test_what_does_not_fit_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the architecture 'motif-bank'"):
        join_trunks(folder / "cnn", folder / "cnn", tmp_path / "out")
    other = trunk(tmp_path / "fewer", "motif-bank", ("A",))
    with pytest.raises(InputError, match="1 outputs are missing, B the first"):
        join_trunks(folder / "cnn", other, tmp_path / "out")
    other = trunk(tmp_path / "other", "motif-bank", ("A", "B"), {**SPLIT, "valid": ["chr4"]})
    with pytest.raises(InputError, match="expected the window and split of"):
        join_trunks(folder / "cnn", other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_attribution_adds_up_and_mutants_are_those_scored_whole(folder: Path) -> None:
    model, codes = open_bundle(folder / "both").model, examples(("A",)).codes[:1]
    contributions, error = deeplift(model, codes, references="zero")
    assert error.max() < 1e-3
    assert np.abs(contributions).max() > 1e-4
    effects = mutagenesis(model, codes)
    mutant = codes.copy()
    mutant[0, 100] = (codes[0, 100] + 1) % 4
    change = np.subtract(*(score_codes(model, each, strands="forward") for each in (mutant, codes)))
    np.testing.assert_allclose(effects[0, mutant[0, 100], 100], change[0, 0], atol=1e-5)


def test_a_start_for_another_tf(folder: Path) -> None:
    both = open_bundle(folder / "both")
    model = build_model("towers", window=200, n_tasks=1, seed=3)
    copy_transferred(model, both.model, ("conv*",))
    state, old = model.state_dict(), both.model.state_dict()
    kept = {name.partition(".")[0] for name in state if (state[name] == old[name]).all()
            and state[name].shape == old[name].shape and name.endswith("conv.weight")}  # fmt: skip
    assert kept == {"conv1", "conv2", "conv3", "conv4", "conv5"}


@pytest.mark.parametrize(("window", "link"), [(200, "independent"), (206, "exclusive")])
def test_both_strands_in_one_pass_are_the_mean_of_two(window: int, link: str) -> None:
    """At 206 bp the pooled windows do not cover the sequence: the bank reads strands apart."""
    beside = MotifFeatures([6, 5, 5, 7], bags=1, folds=2)
    rng = np.random.default_rng(1)
    for number, width in enumerate(beside.widths):
        odds = torch.from_numpy(rng.normal(0, 1, (4, width)))
        beside.get_buffer(f"odds{number}").copy_(odds)
    model = build_model("towers", window=window, n_tasks=2, seed=1, motifs=beside, link=link)
    codes = rng.integers(0, 5, (6, window), dtype=np.uint8)
    apart = [score_codes(model, strand, strands="forward") for strand in (codes, complement(codes))]
    assert np.abs(apart[0] - apart[1]).max() > 1e-3
    assert np.allclose(score_codes(model, codes), np.mean(apart, axis=0), atol=1e-5)
    asked: list[int] = []
    handle = model.get_submodule("conv4").register_forward_hook(lambda *_: asked.append(1))
    score_codes(model, codes)
    handle.remove()
    assert len(asked) == (1 if window == 200 else 2)
