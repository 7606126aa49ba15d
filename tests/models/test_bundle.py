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
from cistransfer.genome.codes import decode
from cistransfer.models.bundle import (
    check_bundle,
    find_bundle,
    open_bundle,
    save_bundle,
    weights_hash,
)
from cistransfer.models.card import Architecture
from cistransfer.models.model import Model
from cistransfer.models.registry import build_model
from cistransfer.models.score import score_codes
from cistransfer.storage import fingerprint

CODES = np.random.default_rng(0).integers(0, 4, (4, 100), dtype=np.uint8)
REGIONS = regions_table(["chr1", "chr2"], [0, 5], [100, 105], part=["train", "valid"], extra=[1, 2])


def _model() -> Model:
    model = build_model("cnn", window=100, n_tasks=2, seed=1, order="relu-bn")
    model.conv1.norm.running_mean.uniform_(generator=torch.Generator().manual_seed(0))
    model.conv1.norm.num_batches_tracked += 7
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bundle(
        tmp_path_factory.mktemp("bundle") / "b",
        _model().train(),
        architecture=Architecture(name="cnn", arguments={"order": "relu-bn"}),
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
    assert weights_hash(bundle.model) == weights_hash(model) == bundle.card.weights
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
        architecture=Architecture(name="cnn"),
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
    rooms = ("storage", "models", "training", "examples", "prediction", "evaluation", "genome")
    for path in [p for room in rooms for p in (source / room).rglob("*.py")]:
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


def _emptied(folder: Path) -> None:
    """The leakage guard would know of nothing."""
    REGIONS[["chrom", "start", "end", "part"]][:0].to_parquet(folder / "regions.parquet")


def _folder_of_weights(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    (folder / "weights.safetensors").mkdir()


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
    "a task twice": (_card(tasks=["A", "A"]), "tasks: expected different names"),
    "a text for a window": (
        _card(window="100"),
        "window: input .* integer, found '100'",
    ),
    "another alphabet": (_card(alphabet="ATGC"), "alphabet: input should be 'ACGT', found 'ATGC'"),
    "arguments as a list": (
        _card(architecture={"name": "cnn", "arguments": []}),
        "arguments: .*",
    ),
    "no architecture": (_card(architecture=None), "lacks the entry 'architecture'"),
    "another hash": (_card(weights="sha256:0"), "not the weights that card.json describes"),
    "no hash": (_card(weights=None), "not the weights that card.json describes"),
    "a newer format": (_card(version=3), "bundle format 3; this cistransfer reads 1 to 2"),
    "another kind": (_card(format="x"), "expected the card of a cistransfer-bundle"),
    "another kind of JSON": (
        lambda f: (f / "card.json").write_text("[1]"),
        "expected the card of a cistransfer-bundle",
    ),
    "a card nested without end": (
        lambda f: (f / "card.json").write_text("[" * 200_000),
        "card.json: not valid JSON",
    ),
    "an enormous window": (_card(window=9_999_999), r"dense1.linear.weight should be \(1000, 7"),
    "a window out of range": (_card(window=10**12), "window: input should be less than 1000"),
    "an enormous motif": (
        _card(motifs={"known": [{"width": 10**9}]}),
        "motifs.known.0.width: input should be less than or equal to 10000",
    ),
    "motifs that are not there": (
        _card(motifs={"known": [{"width": 9_999}]}),
        "head.weight should be",
    ),
    "bags without motifs": (
        _card(motifs={"known": [{"width": 9}], "bags": 10, "folds": 10}),
        "10 bags of 10 folds",
    ),
    "another link": (_card(link="softmax"), "link: input should be 'independent' or 'exclusive'"),
    "a dropout of 7": (
        _card(architecture={"name": "cnn", "arguments": {"dropout": 7.0}}),
        "cnn: cannot be built",
    ),
    "units without end": (
        _card(architecture={"name": "chromtransfer", "arguments": {"dense": [10**12]}}),
        "not the weights of architecture 'chromtransfer'",
    ),
    "a list without end": (
        _card(architecture={"name": "chromtransfer", "arguments": {"dense": [1] * 20_000}}),
        "more than 10,000 entries",
    ),
    "two seeds": (
        _card(architecture={"name": "cnn", "arguments": {"seed": 1}}),
        "no argument 'seed' of its",
    ),
    "a temperature of 0": (_card(temperature=[0.0, None]), "temperature.0: input should be great"),
    "a threshold that is none": (_card(threshold=[float("nan"), 0.0]), "threshold.0: input should"),
    "metrics of one task": (_card(validation={"aucpr": [0.5]}), "validation.aucpr: expected one"),
    "emptied regions": (_emptied, "regions.parquet: not the file that card.json describes"),
    "no regions": (lambda f: (f / "regions.parquet").unlink(), "regions.parquet: no such file"),
    "regions without a hash": (_card(files={}), "regions.parquet: not the file"),
    "another example": (
        lambda f: (f / "example.json").write_text("{}"),
        "example.json: not the file that card",
    ),
    "a folder of weights": (_folder_of_weights, "weights.safetensors: no such file"),
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
        _vouch(folder)

    return altered


def _vouch(folder: Path) -> None:
    """Put the hashes of files as they are on the card."""
    _card(files={n: fingerprint(folder / n) for n in ("regions.parquet", "example.json")})(folder)


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
    "a list": (_example(lambda e: e.clear()), "expected sequences, logits and strands"),
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
    with pytest.raises(InputError, match=r"regions\.parquet: no such file"):
        open_bundle(copy)
    (copy / "regions.parquet").write_text("no table")
    _vouch(copy)
    with pytest.raises(InputError, match=r"regions\.parquet: damaged, or no"):
        open_bundle(copy).regions()
    REGIONS.drop(columns=["part", "extra"]).to_parquet(copy / "regions.parquet")
    _vouch(copy)
    for look in (check_bundle, lambda path: open_bundle(path).regions()):
        with pytest.raises(InputError, match=r"regions\.parquet: lacks the column 'part'"):
            look(copy)


def test_fingerprints_are_kept_where_they_are_known(saved: Path, tmp_path: Path) -> None:
    assert open_bundle(saved).seen() == {}
    hashes = np.array([7, 2**36 - 1], dtype=np.uint64)
    save_bundle(
        tmp_path / "b", _model(), architecture=Architecture(**ARCHITECTURE), tasks=["A", "B"],
        window=100, regions=REGIONS, example=CODES[:1], facts={"assembly": "hg38"},
        seen={"valid": hashes[:1], "train": hashes},
    )  # fmt: skip
    bundle = open_bundle(tmp_path / "b")
    assert {part: values.tolist() for part, values in bundle.seen().items()} == {
        "train": hashes.tolist(),
        "valid": [7],
    }
    assert bundle.seen()["train"].dtype == np.uint64
    assert bundle.card.assembly == "hg38"
    assert open_bundle(saved).card.assembly is None


def test_the_regions_of_one_bundle_are_not_those_of_another(copy: Path, tmp_path: Path) -> None:
    other = save_bundle(
        tmp_path / "b", _model(), architecture=Architecture(**ARCHITECTURE), tasks=["A", "B"],
        window=100, regions=REGIONS[:1], example=CODES[:1], facts={},
    )  # fmt: skip
    shutil.copyfile(other / "regions.parquet", copy / "regions.parquet")
    with pytest.raises(InputError, match=r"regions\.parquet: not the file"):
        open_bundle(copy)


def test_a_bundle_scores_text_and_codes(saved: Path) -> None:
    bundle = open_bundle(saved)
    logits = score_codes(bundle.model, CODES)
    texts = [decode(row) for row in CODES]
    assert (bundle.score(texts) == logits).all()
    assert (bundle.score(CODES, batch_size=512) == logits).all()
    assert (bundle.score(np.array(texts)) == logits).all()
    assert (bundle.predict(texts) == bundle.probabilities(logits)).all()
    forward = score_codes(bundle.model, CODES, strands="forward")
    assert (bundle.score(texts, strands="forward") == forward).all()
    assert bundle.score([]).shape == bundle.score(CODES[:0]).shape == (0, 2)
    assert repr(bundle) == f"<Bundle {saved}: cnn, 100 bp, 2 tasks (A, B)>"
    for wrong, message in (
        ("ACGT", "expected a list of sequences, found one text"),
        (["ACGT", texts[0]], "the model reads 100 bp, found sequences of 4 bp"),
        (CODES[:, :50], "the model reads 100 bp, found sequences of 50 bp"),
        (CODES[0], "expected codes, uint8"),
        (CODES.astype(float), "expected codes, uint8"),
        (CODES + np.uint8(9), "expected codes, uint8"),
    ):
        with pytest.raises(InputError, match=message):
            bundle.score(wrong)


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


def test_a_long_name_on_a_card_is_not_quoted_whole(saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(saved, folder)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["architecture"]["Q" * 500] = 1
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(InputError) as refused:
        open_bundle(folder)
    assert "Q" * 20 in str(refused.value)
    assert "Q" * 81 not in str(refused.value)
