"""Two models on the same sequences: planted truth, a user's bigBed, the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toynets import OTHER, SITE, Motifs, random_codes, settled, with_sites

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet, save_examples
from cistransfer.interpretation.interpret import _other, interpret
from cistransfer.interpretation.sites import motif_sites, read_sites
from cistransfer.interpretation.steps import Methods, OtherModels
from cistransfer.interpretation.two_models import (
    compare_attributions,
    compare_models,
    contrasting_loci,
    model_names,
)
from cistransfer.models.bundle import save_bundle
from cistransfer.models.card import Architecture
from cistransfer.models.registry import build_model
from cistransfer.motifs.files import write_meme
from cistransfer.motifs.pwm import PWM, from_counts

WINDOW = 100
DECOY = "GATTACAGG"


def _motif(text: str) -> PWM:
    letters = np.eye(4)[["ACGT".index(letter) for letter in text]]
    return from_counts(text, 50 * letters, pseudocount=1.0, alt_name=text.lower())


def _planted(n: int) -> np.ndarray:
    codes, _ = with_sites(random_codes(n, 60, seed=3), SITE)
    other, _ = with_sites(random_codes(n, 60, seed=4), OTHER)
    decoy, _ = with_sites(random_codes(n, 60, seed=5), DECOY)
    return np.concatenate([codes, other, decoy])


def test_each_model_is_enriched_at_the_motif_that_it_reads() -> None:
    codes = _planted(60)
    pwms = [_motif(text) for text in (SITE, OTHER, DECOY)]
    a, b = Motifs([SITE], 60).eval(), Motifs([OTHER], 60).eval()
    found = compare_models(a, b, codes, pwms, min_sites=20, p_value=1e-4, method="gradient-input")
    table = found.table.set_index("motif")
    assert table.index[0] == SITE.lower()
    assert table.index[-1] == OTHER.lower()
    assert table.loc[SITE.lower(), "d_a"] > 0.5
    assert table.loc[OTHER.lower(), "d_b"] > 0.5
    assert table.loc[SITE.lower(), "d_difference"] > 0.5 > -0.5 > table["d_difference"].iloc[-1]
    assert abs(table.loc[DECOY.lower(), "d_difference"]) < 0.6
    assert (found.sites["difference"] == found.sites["score_a"] - found.sites["score_b"]).all()
    loci = contrasting_loci(found, each=1)
    assert loci["name"].tolist() == [SITE.lower(), OTHER.lower()]
    # mutagenesis speaks with the opposite sign, and says the same
    other = compare_models(a, b, codes, pwms, min_sites=20, p_value=1e-4, method="mutagenesis")
    assert [other.table["motif"].iloc[at] for at in (0, -1)] == [SITE.lower(), OTHER.lower()]


def test_attributions_of_different_sequences_are_refused() -> None:
    sites = pd.DataFrame({"sequence": [0], "name": ["M"], "start": [0], "end": [3]})
    with pytest.raises(ValueError, match="not of the same sequences"):
        compare_attributions(np.zeros((2, 5), np.float32), np.zeros((3, 5), np.float32), sites)


def test_a_region_of_one_model_only_has_no_difference() -> None:
    rng = np.random.default_rng(0)
    n = 300
    sites = pd.DataFrame(
        {
            "sequence": np.arange(n),
            "name": np.where(np.arange(n) % 3 == 0, "M", "other"),
            "start": 2,
            "end": 8,
        }
    )
    a, b = rng.normal(size=(2, n, 10)).astype(np.float32)
    a[:100] = np.nan
    b[250:] = np.nan
    table = compare_attributions(a, b, sites, min_sites=20).table.set_index("motif")
    assert table.loc["M", ["sites_a", "sites_b", "sites_difference"]].tolist() == [66, 84, 50]


def test_sites_of_one_name_at_one_place_count_once() -> None:
    codes, at = with_sites(random_codes(4, 60, seed=3), SITE)
    one = _motif(SITE)
    twice = motif_sites(
        codes, [one, PWM("second", one.probabilities, alt_name=SITE.lower())], p_value=1e-4
    )
    assert len(twice) == len(twice.drop_duplicates())
    assert set(twice["name"]) == {SITE.lower()}
    planted = twice[twice["start"] == np.asarray(at)[twice["sequence"]]]
    assert (planted["end"] - planted["start"] == len(SITE)).all()
    assert len(planted) == 4


REGIONS = pd.DataFrame(
    {"chrom": ["chr1", "chr1", "chr2"], "start": [100, 150, 0], "end": [200, 250, 100]}
)
AUTOSQL = (
    'table jaspar\n"JASPAR"\n(\nstring chrom; "c"\nuint chromStart; "s"\nuint chromEnd; "e"\n'
    'string name; "matrix"\nuint score; "score"\nchar[1] strand; "strand"\nstring TFName; "TF"\n)\n'
)


def _big(path: Path, rows: list[tuple[str, int, int, str]], autosql: str | None = None) -> Path:
    import pybigtools

    pybigtools.open(str(path), "w").write({"chr1": 1000, "chr2": 90}, rows, autosql)
    return path


def test_a_bigbed_equals_its_bed(tmp_path: Path) -> None:
    rows = [
        ("chr1", 90, 105, "M1"),  # sticks out on the left
        ("chr1", 110, 120, "M1"),
        ("chr1", 160, 170, "M2"),  # in both overlapping regions
        ("chr1", 195, 205, "M1"),  # only whole in the second
        ("chr1", 600, 610, "M1"),
        ("chr2", 80, 90, "M2"),
    ]
    (tmp_path / "s.bed").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    plain, _ = read_sites(tmp_path / "s.bed", REGIONS)
    binary, what = read_sites(_big(tmp_path / "s.bb", rows), REGIONS)
    pd.testing.assert_frame_equal(plain, binary)
    assert len(plain) == 5
    assert "s.bb" in what


def test_the_bigbed_of_jaspar_is_named_by_its_tf_and_cut_by_score(tmp_path: Path) -> None:
    rows = [
        ("chr1", 110, 120, "MA0001.1\t500\t+\tTF1"),
        ("chr1", 130, 140, "MA0001.1\t499\t+\tTF1"),
        ("chr1", 160, 165, "MA0002.1\t700\t-\tTF2"),
    ]
    place = _big(tmp_path / "j.bb", rows, AUTOSQL)
    found, what = read_sites(place, REGIONS.iloc[:1])
    assert found["name"].tolist() == ["TF1", "TF2"]
    assert what.endswith("j.bb at p ≤ 1e-05")
    assert len(read_sites(place, REGIONS.iloc[:1], p_value=1e-4)[0]) == 3


def test_damaged_and_foreign_bigbeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = _big(tmp_path / "s.bb", [("chr1", 110, 120, "M1")])
    with pytest.raises(InputError, match="no chromosome of the sequences is in the file"):
        read_sites(place, REGIONS.assign(chrom="1"))
    (tmp_path / "cut.bb").write_bytes(place.read_bytes()[:200])
    with pytest.raises(InputError, match=r"cut.bb: not a readable bigBed file"):
        read_sites(tmp_path / "cut.bb", REGIONS)
    _big(tmp_path / "three.bb", [("chr1", 110, 120, "")])
    with pytest.raises(InputError, match="expected the motif's name in column 4"):
        read_sites(tmp_path / "three.bb", REGIONS)
    monkeypatch.setitem(sys.modules, "pybigtools", None)
    with pytest.raises(InputError, match=r"convert it: bigBedToBed s.bb s.bed"):
        read_sites(place, REGIONS)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run ``a`` (task A) with examples, ``b`` (task B), ``many`` (A, C) and ``wide``."""
    folder = tmp_path_factory.mktemp("pair")
    codes, _ = with_sites(random_codes(60, WINDOW, seed=1), SITE)
    start = np.arange(60) * 200
    regions = pd.DataFrame(
        {"chrom": "chr1", "start": start, "end": start + WINDOW, "part": "train"}
    )
    labels = (random_codes(60, 1, seed=2) % 2).astype(np.int8)
    save_examples(folder / "a" / "examples", ExampleSet(codes, labels, regions, ("A",), {}))
    for seed, (name, tasks, window) in enumerate(
        [("a", ["A"], WINDOW), ("b", ["B"], WINDOW), ("many", ["C", "D"], WINDOW),
         ("wide", ["A"], 200)]
    ):  # fmt: skip
        model = settled(build_model("cnn", window=window, n_tasks=len(tasks), seed=seed), window, 1)
        save_bundle(
            folder / name / "bundle",
            model,
            architecture=Architecture(name="cnn"),
            tasks=tasks,
            window=window,
            regions=regions,
            example=random_codes(2, window, seed=0),
            facts={"threshold": [-9.0] * len(tasks), "temperature": [1.0] * len(tasks)},
        )
    noise = [_motif(SITE), _motif(OTHER)]
    write_meme(folder / "motifs.meme", noise)
    return folder


def _words(runs: Path, out: Path, other: str, *more: str) -> list[str]:
    return [
        "interpret", str(runs / "a"), "--out", str(out), "--other", str(runs / other),
        "--methods", "enrichment", "--motifs", str(runs / "motifs.meme"), "--min-sites", "2",
        "--attribution", "gradient-input", "--json", *more,
    ]  # fmt: skip


def test_the_command(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, _words(runs, tmp_path, "b", "--hit-p", "0.001")) == 0
    told = json.loads(capsys.readouterr().out)["comparison"]
    assert (told["a"], told["b"]) == ("A", "B")  # the tasks differ
    assert told["sequences"] == told["positive_in_a"] == told["positive_in_b"] == 60
    table = pd.read_csv(tmp_path / "comparison.tsv", sep="\t")
    assert set(table["motif"]) == {SITE.lower(), OTHER.lower()}
    assert {"d_a", "d_b", "d_difference", "q_difference", "auroc_a"} <= set(table)
    alone = pd.read_csv(tmp_path / "enrichment.tsv", sep="\t").set_index("motif")
    np.testing.assert_allclose(table.set_index("motif")["d_a"], alone["d"][table["motif"]])
    with np.load(tmp_path / "comparison.npz") as arrays:
        assert arrays["contributions_a"].shape == arrays["contributions_b"].shape == (60, WINDOW)
        assert not np.allclose(arrays["contributions_a"], arrays["contributions_b"])
    for name in ("comparison", "comparison_ranks", "comparison_ecdf", "comparison_loci"):
        assert (tmp_path / f"{name}.png").stat().st_size > 0
        assert (tmp_path / f"{name}.svg").stat().st_size > 0


@pytest.mark.parametrize(
    ("other", "more", "said"),
    [
        ("many", [], "has 2 tasks and none is 'A'; name one with --other-task"),
        ("many", ["--other-task", "E"], "no task 'E'"),
        ("wide", [], "reads 200 bp; the model reads 100 bp"),
        ("nowhere", [], "nowhere"),
    ],
)
def test_refusals(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], other: str, more: list[str],
    said: str,
) -> None:  # fmt: skip
    assert run_app(app, _words(runs, tmp_path, other, *more)) == 2
    assert said in capsys.readouterr().err


def test_a_trunk_without_the_task_is_no_error_when_nobody_asked(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("memelite")
    from cistransfer.models.bundle import open_bundle

    bundle = open_bundle(runs / "a")
    assert _other(bundle, 0, OtherModels(runs / "many"), False)[1] is None
    assert _other(bundle, 0, OtherModels(runs / "many", "D"), True)[1] == 1
    assert model_names(bundle, 0, bundle, 0) == ("a (A)", "a (B)")
    asked = Methods(
        ("enrichment",), motifs=runs / "motifs.meme", min_sites=5000, attribution="gradient-input"
    )
    few = interpret(runs / "a", tmp_path, asked, OtherModels(runs / "b"))
    assert few["comparison"]["note"].startswith("no motif has 5000 sites in 60")
