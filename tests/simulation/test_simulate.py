"""The simulated data: right forms, planted truth, a removable GC confounder, determinism."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.genome.bed import read_bed
from cistransfer.genome.codes import decode, encode, gc_fraction, reverse_complement
from cistransfer.genome.fasta import Genome, read_fasta
from cistransfer.genome.intervals import overlaps_any
from cistransfer.simulation import SimulationTruth, simulate
from cistransfer.simulation.factors import COFACTOR_GAP, FACTORS, consensus_pwm
from cistransfer.simulation.files import _ucsc_bin


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> SimulationTruth:
    return simulate(tmp_path_factory.mktemp("simulated") / "data", seed=3, regions=6000)


@pytest.fixture(scope="module")
def genome(truth: SimulationTruth) -> dict[str, str]:
    return dict(read_fasta(truth.folder / "genome.fa"))


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_equal_seeds_give_identical_files_and_others_do_not(tmp_path: Path) -> None:
    first = simulate(tmp_path / "a", seed=1, regions=300, chromosomes=3)
    simulate(tmp_path / "b", seed=1, regions=300, chromosomes=3)
    simulate(tmp_path / "c", seed=2, regions=300, chromosomes=3)
    a, b, c = (_digests(tmp_path / name) for name in "abc")
    assert a == b
    assert a["genome.fa"] != c["genome.fa"]
    assert a["remap.bed.gz"] != c["remap.bed.gz"]
    assert set(a) >= {
        "genome.fa",
        "wgEncodeRegDnaseClustered.txt.gz",
        "wgEncodeRegDnaseClusteredSources.txt.gz",
        "ucsc2encode.tsv",
        "samples.tsv",
        "remap.bed.gz",
        "unibind_tfbs.tar.gz",
        "motifs.meme",
        "relatives.tsv",
        "truth.tsv.gz",
        "open.bed.gz",
        "peaks/HNF4A.narrowPeak.gz",
    }
    assert len(set(first.regions["chrom"])) == 3


def test_planted_sites_are_in_the_genome_at_their_place_and_strand(
    truth: SimulationTruth, genome: dict[str, str]
) -> None:
    sites = truth.sites[truth.sites["kind"] != "decoy"]
    for mode, rows in sites.groupby("motif"):
        members = [consensus_pwm(f.consensus) for f in FACTORS if f.mode == mode]
        width = members[0].shape[1]
        assert (rows["end"] - rows["start"] == width).all()
        found = np.stack(
            [
                encode(genome[chrom][start:end])
                for chrom, start, end in rows[["chrom", "start", "end"]].itertuples(index=False)
            ]
        )
        forward = (rows["strand"] == "+").to_numpy()
        assert 0.4 < forward.mean() < 0.6
        read = np.where(forward[:, None], found, reverse_complement(found))
        frequency = np.stack([(read == base).mean(axis=0) for base in range(4)])
        # the sites, read on their strand, are draws from the mean of the members' matrices
        assert np.abs(frequency - np.mean(members, axis=0)).max() < 0.1, mode


def test_the_preferred_cofactor_lies_behind_its_receptor_site(truth: SimulationTruth) -> None:
    sites = truth.sites
    near = sites[sites["spacing"] == "preferred"]
    receptors = near[near["motif"] == "DR1"]
    partners = {
        (chrom, start, strand)
        for chrom, start, strand in near.loc[
            near["kind"] == "cofactor", ["chrom", "start", "strand"]
        ].itertuples(index=False)
    }
    assert len(receptors) == len(partners) > 300
    for site in receptors.itertuples():
        start = site.end + COFACTOR_GAP if site.strand == "+" else site.start - COFACTOR_GAP - 11
        assert (site.chrom, start, site.strand) in partners


def test_receptors_bind_with_their_cofactor_and_seldom_without(truth: SimulationTruth) -> None:
    receptors = truth.sites[(truth.sites["motif"] == "DR1") & (truth.sites["kind"] == "site")]
    occupied = receptors["bound_by"] != ""
    share = occupied.groupby(receptors["spacing"]).mean()
    assert share["preferred"] > 2 * share["other"] > 2 * share[""] > 0


def test_forms_parse(truth: SimulationTruth, genome: dict[str, str]) -> None:
    folder = truth.folder
    sizes = {name: len(sequence) for name, sequence in genome.items()}
    for name in ("open.bed.gz", "open/HepG2.bed.gz", "peaks/SPI1.narrowPeak.gz", "remap.bed.gz"):
        table = read_bed(folder / name)
        assert (table["end"] <= table["chrom"].map(sizes)).all()
    assert "summit" in read_bed(folder / "peaks" / "SPI1.narrowPeak.gz")
    remap = pd.read_csv(folder / "remap.bed.gz", sep="\t", header=None)
    assert remap.shape[1] == 9
    assert (remap[7] == remap[6] + 1).all()
    assert (remap[6].between(remap[1], remap[2] - 1)).all()
    tfs = {name.split(".")[1] for name in remap[3]}
    assert tfs == set(truth.tfs)
    with tarfile.open(folder / "unibind_tfbs.tar.gz") as archive:
        members = archive.getmembers()
        names = [member.name.split(".") for member in members]
        assert {name[2] for name in names} == tfs
        assert all(name[3:] == ["pwm", "bed"] for name in names)
        assert {member.mtime for member in members} == {0}
        text = archive.extractfile(members[0])
        assert text is not None
        assert len(text.readline().decode().rstrip("\n").split("\t")) == 6
    clusters = pd.read_csv(
        folder / "wgEncodeRegDnaseClustered.txt.gz", sep="\t", header=None, dtype={7: str, 8: str}
    )
    assert clusters.shape[1] == 9
    assert clusters[7].str.endswith(",").all()
    assert (clusters[7].str.count(",") == clusters[6]).all()
    centre = clusters[2] + (clusters[3] - clusters[2]) // 2
    windows = set(zip(clusters[1], centre - 100, strict=True))
    assert windows >= set(zip(truth.regions["chrom"], truth.regions["start"], strict=True))
    assert len(windows) == len(clusters) > len(truth.regions)  # a few open only elsewhere
    samples = pd.read_csv(folder / "samples.tsv", sep="\t")
    assert list(samples["cell"]) == list(truth.cells)


def test_genome_has_lower_case_and_n_but_few_n_in_regions(
    truth: SimulationTruth, genome: dict[str, str]
) -> None:
    text = "".join(genome.values())
    lower = sum(text.count(base) for base in "acgt") / len(text)
    assert 0.1 < lower < 0.4
    assert text.count("N") + text.count("n") > 1000
    codes = Genome(truth.folder / "genome.fa").fetch(truth.regions)
    spoilt = (codes == 4).any(axis=1).mean()
    assert 0 < spoilt < 0.01
    assert (
        decode(codes[0])
        == genome[truth.regions["chrom"][0]][
            truth.regions["start"][0] : truth.regions["end"][0]
        ].upper()
    )


def _auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    positive, negative = scores[labels == 1], np.sort(scores[labels == 0])
    below = np.searchsorted(negative, positive, "left")
    through = np.searchsorted(negative, positive, "right")
    return float((below + through).sum() / 2 / len(positive) / len(negative))


def test_gc_alone_predicts_binding_until_negatives_are_matched(truth: SimulationTruth) -> None:
    gc = gc_fraction(Genome(truth.folder / "genome.fa").fetch(truth.regions))
    rng = np.random.default_rng(0)
    for tf in ("HNF4A", "NR2F2", "SPI1", "MAX", "JUND"):
        states = truth.sparse[truth.tfs.index(tf)]
        bound, unbound = np.flatnonzero(states == 1), np.flatnonzero(states == 0)
        assert len(bound) > 150
        plain = _auroc(states[states >= 0], gc[states >= 0])
        chosen: list[int] = []
        matched: list[int] = []
        for level in np.unique(bins := np.round(gc * 50).astype(int)):
            mine, free = bound[bins[bound] == level], unbound[bins[unbound] == level]
            count = min(len(mine), len(free))
            chosen += list(rng.permutation(mine)[:count])
            matched += list(rng.permutation(free)[:count])
        labels = np.repeat([1, 0], len(chosen))
        after = _auroc(labels, gc[chosen + matched])
        assert plain > 0.55, tf
        assert abs(after - 0.5) < 0.03, tf


def test_the_target_is_poor_and_its_relatives_are_not(truth: SimulationTruth) -> None:
    bound = {tf: int((row == 1).sum()) for tf, row in zip(truth.tfs, truth.sparse, strict=True)}
    mode = truth.binding_modes[truth.target]
    relatives = [tf for tf, m in truth.binding_modes.items() if m == mode and tf != truth.target]
    assert len(relatives) == 3
    assert 15 < bound[truth.target] < 100
    assert min(bound[tf] for tf in relatives) > 2 * bound[truth.target]
    # observed and true binding agree mostly, not wholly
    for tf, seen, real in zip(truth.tfs, truth.sparse, truth.bound, strict=True):
        right = (real[seen == 1] == 1).mean()
        assert 0.8 < right < 1, tf


def test_states_follow_from_the_files(truth: SimulationTruth) -> None:
    """The published recipe, written naively over the files, gives the stored states."""
    folder = truth.folder
    sources = (folder / "wgEncodeRegDnaseClusteredSources.txt.gz").read_bytes()
    rows = [line.split("\t") for line in gzip.decompress(sources).decode().splitlines()]
    number = {name: code for code, name in rows}
    samples = pd.read_csv(folder / "samples.tsv", sep="\t")
    cell_of = {number[row.dhs_source]: row.cell for row in samples.itertuples()}
    official = dict(zip(samples["peaks_name"], samples["cell"], strict=True))
    clusters = pd.read_csv(
        folder / "wgEncodeRegDnaseClustered.txt.gz", sep="\t", header=None, dtype={7: str}
    )
    centre = clusters[2] + (clusters[3] - clusters[2]) // 2
    windows = pd.DataFrame({"chrom": clusters[1], "start": centre - 100, "end": centre + 100})
    cells = [{cell_of[i] for i in ids.split(",") if i in cell_of} for ids in clusters[7]]
    kept = np.array([bool(found) for found in cells])
    pd.testing.assert_frame_equal(
        windows[kept].reset_index(drop=True), truth.regions, check_dtype=False
    )
    remap = pd.read_csv(folder / "remap.bed.gz", sep="\t", header=None)
    names = remap[3].str.split(".", n=2, expand=True)
    tf = "RXRA"
    level = np.zeros(len(windows), int)
    with tarfile.open(folder / "unibind_tfbs.tar.gz") as archive:
        for member in archive.getmembers():
            _, upper, name, *_ = member.name.split(".")
            if name != tf:
                continue
            handle = archive.extractfile(member)
            assert handle is not None
            tfbs = pd.read_csv(handle, sep="\t", header=None)
            sites = pd.DataFrame({"chrom": tfbs[0], "start": tfbs[1], "end": tfbs[2]})
            mine = remap[(names[1] == tf) & (names[2] == upper)]
            summits = pd.DataFrame({"chrom": mine[0], "start": mine[6], "end": mine[7]})
            here = np.array([official[upper] in found for found in cells])
            score = 1 + overlaps_any(windows, summits) + 2 * overlaps_any(windows, sites)
            level = np.maximum(level, here * score)
    recode = np.array([-1, 0, -1, -1, 1])
    assert (recode[level[kept]] == truth.sparse[truth.tfs.index(tf)]).all()
    assert (level[kept] >= 2).sum() > 100


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 100 regions"):
        simulate(tmp_path / "x", regions=10)
    with pytest.raises(InputError, match="chromosomes"):
        simulate(tmp_path / "x", regions=100, chromosomes=50)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"an earlier simulation .*found thesis\.tex"):
        simulate(tmp_path / "mine", regions=100)
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_command_equals_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from cistransfer.cli.command import run_app
    from cistransfer.cli.main import app

    out = tmp_path / "cli"
    words = ["simulate", "--out", str(out), "--seed", "4", "--n-regions", "200", "--json"]
    assert run_app(app, words) == 0
    told = json.loads(capsys.readouterr().out)
    truth = simulate(tmp_path / "api", seed=4, regions=200)
    made = _digests(out)
    made.pop("config.json")
    assert made == _digests(tmp_path / "api")
    assert told["regions"] == len(truth.regions)
    assert told["target"] == truth.target


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 1, 585), (131072, 131073, 586), (131071, 131073, 73), (18177552, 18177838, 723)],
)
def test_ucsc_bin(start: int, end: int, expected: int) -> None:
    assert _ucsc_bin(start, end) == expected


def test_what_is_placed_in_an_earlier_simulation_stays(tmp_path: Path) -> None:
    simulate(tmp_path / "data", regions=100, chromosomes=2)
    (tmp_path / "data" / "trunk").mkdir()
    (tmp_path / "data" / "trunk" / "card.json").write_text("mine")
    (tmp_path / "data" / "results.tsv").write_text("mine")
    (tmp_path / "data" / "peaks" / "mine.bed").write_text("mine")
    before = (tmp_path / "data" / "genome.fa").read_bytes()
    simulate(tmp_path / "data", seed=1, regions=100, chromosomes=2)
    assert (tmp_path / "data" / "genome.fa").read_bytes() != before
    for name in ("trunk/card.json", "results.tsv", "peaks/mine.bed"):
        assert (tmp_path / "data" / name).read_text() == "mine"
