"""Bundles: bit-equal round trip, and every kind of damage refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from cistransfer.errors import InputError
from cistransfer.genome.bed import regions_table
from cistransfer.models.bundle import (
    check_bundle,
    find_bundle,
    open_bundle,
    save_bundle,
    weights_hash,
)
from cistransfer.models.registry import build_model
from cistransfer.models.score import score_codes

CODES = np.random.default_rng(0).integers(0, 4, (4, 100), dtype=np.uint8)
REGIONS = regions_table(["chr1", "chr2"], [0, 5], [100, 105], part=["train", "valid"], extra=[1, 2])


def _model() -> torch.nn.Module:
    model = build_model("cnn", window=100, n_tasks=2, seed=1, order="relu-bn")
    model.conv1.norm.running_mean.uniform_(generator=torch.Generator().manual_seed(0))
    model.conv1.norm.num_batches_tracked += 7
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bundle(
        tmp_path_factory.mktemp("bundle") / "b",
        _model().train(),
        architecture={"name": "cnn", "arguments": {"order": "relu-bn"}},
        tasks=["A", "B"],
        window=100,
        regions=REGIONS,
        example=CODES,
        facts={"threshold": [0.5, None], "temperature": [2.0, None], "strategy": {"name": "x"}},
    )


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def test_round_trip_is_bit_equal(saved: Path) -> None:
    bundle = open_bundle(saved)
    model = _model()
    expected, found = model.state_dict(), bundle.model.state_dict()
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor)
        assert found[name].dtype == tensor.dtype
    assert weights_hash(bundle.model) == weights_hash(model) == bundle.card["weights"]
    assert (score_codes(bundle.model, CODES) == score_codes(model, CODES)).all()
    assert not any(module.training for module in bundle.model.modules())
    assert bundle.tasks == ("A", "B")
    assert bundle.window == 100
    pd.testing.assert_frame_equal(bundle.regions(), REGIONS.drop(columns="extra"))


def test_saving_leaves_the_model(tmp_path: Path) -> None:
    model = _model().train()
    before = weights_hash(model)
    save_bundle(
        tmp_path / "b",
        model,
        architecture={"name": "cnn", "arguments": {}},
        tasks=["A", "B"],
        window=100,
        regions=REGIONS,
        example=CODES[:0],
        facts={},
    )
    assert weights_hash(model) == before
    assert all(module.training for module in model.modules())


def test_thresholds_and_probabilities(saved: Path) -> None:
    bundle = open_bundle(saved)
    assert bundle.thresholds.tolist() == [0.5, 0.0]
    assert bundle.temperatures.tolist() == [2.0, 1.0]
    logits = np.array([[0.0, 0.0], [2.0, -1.0], [1e30, -1e30]], dtype=np.float32)
    found = bundle.probabilities(logits)
    expected = [[0.5, 0.5], [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))], [1.0, 0.0]]
    assert np.allclose(found, expected, atol=1e-12)


def test_there_is_no_pickle(saved: Path) -> None:
    files = {path.name for path in saved.iterdir()}
    assert files == {"weights.safetensors", "card.json", "regions.parquet", "example.json"}
    weights = (saved / "weights.safetensors").read_bytes()
    size = int.from_bytes(weights[:8], "little")
    assert set(json.loads(weights[8 : 8 + size])) == set(_model().state_dict())
    for path in saved.iterdir():
        assert path.read_bytes()[:2] not in (b"PK", b"\x80\x02", b"\x80\x04")


def test_no_module_reads_or_writes_a_pickle() -> None:
    """Only the importer of the published matrices (pickles by their authors) may name one."""
    source = Path(__file__).resolve().parents[2] / "src" / "cistransfer"
    rooms = ("models", "training", "examples", "prediction", "evaluation", "genome")
    for path in [
        source / "storage.py",
        *(p for room in rooms for p in (source / room).glob("*.py")),
    ]:
        text = path.read_text()
        for word in ("import pickle", "torch.load(", "torch.save(", "joblib", "allow_pickle=True"):
            assert word not in text, f"{path.name}: {word}"


def test_equal_weights_have_equal_hashes() -> None:
    assert weights_hash(_model()) == weights_hash(_model())
    changed = _model()
    changed.conv1.norm.num_batches_tracked += 1  # buffers count too
    assert weights_hash(changed) != weights_hash(_model())
    with torch.no_grad():
        other = _model()
        other.head.bias[1] = torch.nextafter(other.head.bias[1], torch.tensor(9.0))
    assert weights_hash(other) != weights_hash(_model())


def test_check_of_a_copy(copy: Path) -> None:
    result = check_bundle(copy)
    assert result == {"bundle": str(copy), "sequences": 4, "largest_difference": 0.0}
    run = copy.parent / "run"
    run.mkdir()
    shutil.move(copy, run / "bundle")
    assert check_bundle(run)["sequences"] == 4


def _card(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        card = json.loads((folder / "card.json").read_text())
        new = {key: value for key, value in {**card, **changes}.items() if value is not None}
        (folder / "card.json").write_text(json.dumps(new))

    return change


def _weights(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def altered(folder: Path) -> None:
        state = load_file(folder / "weights.safetensors")
        change(state)
        save_file(state, folder / "weights.safetensors")

    return altered


def _cut(name: str, keep: float) -> Callable[[Path], None]:
    def cut(folder: Path) -> None:
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw[: int(len(raw) * keep)])

    return cut


def _flip_bit(folder: Path) -> None:
    raw = bytearray((folder / "weights.safetensors").read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / "weights.safetensors").write_bytes(bytes(raw))


ARCHITECTURE = {"name": "cnn", "arguments": {"order": "relu-bn"}}
DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "another architecture": (_card(architecture={"name": "danq2", "arguments": {}}), "no architec"),
    "another argument": (
        _card(architecture={"name": "cnn", "arguments": {"depth": 3}}),
        "no argument 'depth'",
    ),
    "another window": (_card(window=200), "not the weights of architecture 'cnn' with window 200"),
    "another number of tasks": (
        _card(tasks=["A"], threshold=None, temperature=None),
        r"head.bias should be \(1,\), found \(2,\)",
    ),
    "a short threshold": (
        _card(threshold=[0.1]),
        "threshold: expected one for each of the 2 tasks",
    ),
    "a task twice": (_card(tasks=["A", "A"]), "tasks: expected a list of different names"),
    "a text for a window": (_card(window="100"), "window: expected a length in bp, found '100'"),
    "another alphabet": (_card(alphabet="ATGC"), "alphabet: expected ACGT, found 'ATGC'"),
    "arguments as a list": (_card(architecture={"name": "cnn", "arguments": []}), "a table of arg"),
    "no architecture": (_card(architecture=None), "lacks the entry 'architecture'"),
    "another hash": (_card(weights="sha256:0"), "not the weights that card.json describes"),
    "no hash": (_card(weights=None), "not the weights that card.json describes"),
    "a newer format": (_card(version=2), "bundle format 2; this cistransfer reads 1"),
    "another kind": (_card(format="x"), "expected the card of a cistransfer-bundle"),
    "half a card": (_cut("card.json", 0.5), "not valid JSON"),
    "half the weights": (_cut("weights.safetensors", 0.5), "damaged or no safetensors file"),
    "a few bytes of weights": (_cut("weights.safetensors", 1e-6), "damaged or no safetensors file"),
    "a flipped bit": (_flip_bit, "not the weights that card.json describes"),
    "no weights": (lambda f: (f / "weights.safetensors").unlink(), "no such file"),
    "a changed weight": (
        _weights(lambda s: s["head.bias"].add_(1e-6)),
        "not the weights that card.json describes",
    ),
    "a changed statistic": (
        _weights(lambda s: s["conv1.norm.running_mean"].add_(1e-3)),
        "not the weights that card.json describes",
    ),
    "a missing tensor": (_weights(lambda s: s.pop("head.bias")), "head.bias .* found absent"),
    "an extra tensor": (
        _weights(lambda s: s.update(extra=torch.zeros(2))),
        "extra should be absent",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_refused(copy: Path, case: str) -> None:
    damage, message = DAMAGE[case]
    damage(copy)
    for verb in (open_bundle, check_bundle):
        with pytest.raises(InputError, match=message) as caught:
            verb(copy)
        assert "\n" not in str(caught.value)
        assert str(copy) in str(caught.value) or "architecture" in str(caught.value)


def _example(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def altered(folder: Path) -> None:
        example = json.loads((folder / "example.json").read_text())
        change(example)
        (folder / "example.json").write_text(json.dumps(example))

    return altered


EXAMPLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "other scores": (
        _example(lambda e: e["logits"][0].__setitem__(0, e["logits"][0][0] + 0.01)),  # type: ignore[index]
        "differ from the recorded ones by 0.01; this copy does not work",
    ),
    "a missing score": (
        _example(lambda e: e["logits"][0].__setitem__(0, None)),  # type: ignore[index]
        "differ from the recorded ones by nan",
    ),
    "fewer scores": (_example(lambda e: e["logits"].pop()), "expected scores of shape"),  # type: ignore[attr-defined]
    "no scores": (_example(lambda e: e.pop("logits")), "expected sequences, logits and strands"),
    "short sequences": (
        _example(lambda e: e.update(sequences=["ACGT"] * 4)),
        "expected sequences of 100 bp, found 4",
    ),
    "no file": (lambda f: (f / "example.json").unlink(), "no such file"),
}


@pytest.mark.parametrize("case", EXAMPLES)
def test_an_example_that_does_not_fit(copy: Path, case: str) -> None:
    damage, message = EXAMPLES[case]
    damage(copy)
    with pytest.raises(InputError, match=message):
        check_bundle(copy)


def test_weights_altered_with_their_hash_fail_the_check(copy: Path) -> None:
    """Whoever changes weights and card alike is caught by the example's scores."""
    state = load_file(copy / "weights.safetensors")
    state["head.weight"] = state["head.weight"] * 1.5
    save_file(state, copy / "weights.safetensors")
    model = _model()
    model.load_state_dict(state)
    _card(weights=weights_hash(model))(copy)
    open_bundle(copy)
    with pytest.raises(InputError, match="this copy does not work"):
        check_bundle(copy)


def test_missing_regions(copy: Path) -> None:
    (copy / "regions.parquet").unlink()
    with pytest.raises(InputError, match=r"regions\.parquet: missing or damaged"):
        open_bundle(copy).regions()


def test_where_a_bundle_is_looked_for(saved: Path, tmp_path: Path) -> None:
    assert find_bundle(saved) == saved
    with pytest.raises(
        InputError, match=r"expected a bundle \(a folder with card.json\), found non"
    ):
        find_bundle(tmp_path)
    (tmp_path / "checkpoint.safetensors").touch()
    with pytest.raises(InputError, match="this run is not finished; run its command again"):
        find_bundle(tmp_path)
    with pytest.raises(InputError, match="expected a bundle"):
        open_bundle(tmp_path / "none")
