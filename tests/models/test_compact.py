"""Compact copies of bundles, and trunks that come with the package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.models import bundle as room
from cistransfer.models.bundle import (
    Bundle,
    check_bundle,
    find_bundle,
    open_bundle,
    save_bundle,
    weights_hash,
)
from cistransfer.models.compact import compact_bundle
from cistransfer.models.score import score_codes
from cistransfer.storage import fingerprint


@pytest.fixture(scope="module")
def copy(trunk: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("compact") / "copy"
    compact_bundle(trunk.path.parent, folder)
    return open_bundle(folder)


def test_a_copy_opens_and_scores_alike(
    copy: Bundle, trunk: Bundle, trunk_examples: ExampleSet
) -> None:
    assert check_bundle(copy.path)["sequences"] == 8
    codes = trunk_examples.codes[:200]
    original, rounded = score_codes(trunk.model, codes), score_codes(copy.model, codes)
    assert 0 < np.abs(original - rounded).max() < 5e-3
    for name, tensor in trunk.model.state_dict().items():
        expected = tensor.half().to(tensor.dtype) if tensor.is_floating_point() else tensor
        assert torch.equal(copy.model.state_dict()[name], expected), name
        assert copy.model.state_dict()[name].dtype == tensor.dtype


def test_a_copy_names_what_it_is_and_was(copy: Bundle, trunk: Bundle) -> None:
    assert copy.card.weights == weights_hash(copy.model) != trunk.card.weights
    assert copy.card.rounded_from == trunk.card.weights
    assert copy.card.storage == "float16"
    own, original = copy.card.to_json(), trunk.card.to_json()
    assert own.keys() - original.keys() == {"storage", "rounded_from"}
    for entry in original.keys() - {"weights", "files", "storage", "rounded_from"}:
        assert own[entry] == original[entry], entry
    name = "regions.parquet"
    assert own["files"][name] == original["files"][name]
    assert copy.regions().equals(trunk.regions())  # the leakage guard still knows


def test_a_copy_is_half_as_large(copy: Bundle, trunk: Bundle, tmp_path: Path) -> None:
    result = compact_bundle(trunk.path, tmp_path / "c")
    assert result["bundle"] == str(tmp_path / "c")
    assert result["bytes"] == sum(file.stat().st_size for file in (tmp_path / "c").iterdir())
    assert 0 < result["largest_difference"] < 5e-3
    sizes = [(each.path / "weights.safetensors").stat().st_size for each in (copy, trunk)]
    assert 0.49 < sizes[0] / sizes[1] < 0.52
    stored = load_file(copy.path / "weights.safetensors")
    assert {tensor.dtype for tensor in stored.values()} <= {torch.float16, torch.int64}
    for file in ("weights.safetensors", "card.json", "example.json", "regions.parquet"):
        assert (tmp_path / "c" / file).read_bytes() == (copy.path / file).read_bytes(), file


def test_a_copy_of_a_copy_changes_nothing_more(copy: Bundle, tmp_path: Path) -> None:
    result = compact_bundle(copy.path, tmp_path / "c")
    assert result["largest_difference"] == pytest.approx(0, abs=1e-6)
    assert open_bundle(tmp_path / "c").card.weights == copy.card.weights


def test_the_original_is_not_replaced(trunk: Bundle, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trunk.path.parent, run)
    before = sorted(path.name for path in run.rglob("*"))
    for out in (run, run / "bundle", tmp_path, run / ".." / "run"):
        with pytest.raises(InputError, match="would replace the original"):
            compact_bundle(run, out)
    assert sorted(path.name for path in run.rglob("*")) == before
    compact_bundle(run, run / "small")  # beside it is fine
    assert open_bundle(run).card.weights == trunk.card.weights


def _again(trunk: Bundle, folder: Path, rows: int = 0) -> Path:
    return save_bundle(
        folder, trunk.model, architecture=trunk.card.architecture, tasks=list(trunk.tasks),
        window=100, regions=trunk.regions(), example=np.zeros((rows, 100), np.uint8), facts={},
    )  # fmt: skip


def test_a_folder_of_other_things_is_not_replaced(trunk: Bundle, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("mine")
    with pytest.raises(InputError, match=r"an earlier bundle .*found chapter\.tex"):
        compact_bundle(trunk.path.parent, tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "mine"


def test_a_bundle_without_an_example(trunk: Bundle, tmp_path: Path) -> None:
    result = compact_bundle(_again(trunk, tmp_path / "bare"), tmp_path / "copy")
    assert result["largest_difference"] == 0.0
    assert check_bundle(tmp_path / "copy")["sequences"] == 0


def test_what_half_precision_cannot_hold_is_refused(trunk: Bundle, tmp_path: Path) -> None:
    large = open_bundle(trunk.path)
    with torch.no_grad():
        large.model.head.bias[0] = 1e6
    with pytest.raises(InputError, match=r"head\.bias is too large for half precision"):
        compact_bundle(_again(large, tmp_path / "large"), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_bundle_that_does_not_work_is_not_copied(trunk: Bundle, tmp_path: Path) -> None:
    """Else the copy would vouch for scores that its original does not have."""
    shutil.copytree(trunk.path, tmp_path / "b")
    example = json.loads((tmp_path / "b" / "example.json").read_text())
    example["logits"][0][0] += 1
    (tmp_path / "b" / "example.json").write_text(json.dumps(example))
    card = json.loads((tmp_path / "b" / "card.json").read_text())
    card["files"]["example.json"] = fingerprint(tmp_path / "b" / "example.json")
    (tmp_path / "b" / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="this copy does not work"):
        compact_bundle(tmp_path / "b", tmp_path / "copy")


@pytest.fixture
def trunks(trunk: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two shipped trunks, and a folder that is none."""
    folder = tmp_path / "package"
    for name in ("small", "large"):
        shutil.copytree(trunk.path, folder / name)
    (folder / "empty").mkdir()
    monkeypatch.setattr(room, "_trunks", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


def test_shipped_trunks_open_by_name(trunks: Path, trunk: Bundle) -> None:
    assert room.shipped_trunks() == ("large", "small")
    assert find_bundle("small") == trunks / "small"
    for name in ("empty", "none", "../package/small"):
        with pytest.raises(InputError, match="expected a bundle"):
            find_bundle(name)
    assert open_bundle("small").card.weights == trunk.card.weights
    assert open_bundle("small").path == trunks / "small"


def test_a_folder_of_that_name_wins(trunks: Path, trunk: Bundle, tmp_path: Path) -> None:
    shutil.copytree(trunk.path, tmp_path / "small")
    assert find_bundle("small") == Path("small")
    assert find_bundle(tmp_path / "small") == tmp_path / "small"
    (tmp_path / "large").mkdir()  # even one that is no bundle: nothing is guessed
    with pytest.raises(InputError, match="large: expected a bundle"):
        find_bundle("large")


def test_unknown_names_say_what_exists(trunks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError) as caught:
        open_bundle("smal")
    assert str(caught.value) == (
        "smal: expected a bundle (a folder with card.json), found none; "
        "shipped trunks: large, small"
    )
    monkeypatch.setattr(room, "_trunks", lambda: trunks / "gone")
    assert room.shipped_trunks() == ()
    with pytest.raises(InputError, match=r"found none$"):
        open_bundle("smal")


def test_what_is_shipped_works() -> None:
    for name in room.shipped_trunks():
        assert check_bundle(name)["sequences"] > 0


def test_outputs_of_single_cells_can_be_left_out(trunk: Bundle, tmp_path: Path) -> None:
    whole = _renamed(trunk, ("SPI1@K562", *trunk.tasks[1:-1], "open@K562"), tmp_path / "whole")
    compact_bundle(whole, tmp_path / "all")
    compact_bundle(whole, tmp_path / "some", only_tfs=True)
    every, some = open_bundle(tmp_path / "all"), open_bundle(tmp_path / "some")
    assert some.tasks == trunk.tasks[1:-1]
    assert some.card.threshold == every.card.threshold[1:-1]
    assert some.card.temperature == every.card.temperature[1:-1]
    for name, values in every.card.validation.items():
        assert some.card.validation[name] == values[1:-1]
    codes = np.random.default_rng(0).integers(0, 4, (20, trunk.window), dtype=np.uint8)
    np.testing.assert_allclose(
        score_codes(some.model, codes), score_codes(every.model, codes)[:, 1:-1], atol=1e-6
    )
    assert some.card.rounded_from == every.card.rounded_from
    assert check_bundle(tmp_path / "some")["sequences"] == 8
    only = _renamed(trunk, tuple(f"{task}@K562" for task in trunk.tasks), tmp_path / "only")
    with pytest.raises(InputError, match="every output is of a single cell"):
        compact_bundle(only, tmp_path / "none", only_tfs=True)


def _renamed(trunk: Bundle, tasks: tuple[str, ...], folder: Path) -> Path:
    """A copy of a bundle whose tasks have other names."""
    shutil.copytree(trunk.path, folder)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "tasks": list(tasks)}))
    return folder
