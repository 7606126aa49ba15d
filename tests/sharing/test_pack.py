"""Packed bundles: the same model on the other side, whole or refused; and its card in words."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cistransfer as ct
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.evaluation.results import Evaluation, ModelScore, TaskScore
from cistransfer.evaluation.verdict import judge
from cistransfer.metrics.curves import aucpr
from cistransfer.models.bundle import Bundle, check_bundle, find_bundle, find_bundles, open_bundle
from cistransfer.models.packed import extract_packed, open_packed, read_manifest
from cistransfer.prediction.track import predict_track
from cistransfer.sharing.model_card import CITATIONS, model_card
from cistransfer.storage import fingerprint, write_json

Make = Callable[..., Bundle]


@pytest.fixture(scope="module")
def packed(toy: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy bundle, packed (read only)."""
    return ct.pack_bundle(toy, tmp_path_factory.mktemp("packed") / "toy.zip", license="CC-BY-4.0")


@pytest.fixture(scope="module")
def several(make: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Bundle]]:
    """Two models in one file."""
    folder = tmp_path_factory.mktemp("several")
    models = [make(folder / name, seed=seed) for seed, name in ((1, "A"), (2, "B"))]
    return ct.pack_bundle(models, folder / "both.zip"), models


def test_it_scores_the_same(toy: Bundle, packed: Path, words: list[str]) -> None:
    again = ct.open_bundle(packed)
    assert again.card == toy.card
    assert np.array_equal(again.score(words), toy.score(words))
    assert again.regions().equals(toy.regions())
    assert np.array_equal(again.seen()["train"], toy.seen()["train"])
    assert check_bundle(packed)["sequences"] == 3


def test_equal_bundles_make_equal_files(toy: Bundle, packed: Path, tmp_path: Path) -> None:
    again = ct.pack_bundle(toy.path, tmp_path / "again.zip", license="CC-BY-4.0")
    assert again.read_bytes() == packed.read_bytes()
    with zipfile.ZipFile(again) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {
            "manifest.json", "README.md", "toy/card.json", "toy/weights.safetensors",
            "toy/regions.parquet", "toy/seen.parquet", "toy/example.json",
        }  # fmt: skip


def test_the_manifest_names_every_file_with_its_hash(packed: Path, tmp_path: Path) -> None:
    manifest = read_manifest(packed)
    assert (manifest.version, manifest.bundles, manifest.license) == (1, ("toy",), "CC-BY-4.0")
    extract_packed(packed, tmp_path / "out")
    for name, member in manifest.files.items():
        file = tmp_path / "out" / name
        assert (fingerprint(file), file.stat().st_size) == (member.sha256, member.bytes)


def test_the_cache_is_used_and_mended(packed: Path, words: list[str]) -> None:
    folder = find_bundle(packed)
    stamp = (folder / "card.json").stat().st_mtime_ns
    assert find_bundle(packed) == folder
    assert (folder / "card.json").stat().st_mtime_ns == stamp
    (folder / "regions.parquet").unlink()
    assert ct.score(packed, words).shape == (8, 1)
    assert (folder / "regions.parquet").exists()


def test_where_nothing_may_be_written(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CISTRANSFER_CACHE", str(tmp_path / "file" / "below"))
    first = open_packed(packed)
    assert open_packed(packed) == first
    assert ct.score(packed, words).shape == (8, 1)


def test_unpack(packed: Path, toy: Bundle, tmp_path: Path) -> None:
    assert ct.unpack_bundle(packed, tmp_path / "toy") == [tmp_path / "toy"]
    names = {file.name for file in (tmp_path / "toy").iterdir()}
    assert names == {file.name for file in toy.path.iterdir()}
    assert open_bundle(tmp_path / "toy").card == toy.card
    assert ct.unpack_bundle(packed, tmp_path / "toy") == [tmp_path / "toy"]  # an earlier output
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"found notes\.txt"):
        ct.unpack_bundle(packed, tmp_path / "mine")
    with pytest.raises(InputError, match="expected a packed file"):
        ct.unpack_bundle(toy.path, tmp_path / "x")


def test_an_ensemble(several: tuple[Path, list[Bundle]], words: list[str], tmp_path: Path) -> None:
    """Mean and standard deviation of the probabilities; verbs for one model refuse it."""
    both, models = several
    table = ct.predict(both, words)
    each = np.stack([model.predict(words)[:, 0] for model in models])
    assert list(table) == ["name", "length", "SPI1", "SPI1 sd", "SPI1 low", "SPI1 high", "note"]
    assert np.allclose(table["SPI1"], each.mean(axis=0), atol=1e-7)
    assert np.allclose(table["SPI1 sd"], np.abs(each[0] - each[1]) / np.sqrt(2), atol=1e-7)
    assert (table["SPI1 low"] <= table["SPI1"]).all()
    assert (table["SPI1 high"] >= table["SPI1"]).all()
    assert list(find_bundles(both)) == ["A", "B"]
    with pytest.raises(InputError, match=r"both\.zip: holds 2 models, and one is needed: A, B"):
        ct.open_bundle(both)
    assert [path.name for path in ct.unpack_bundle(both, tmp_path / "both")] == ["A", "B"]
    table = ct.predict([tmp_path / "both" / "A", tmp_path / "both" / "B"], words)
    assert np.allclose(table["SPI1"], each.mean(axis=0), atol=1e-7)


def test_tracks_take_it(several: tuple[Path, list[Bundle]], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "g.fa").write_text(">chr1\n" + "".join(rng.choice(list("ACGT"), 400)) + "\n")
    both, models = several
    ct.predict_track(both, tmp_path / "g.fa", tmp_path / "a.bedGraph", stride=50)
    genome = ct.open_genome(tmp_path / "g.fa")
    predict_track(models, genome, tmp_path / "b.bedGraph", stride=50)
    assert (tmp_path / "a.bedGraph").read_bytes() == (tmp_path / "b.bedGraph").read_bytes()


def test_models_that_do_not_go_together(make: Make, toy: Bundle, tmp_path: Path) -> None:
    other = make(tmp_path / "other", tasks=("MAX",))
    beside = ct.predict([toy, other], ["A" * 100])
    assert list(beside) == ["name", "length", "SPI1", "MAX", "note"]
    with pytest.raises(InputError, match="two models are called 'toy'; name them"):
        ct.pack_bundle([toy, toy], tmp_path / "two.zip")


def test_what_is_damaged_is_not_packed(make: Make, tmp_path: Path) -> None:
    bundle = make(tmp_path / "one")
    example = json.loads((bundle.path / "example.json").read_text())
    example["logits"][0][0] += 1
    write_json(bundle.path / "example.json", example)
    card = json.loads((bundle.path / "card.json").read_text())
    card["files"]["example.json"] = fingerprint(bundle.path / "example.json")
    write_json(bundle.path / "card.json", card)
    with pytest.raises(InputError, match="this copy does not work"):
        ct.pack_bundle(bundle, tmp_path / "one.zip")
    assert not (tmp_path / "one.zip").exists()


def test_names_of_folders_become_names_in_it(make: Make, tmp_path: Path) -> None:
    bundle = make(tmp_path / "MYC::MAX run" / "bundle")
    assert read_manifest(ct.pack_bundle(bundle, tmp_path / "a.zip")).bundles == ("MYC--MAX-run",)
    named = ct.pack_bundle({"mine": bundle}, tmp_path / "b.zip")
    assert read_manifest(named).bundles == ("mine",)


# The card in words -------------------------------------------------------------------------------


def _evaluation(bundle: Bundle) -> tuple[Evaluation, pd.DataFrame]:
    """A model and three baselines on 200 regions, with their scores; the motif errs as it does."""
    rng = np.random.default_rng(1)
    labels, noise = np.tile([1, 0], 100), rng.normal(size=200)
    shift = {"toy": 1.5, "gc": 0.0, "motif": 1.4, "kmer": 3.5}
    table = pd.DataFrame({"chrom": "chr1", "start": np.arange(200) * 10_000_000})
    table["label SPI1"] = labels
    models = []
    for name, each in shift.items():
        table[f"{name} SPI1"] = each * labels + noise + 0.2 * rng.normal(size=200)
        values = {"aucpr": aucpr(labels, table[f"{name} SPI1"]), "auroc": 0.9}
        if name == "toy":
            values |= {"aucpr_low": 0.75, "aucpr_high": 0.95}
        run = str(bundle.path) if name == "toy" else None
        models.append(ModelScore(name, name, {"SPI1": TaskScore(200, 100, values)}, run=run))
    return Evaluation("sha256:0", "test", ("SPI1",), tuple(models)), table


def _said_of(text: str) -> dict[str, str]:
    """Last cell of each row of the card's table, by its first."""
    rows = [row.split("|") for row in text.splitlines() if row.startswith("| ") and "SPI1" in row]
    return {row[1].strip(): row[-2].strip() for row in rows}


def test_the_card_says_what_is_beaten_and_what_is_not(toy: Bundle) -> None:
    """By the verdict's rule, the paired difference; of several models or no scores, nothing."""
    found, table = _evaluation(toy)
    of = {"title": "T", "evaluation": found, "license": "CC-BY-4.0"}
    text = model_card({"toy": toy}, **of, predictions=table)
    for line in (
        f"| toy | SPI1 | 200 | 100 | {found.models[0].tasks['SPI1']['aucpr']:.3f} (0.750–0.950) |",
        "1,200 bound, 3,400 unbound",
        "split by chromosome, valid chr2, test chr3",
        "assembly toy1",
        "CC-BY-4.0, said by whoever packed it",
        *CITATIONS,
    ):
        assert line in text
    said = _said_of(text)
    assert {name: words.rpartition(": ")[2] for name, words in said.items()} == {
        "toy": "", "gc": "beaten", "motif": "cannot be told apart",
        "kmer": "**better than the model**",
    }  # fmt: skip
    for each in judge(found, table, "SPI1").against:
        gap = "{:+.3f} ({:+.3f} to {:+.3f})".format(*each.difference)
        assert said[each.name].startswith(gap)
    without = model_card({"toy": toy}, **of)
    assert set(_said_of(without).values()) == {"", "–"}
    assert "which is better is not said" in without
    both = model_card({"toy": toy, "again": toy}, **of, predictions=table)
    assert set(_said_of(both).values()) == {"", "–"}


def test_the_head_is_yaml_of_the_hub(toy: Bundle) -> None:
    yaml = pytest.importorskip("yaml")
    found, table = _evaluation(toy)
    text = model_card({"toy": toy}, title="T", evaluation=found, predictions=table,
                      license="CC-BY-4.0")  # fmt: skip
    head = yaml.safe_load(text.split("---\n")[1])
    assert (head["library_name"], head["license"]) == ("cistransfer", "cc-by-4.0")
    assert "SPI1" in head["tags"]
    (result,) = head["model-index"][0]["results"]
    metrics = {each["type"]: each["value"] for each in result["metrics"]}
    assert metrics == {"aucpr": found.models[0].tasks["SPI1"]["aucpr"], "auroc": 0.9}


def test_without_numbers_it_says_so(toy: Bundle) -> None:
    text = model_card({"toy": toy}, title="T")
    assert "No held-out numbers came with it" in text
    assert "| toy | SPI1 | 0.500 | 0.750 |" in text
    assert "Not stated by whoever packed it" in text
    assert "license:" not in text


def test_an_evaluation_of_another_model(toy: Bundle, make: Make, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    with pytest.raises(InputError, match="the evaluation has no row of"):
        model_card({"toy": toy}, title="T", evaluation=_evaluation(other)[0])


# The verbs ---------------------------------------------------------------------------------------


def test_verbs(
    toy: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def call(*given: str) -> dict[str, object]:
        assert run_app(app, [*given, "--json"]) == 0, capsys.readouterr().err
        return dict(json.loads(capsys.readouterr().out))

    found, table = _evaluation(toy)
    write_json(Path("evaluation/metrics.json"), found.to_json())
    table.to_parquet("evaluation/predictions.parquet")
    done = call("bundle", "pack", str(toy.path), "--out", "toy.zip", "--license", "mit",
                "--evaluation", "evaluation")  # fmt: skip
    assert done == {"out": "toy.zip", "bundles": ["toy"], "bytes": os.stat("toy.zip").st_size}
    with zipfile.ZipFile("toy.zip") as archive:
        assert "cannot be told apart" in archive.read("README.md").decode()
    facts = call("bundle", "info", "toy.zip")
    assert facts["packed"]["license"] == "mit"
    assert facts["bundles"]["toy"]["tasks"] == ["SPI1"]
    assert facts["bundles"] == call("bundle", "info", str(toy.path))["bundles"]
    assert call("bundle", "check", "toy.zip")["bundles"]["toy"]["sequences"] == 3
    assert call("check", "toy.zip")["checked"][0]["kind"] == "bundle"
    assert call("bundle", "unpack", "toy.zip", "--out", "taken")["bundles"] == {"toy": "taken"}
    Path("a.fa").write_text(">a\n" + "ACGTA" * 20 + "\n")
    assert call("predict", "toy.zip", "--fasta", "a.fa", "--out", "a.tsv")["tasks"] == ["SPI1"]
    for words in (["info", "toy.zip"], ["check", "toy.zip"]):
        assert run_app(app, ["bundle", *words]) == 0
        assert "toy: " in capsys.readouterr().out
