"""A network of the user's own: registered from a file, checked, recorded, never run unasked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.models.bundle import check_bundle, open_bundle, save_bundle
from cistransfer.models.card import Architecture
from cistransfer.models.model import Model
from cistransfer.models.registry import (
    ARCHITECTURES,
    USER_FILES,
    build_model,
    describe_architecture,
    list_architectures,
    register_architecture,
)
from cistransfer.models.score import score_codes
from cistransfer.storage import fingerprint

GOOD = """
import torch
from torch import nn


class MyNet(nn.Module):
    def __init__(self, window=200, n_tasks=1, width=8):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv1d(4, width, 5), nn.BatchNorm1d(width), nn.ReLU())
        self.head = nn.Linear(width, n_tasks)

    def features(self, x):
        return self.conv1(x).amax(dim=2)

    def forward(self, x):
        return self.head(self.features(x))


class Helper:
    pass
"""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    before = dict(USER_FILES)
    yield
    USER_FILES.clear()
    USER_FILES.update(before)


def write(folder: Path, text: str = GOOD) -> str:
    path = folder / "mynet.py"
    path.write_text(text)
    return f"{path}:MyNet"


def saved(folder: Path, design: Architecture, model: Model) -> Path:
    return save_bundle(
        folder,
        model,
        architecture=design,
        tasks=["CTCF"],
        window=50,
        regions=pd.DataFrame({"chrom": ["chr1"], "start": [0], "end": [50], "part": ["train"]}),
        example=np.random.default_rng(0).integers(0, 4, (3, 50)).astype(np.uint8),
        facts={},
    )


# ---- registration ----


def test_registered_under_its_name_without_folders(tmp_path: Path) -> None:
    assert register_architecture(write(tmp_path)) == "mynet.py:MyNet"
    model = build_model("mynet.py:MyNet", window=50, n_tasks=3, seed=0, width=6)
    assert model.head.weight.shape == (3, 6)
    assert "mynet.py:MyNet" not in ARCHITECTURES


def test_seed_decides_the_weights_and_the_mode_is_training(tmp_path: Path) -> None:
    name = register_architecture(write(tmp_path))
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, two, other = (build_model(name, window=50, n_tasks=1, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.head.weight, two.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)
    assert all(module.training for module in one.modules())
    assert one.conv1[1].num_batches_tracked == 0  # the check leaves statistics alone
    assert score_codes(one, np.zeros((2, 50), np.uint8)).shape == (2, 1)


def test_registering_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    register_architecture(write(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mynet.py"]


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    spec = write(tmp_path)
    first = describe_architecture(spec, {})
    write(tmp_path, GOOD.replace("width=8", "width=9"))
    second = describe_architecture(spec, {})
    assert first.sha256 != second.sha256
    assert build_model(second.name, window=50, n_tasks=1, seed=0).head.in_features == 9


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("missing.py:MyNet", "missing.py: cannot read: No such file"),
        ("mynet.py:MyNt", "no class 'MyNt'; nearest: MyNet"),
        ("mynet.py:nn", "no class 'nn'"),
        ("mynet.py:Helper", "Helper must be a torch.nn.Module"),
        ("mynet.py", "expected an architecture as FILE.py:CLASS"),
        ("mynet:MyNet", "expected an architecture as FILE.py:CLASS"),
    ],
)
def test_wrong_specs_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, message: str
) -> None:
    write(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        register_architecture(spec)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class MyNet(:\n", r"mynet.py, line 1: SyntaxError"),
        ("import torch\n\nimport no_such_package\n", r"line 3: ModuleNotFoundError"),
        ("\nx = 1 / 0\n", r"line 2: ZeroDivisionError"),
        (GOOD.replace("n_tasks=1", "tasks=1").replace("n_tasks)", "tasks)"), "no 'n_tasks'"),
    ],
)
def test_files_that_cannot_be_run_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        register_architecture(write(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def features", "def feature", "needs 'features"),
        ("nn.Linear(width, n_tasks)", "nn.Conv1d(width, n_tasks, 1)", "needs 'features"),
        ("nn.Linear(width, n_tasks)", "nn.Linear(width, 2)", "head has 2 outputs, expected 3"),
        (".amax(dim=2)", "", r"fails: RuntimeError"),
        (
            "self.head(self.features(x))",
            "self.head(self.features(x))[:, :1]",
            r"the output .* must have shape \(2, 3\), found \(2, 1\)",
        ),
        ("return self.conv1(x)", "return self.conv1(x).mean()", "fails"),
        (
            "return self.head(self.features(x))",
            "return self.head(self.features(x)).sigmoid()",
            "must be head",
        ),
        ("return self.head", "return (1, self.head", "fails|found tuple"),
        ("nn.Conv1d(4, width, 5)", "nn.Conv1d(4, width, 77)", "fails: RuntimeError"),
        ("super().__init__()", "super().__init__(); 1 / 0", "cannot be built for 50 bp: Zero"),
    ],
)
def test_networks_that_break_the_contract_are_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = GOOD.replace(old, new)
    assert text != GOOD
    if new.startswith("return (1"):
        text = text.replace("(1, self.head(self.features(x))", "(1, self.head(self.features(x)))")
    name = register_architecture(write(tmp_path, text))
    with pytest.raises(InputError, match=message) as caught:
        build_model(name, window=50, n_tasks=3, seed=0)
    assert "\n" not in str(caught.value)


def test_an_unknown_argument_is_refused(tmp_path: Path) -> None:
    name = register_architecture(write(tmp_path))
    with pytest.raises(InputError, match="no argument 'widht'; nearest: width"):
        build_model(name, window=50, n_tasks=1, seed=0, widht=3)


# ---- bundles ----


def test_the_card_records_file_and_hash(tmp_path: Path) -> None:
    spec = write(tmp_path)
    design = describe_architecture(spec, {"width": 5})
    assert "sha256:" + str(design.sha256) == fingerprint(tmp_path / "mynet.py")
    assert design.to_json() == {
        "name": "mynet.py:MyNet",
        "arguments": {"width": 5},
        "sha256": design.sha256,
    }
    assert describe_architecture("cnn", {}).to_json() == {"name": "cnn", "arguments": {}}


def test_a_bundle_opens_with_its_file_wherever_that_lies(tmp_path: Path) -> None:
    design = describe_architecture(write(tmp_path), {"width": 5})
    model = build_model(design.name, window=50, n_tasks=1, seed=0, width=5)
    bundle = saved(tmp_path / "bundle", design, model)
    assert check_bundle(bundle)["largest_difference"] < 1e-6
    USER_FILES.clear()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "mynet.py").rename(elsewhere / "mynet.py")
    opened = open_bundle(bundle, architecture=f"{elsewhere / 'mynet.py'}:MyNet")
    assert torch.equal(opened.model.head.weight, model.head.weight)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_bundle_never_runs_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrapped: bool
) -> None:
    """Its file lies in the folder one works in, and beside the card: neither is run."""
    design = describe_architecture(write(tmp_path), {})
    inner = build_model(design.name, window=50, n_tasks=1, seed=0)
    bundle = saved(tmp_path / "bundle", design, inner)
    if wrapped:
        card = json.loads((bundle / "card.json").read_text())
        base = {"base": card["architecture"], "widths": [6]}
        card |= {"version": 1, "architecture": {"name": "with-motifs", "arguments": base}}
        (bundle / "card.json").write_text(json.dumps(card))
    USER_FILES.clear()
    trap = "raise SystemExit('run!')\n"
    (tmp_path / "mynet.py").write_text(trap)
    (bundle / "mynet.py").write_text(trap)
    for place in (tmp_path, bundle):
        monkeypatch.chdir(place)
        with pytest.raises(InputError, match=r"class 'MyNet' of your file mynet\.py.*not part of"):
            open_bundle(bundle)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    spec = write(tmp_path)
    design = describe_architecture(spec, {})
    bundle = saved(
        tmp_path / "bundle", design, build_model(design.name, window=50, n_tasks=1, seed=0)
    )
    write(tmp_path, GOOD + "\n# a comment\n")
    with pytest.raises(InputError, match=r"another version of mynet\.py than"):
        open_bundle(bundle, architecture=spec)


# ---- the list ----


def test_listed_beside_the_others(tmp_path: Path) -> None:
    sizes = list_architectures(window=50, n_tasks=1, files=[write(tmp_path)])
    assert sizes["mynet.py:MyNet"] == 4 * 8 * 5 + 8 + 2 * 8 + 8 + 1


def test_cli_lists_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run_app(app, ["models", "--json", "--window", "50", "--architecture", write(tmp_path)]) == 0
    )
    listed = json.loads(capsys.readouterr().out)["architectures"]
    assert listed["mynet.py:MyNet"] == 193
    assert listed["cnn"] is None
    assert run_app(app, ["models", "--architecture", f"{tmp_path / 'mynet.py'}:Nope"]) == 2
    assert "no class 'Nope'" in capsys.readouterr().err


def test_cli_opens_a_bundle_with_its_file_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write(tmp_path)
    design = describe_architecture(spec, {})
    model = build_model(design.name, window=50, n_tasks=1, seed=0)
    bundle = str(saved(tmp_path / "bundle", design, model))
    USER_FILES.clear()
    assert run_app(app, ["check", bundle]) == 2
    assert "name the file: --architecture path/to/mynet.py:MyNet" in capsys.readouterr().err
    assert run_app(app, ["check", bundle, "--architecture", spec]) == 0
    assert "works: 3 example sequences" in capsys.readouterr().out
