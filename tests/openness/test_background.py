"""Tiles of the genome against a base-by-base oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.genome.bed import regions_table
from cistransfer.genome.fasta import Genome, open_sequences, write_fasta
from cistransfer.openness import background
from cistransfer.openness.background import tile_background


def naive(
    genome: dict[str, str], window: int, avoid: pd.DataFrame, margin: int, bad: pd.DataFrame
) -> list[tuple[str, int, int]]:
    """Every tile, every base."""
    found = []
    for chrom, bases in genome.items():
        if chrom not in set(avoid["chrom"]):
            continue
        taken = {at for at, base in enumerate(bases) if base.upper() not in "ACGT"}
        for row in avoid[avoid["chrom"] == chrom].itertuples():
            taken |= set(range(row.start - margin, row.end + margin))
        for row in bad[bad["chrom"] == chrom].itertuples():
            taken |= set(range(row.start, row.end))
        for start in range(0, len(bases) - window + 1, window):
            if not taken & set(range(start, start + window)):
                found.append((chrom, start, start + window))
    return found


places = st.lists(
    st.tuples(st.sampled_from(["chrA", "chrB"]), st.integers(0, 200), st.integers(1, 15)),
    max_size=4,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text("acgtACGTACGTACGTACGTACGTACGTNR", min_size=1, max_size=220), min_size=2, max_size=2
    ),
    st.integers(1, 25),
    st.integers(0, 30),
    places.filter(bool),
    places,
    st.integers(1, 60),
)
def test_equals_looking_at_every_base(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    texts: list[str],
    window: int,
    margin: int,
    near: list[tuple[str, int, int]],
    bad: list[tuple[str, int, int]],
    block: int,
) -> None:
    monkeypatch.setattr(background, "_BLOCK", block)
    genome = dict(zip(["chrA", "chrB"], texts, strict=True))
    path = tmp_path_factory.mktemp("tiles") / "genome.fa"
    write_fasta(path, genome, width=17)
    avoid, blacklist = (
        regions_table(
            [chrom for chrom, _, _ in rows],
            [start for _, start, _ in rows],
            [start + width for _, start, width in rows],
        )
        for rows in (near, bad)
    )
    expected = naive(genome, window, avoid, margin, blacklist)
    if not expected:
        with pytest.raises(InputError, match="is free of N"):
            tile_background(Genome(path), window, avoid=avoid, margin=margin, blacklist=blacklist)
        return
    found = tile_background(Genome(path), window, avoid=avoid, margin=margin, blacklist=blacklist)
    assert list(found.itertuples(index=False, name=None)) == expected


def test_a_tile_exactly_the_margin_away_is_kept(tmp_path: Path) -> None:
    write_fasta(tmp_path / "g.fa", {"c": "ACGT" * 25, "d": "ACGT" * 25})
    avoid = regions_table(["c"], [50], [60])
    found = tile_background(Genome(tmp_path / "g.fa"), 10, avoid=avoid, margin=10)
    assert found["start"].tolist() == [0, 10, 20, 30, 70, 80, 90]
    every = tile_background(Genome(tmp_path / "g.fa"), 50, avoid=avoid, margin=0, chroms=["d", "c"])
    assert every.to_numpy().tolist() == [["d", 0, 50], ["d", 50, 100], ["c", 0, 50]]


def test_wrong_requests(tmp_path: Path) -> None:
    write_fasta(tmp_path / "g.fa", {"chr1": "ACGT" * 25})
    write_fasta(tmp_path / "w.fa", {"chr1:0-100": "ACGT" * 25})
    genome, avoid = Genome(tmp_path / "g.fa"), regions_table(["1"], [50], [60])
    with pytest.raises(InputError, match=r"w.fa: holds windows, not contiguous sequence"):
        tile_background(open_sequences(tmp_path / "w.fa"), 10, avoid=avoid)
    with pytest.raises(InputError, match=r"none of its chromosomes \(chr1, …\) has an open region"):
        tile_background(genome, 10, avoid=avoid)
    with pytest.raises(InputError, match="no chromosome 'chr11'; nearest: chr1"):
        tile_background(genome, 10, avoid=avoid, chroms=["chr11"])
    with pytest.raises(InputError, match="found 0 and 300"):
        tile_background(genome, 0, avoid=avoid)


def test_real_sequence(shared_data: Path) -> None:
    genome = Genome(shared_data / "genome" / "hg38_blocks.fa.gz")
    avoid = regions_table(["chr22", "chr9"], [33_000_000, 500_000], [33_000_200, 500_200])
    found = tile_background(genome, 600, avoid=avoid)
    assert set(found["chrom"]) == {"chr22", "chr9"}
    assert (found["start"] % 600 == 0).all()
    codes = genome.fetch(found.iloc[:: max(1, len(found) // 50)])
    assert np.isin(codes, range(4)).all()
    known = pd.read_csv(
        shared_data / "genome" / "hg38_blocks.known.bed", sep="\t", header=None, usecols=[0, 1, 2]
    )
    whole = {"chr9": 0, "chr22": 0}
    for chrom, start, end in known.itertuples(index=False):
        if chrom in whole:
            whole[chrom] += max(0, end // 600 - -(-start // 600))
    # Two tiles less than 300 bp from, and one with, each region of 200 bp.
    lost = whole["chr9"] + whole["chr22"] - len(found)
    assert 4 <= lost <= 6
