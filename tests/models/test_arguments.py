"""Arguments of architectures from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet, save_examples
from cistransfer.models.registry import build_model, read_arguments

OWN = """
from torch import nn


class Own(nn.Module):
    def __init__(self, window: int, n_tasks: int, width: int, names: str = "a") -> None:
        super().__init__()
"""


@pytest.mark.parametrize(
    ("architecture", "pairs", "expected"),
    [
        ("cnn", [], {}),
        ("cnn", ["order=relu-bn", "dropout=0.5"], {"order": "relu-bn", "dropout": 0.5}),
        ("cnn", ["dropout=0"], {"dropout": 0.0}),
        ("chromtransfer", ["variant=paper", "dense=8, 4"], {"variant": "paper", "dense": [8, 4]}),
        ("chromtransfer", ["dense_norm=False"], {"dense_norm": False}),
    ],
)  # fmt: skip
def test_values_have_the_type_of_the_signature(
    architecture: str, pairs: list[str], expected: dict[str, object]
) -> None:
    found = read_arguments(architecture, pairs)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(v) for v in expected.values()]
    build_model(architecture, window=100, n_tasks=1, seed=0, **found)


@pytest.mark.parametrize(
    ("architecture", "pair", "message"),
    [
        ("cnn", "dropout", "expected KEY=VALUE, found 'dropout'"),
        ("cnn", "=1", "expected KEY=VALUE, found '=1'"),
        ("cnn", "dropuot=1", "'cnn' has no argument 'dropuot'; nearest: dropout"),
        ("cnn", "window=100", "'cnn' has no argument 'window'"),
        ("cnn", "dropout=much", "dropout=much: expected float, found 'much'"),
        ("chromtransfer", "dense_norm=1", "dense_norm=1: expected true or false, found '1'"),
        ("chromtransfer", "dense=1,x", "dense=1,x: expected int, found 'x'"),
        ("cnm", "a=1", "no architecture 'cnm'; nearest: cnn"),
    ],
)
def test_what_is_wrong_is_refused(architecture: str, pair: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_arguments(architecture, [pair])
    assert message in str(caught.value)


def test_twice_the_same_key() -> None:
    with pytest.raises(InputError, match="order is set twice"):
        read_arguments("cnn", ["order=relu-bn", "order=bn-relu"])


def test_a_network_of_the_users_own(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(OWN)
    assert read_arguments(f"{file}:Own", ["width=3", "names=b=c"]) == {"width": 3, "names": "b=c"}


def test_pretrain_and_finetune_from_scratch(
    trunk_examples: ExampleSet,
    short_strategy: Callable[..., str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_examples(tmp_path / "set", trunk_examples)
    common = [
        "--examples", str(tmp_path / "set"), "--strategy", short_strategy(epochs=1, steps=1),
        "--device", "cpu", "--precision", "float32", "--set", "order=relu-bn",
    ]  # fmt: skip
    for verb, extra in (("pretrain", []), ("finetune", ["--trunk", "scratch"])):
        out = tmp_path / verb
        assert run_app(app, [verb, "--out", str(out), *common, *extra]) == 0
        card = json.loads((out / "bundle" / "card.json").read_text())
        assert card["architecture"] == {"name": "cnn", "arguments": {"order": "relu-bn"}}
    capsys.readouterr()
    trunk = ["finetune", "--trunk", str(tmp_path / "pretrain"), "--out", str(tmp_path / "x")]
    assert run_app(app, [*trunk, *common]) == 2
    assert "--set has no meaning without --trunk scratch" in capsys.readouterr().err


def test_pretrain_starts_filters_as_given_motifs(
    trunk_examples: ExampleSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_examples(tmp_path / "set", trunk_examples)
    motif = np.array([[0.97, 0.01, 0.01, 0.01], [0.01, 0.01, 0.97, 0.01]] * 4)
    rows = "\n".join(" ".join(map(str, row)) for row in motif)
    (tmp_path / "m.meme").write_text(
        "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF one\n"
        f"letter-probability matrix: alength= 4 w= 8 nsites= 20\n{rows}\n"
    )
    (tmp_path / "s.toml").write_text(
        'name = "s"\nsummary = "x"\nstart = "scratch"\n[initialise]\ngiven = 5\n[[phases]]\n'
        'name = "one"\nlearning_rate = 1e-9\nbatch_size = 8\nepochs = 1\nsteps_per_epoch = 1\n'
    )
    words = [
        "pretrain", "--examples", str(tmp_path / "set"), "--out", str(tmp_path / "run"),
        "--strategy", str(tmp_path / "s.toml"), "--device", "cpu", "--precision", "float32",
    ]  # fmt: skip
    assert run_app(app, words) == 2
    assert "--motifs FILE" in capsys.readouterr().err
    assert run_app(app, [*words, "--motifs", str(tmp_path / "m.meme")]) == 0
    card = json.loads((tmp_path / "run" / "bundle" / "card.json").read_text())
    assert [each["name"] for each in card["filters"]] == ["one"]
