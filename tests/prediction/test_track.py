"""Tracks along chromosomes: equal to windows scored one by one, resumed, in every format."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from cistransfer.errors import InputError
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import Genome, write_fasta
from cistransfer.prediction import track as module
from cistransfer.prediction.table import spread_interval
from cistransfer.prediction.track import predict_track

WINDOW, STRIDE = 40, 10


class GC(nn.Module):
    """Logit = G and C in the window − half its length."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x[:, 1:3].sum(dim=(1, 2)) - x.shape[2] / 2)[:, None] * self.scale


def probabilities(logits: np.ndarray, prevalence: float | None = None) -> np.ndarray:
    """Of a model whose validation examples were half bound."""
    prior = 0.0 if prevalence is None else np.log(prevalence / (1 - prevalence))
    return 1 / (1 + np.exp(-np.asarray(logits, dtype=float) - prior))


def toy(name: str = "a") -> SimpleNamespace:
    return SimpleNamespace(
        tasks=("T",), window=WINDOW, model=GC(), path=Path(name),
        card=SimpleNamespace(weights=name),
        probabilities=probabilities, temperatures=np.ones(1),
    )  # fmt: skip


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng = np.random.default_rng(0)
    text = decode(rng.integers(0, 4, 1500, dtype=np.uint8))
    path = tmp_path_factory.mktemp("g") / "g.fa"
    write_fasta(
        path, {"chr2": text[:700], "chr1": text[700:900] + "N" * 25 + text[900:], "chrS": "ACGT"}
    )
    return Genome(path)


def by_hand(genome: Genome) -> list[tuple[str, int, int, float]]:
    rows = []
    for chrom, size in genome.sizes.items():
        for start in range(0, size - WINDOW + 1, STRIDE):
            place = pd.DataFrame({"chrom": [chrom], "start": [start], "end": [start + WINDOW]})
            text = decode(genome.fetch(place)[0])
            if "N" in text:
                continue
            gc = sum(letter in "GC" for letter in text)
            middle = start + WINDOW // 2 - STRIDE // 2
            rows.append((chrom, middle, middle + STRIDE, 1 / (1 + np.exp(-(gc - WINDOW / 2)))))
    return rows


def read(path: Path) -> list[tuple[str, int, int, float]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [line.split("\t") for line in data.decode().splitlines()]
    return [(c, int(s), int(e), float(v)) for c, s, e, v in rows]


def test_equal_to_windows_scored_one_by_one(genome: Genome, tmp_path: Path) -> None:
    facts = predict_track([toy()], genome, tmp_path / "t.bedGraph", stride=STRIDE)
    found, expected = read(tmp_path / "t.bedGraph"), by_hand(genome)
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    assert np.allclose([row[3] for row in found], [row[3] for row in expected], atol=1e-5)
    assert facts.scored == len(expected)
    assert facts.windows > facts.scored
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.bedGraph"]


@pytest.mark.parametrize("block", [1, 7, 64])
def test_blocks_do_not_matter(
    genome: Genome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    predict_track([toy()], genome, tmp_path / "a.bedGraph", stride=STRIDE)
    monkeypatch.setattr(module, "_BLOCK", block)
    predict_track([toy()], genome, tmp_path / "b.bedGraph.gz", stride=STRIDE)
    assert read(tmp_path / "a.bedGraph") == read(tmp_path / "b.bedGraph.gz")


def test_bigwig_holds_the_same(genome: Genome, tmp_path: Path) -> None:
    import pybigtools

    predict_track([toy()], genome, tmp_path / "t.bw", stride=STRIDE, chroms=["1"])
    expected = [row for row in by_hand(genome) if row[0] == "chr1"]
    opened = pybigtools.open(str(tmp_path / "t.bw"))
    found = list(opened.records("chr1"))
    assert [row[:2] for row in found] == [row[1:3] for row in expected]
    assert np.allclose([row[2] for row in found], [row[3] for row in expected], atol=1e-5)


def test_only_regions_and_chromosomes_that_are_wanted(genome: Genome, tmp_path: Path) -> None:
    only = pd.DataFrame({"chrom": ["chr2"], "start": [100], "end": [200]})
    predict_track([toy()], genome, tmp_path / "o.bedGraph", stride=STRIDE, only=only)
    found = read(tmp_path / "o.bedGraph")
    assert found
    assert all(c == "chr2" and 100 <= (s + e) // 2 < 200 for c, s, e, _ in found)
    with pytest.raises(InputError, match="no chromosome 'chr9'"):
        predict_track([toy()], genome, tmp_path / "x.bedGraph", chroms=["chr9"], stride=STRIDE)


def test_an_ensemble_is_the_mean(genome: Genome, tmp_path: Path) -> None:
    other = toy("b")
    with torch.no_grad():
        other.model.scale.fill_(0.1)
    for name, models in (("a", [toy()]), ("b", [other]), ("ab", [toy(), other])):
        predict_track(models, genome, tmp_path / f"{name}.bedGraph", stride=STRIDE)
    a, b, ab = (
        np.array([row[3] for row in read(tmp_path / f"{name}.bedGraph")])
        for name in ("a", "b", "ab")
    )
    assert np.allclose(ab, (a + b) / 2, atol=2e-5)
    low, high = spread_interval(np.stack([a, b]))
    for show, expected in (("sd", np.std([a, b], axis=0, ddof=1)), ("low", low), ("high", high)):
        predict_track([toy(), other], genome, tmp_path / "s.bedGraph", stride=STRIDE, show=show)
        values = [row[3] for row in read(tmp_path / "s.bedGraph")]
        assert np.allclose(values, expected, atol=1e-3)
    with pytest.raises(InputError, match="one model has no spread"):
        predict_track([toy()], genome, tmp_path / "x.bedGraph", stride=STRIDE, show="sd")


def test_the_share_of_bound_may_be_said(genome: Genome, tmp_path: Path) -> None:
    for share in (None, 0.5, 0.1):
        predict_track(
            [toy()], genome, tmp_path / f"{share}.bedGraph", stride=STRIDE, prevalence=share
        )
    plain, half, tenth = (
        np.array([row[3] for row in read(tmp_path / f"{share}.bedGraph")])
        for share in (None, 0.5, 0.1)
    )
    assert np.array_equal(plain, half)
    known = (plain > 0.01) & (plain < 0.99)
    odds = plain[known] / (1 - plain[known]) / 9
    assert np.allclose(tenth[known], odds / (1 + odds), atol=1e-4)


def test_a_killed_run_goes_on(
    genome: Genome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict_track([toy()], genome, tmp_path / "whole.bedGraph", stride=STRIDE)
    monkeypatch.setattr(module, "_BLOCK", 16)
    calls = []
    whole = module.score_ensemble

    def stopping(*args: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "score_ensemble", stopping)
    out = tmp_path / "t.bedGraph"
    with pytest.raises(KeyboardInterrupt):
        predict_track([toy()], genome, out, stride=STRIDE)
    assert not out.exists()
    monkeypatch.setattr(module, "score_ensemble", whole)
    facts = predict_track([toy()], genome, out, stride=STRIDE)
    assert facts.resumed == 32
    assert out.read_bytes() == (tmp_path / "whole.bedGraph").read_bytes()


def test_what_another_run_left_is_not_taken(
    genome: Genome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write", stop)
    with pytest.raises(KeyboardInterrupt):
        predict_track([toy()], genome, tmp_path / "t.bedGraph", stride=STRIDE)
    monkeypatch.undo()
    facts = predict_track([toy("other")], genome, tmp_path / "t.bedGraph", stride=STRIDE)
    assert facts.resumed == 0


def test_a_genome_shorter_than_the_window_is_refused(tmp_path: Path) -> None:
    write_fasta(tmp_path / "s.fa", {"c": "ACGT" * 5})
    with pytest.raises(InputError, match="windows of 40 bp; the longest of the 1 sequences has 20"):
        predict_track([toy()], Genome(tmp_path / "s.fa"), tmp_path / "t.bedGraph", stride=5)


def test_several_tasks_need_a_name(genome: Genome, tmp_path: Path) -> None:
    many = toy()
    many.tasks = ("A", "B")
    with pytest.raises(InputError, match="one of its 2 tasks; name it"):
        predict_track([many], genome, tmp_path / "t.bedGraph", stride=STRIDE)
    with pytest.raises(InputError, match="no task 'C'"):
        predict_track([many], genome, tmp_path / "t.bedGraph", stride=STRIDE, task="C")
