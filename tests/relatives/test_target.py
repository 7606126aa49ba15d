"""Targets in the matrix and outside it: by peaks, motif, or name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cistransfer.binding.facts.cobinding import BindingVectors, binding_vectors
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.genome.bed import read_bed, regions_table
from cistransfer.motifs.files import read_motifs
from cistransfer.relatives.modes import BindingModes, modes_from_pairs
from cistransfer.relatives.partners import Partners
from cistransfer.relatives.target import find_target

STATES = [[1, 1, 0], [1, 0, 0], [0, 1, -1], [0, 0, 1], [-1, 1, 1], [-1, -1, 0]]
MODES = modes_from_pairs("toy modes", [("A", "x"), ("B", "x"), ("C", "y"), ("NEW", "x")])


def test_in_the_matrix_whatever_the_case(make_matrix: Any) -> None:
    matrix = make_matrix(STATES, ["A", "B", "C"])
    found = find_target(matrix, binding_vectors(matrix), "a", modes=MODES)
    assert found.name == "A"
    assert found.in_matrix
    assert found.modes == {"x"}
    assert found.bound == 2
    assert found.cobinding is not None
    assert found.cobinding.loc["B", "cosine"] == pytest.approx(1 / 2)


def test_peaks_bind_where_their_summit_is(make_matrix: Any) -> None:
    matrix = make_matrix(STATES, ["A", "B", "C"])
    vectors = binding_vectors(matrix)
    # Regions are 1000·i … 1000·i + 200: two in region 0, one in 3, one beside, one elsewhere.
    peaks = regions_table(
        ["chr1"] * 4 + ["chr9"], [0, 50, 2950, 900, 0], [100, 150, 3100, 990, 100]
    )
    found = find_target(matrix, vectors, "MINE", peaks=peaks)
    assert not found.in_matrix
    assert found.bound == 2
    assert found.notes[0] == "3 of 5 peaks lie in the matrix's regions (2 bound)"
    assert found.cobinding is not None
    # All regions are resolved: MINE = 1 0 0 1 0 0; resolved with A are the first four.
    assert found.cobinding.loc["A"].tolist()[:3] == [pytest.approx(1 / 2), 1, 4]
    with_summit = peaks.assign(start=0, end=4000, summit=[1010, 1010, 1010, 1010, 10])
    assert find_target(matrix, vectors, "MINE", peaks=with_summit).bound == 1


def test_open_regions_of_the_peaks_resolve(make_matrix: Any) -> None:
    matrix = make_matrix(STATES, ["A", "B", "C"])
    vectors = binding_vectors(matrix)
    peaks = regions_table(["chr1"], [0], [100])
    # cell-C is open in all regions but 2.
    found = find_target(matrix, vectors, "MINE", peaks=peaks, cell="cell-C")
    assert found.cobinding is not None
    assert found.cobinding["resolved"].tolist() == [3, 4, 5]
    opened = regions_table(["chr1"], [1100], [1150])
    found = find_target(matrix, vectors, "MINE", peaks=peaks, accessible=opened)
    assert found.cobinding is not None
    assert found.cobinding["resolved"].tolist() == [2, 2, 2]
    assert found.cobinding.loc["A", "cosine"] == pytest.approx(1 / math.sqrt(2))
    with pytest.raises(InputError, match="no cell 'cell-D'"):
        find_target(matrix, vectors, "MINE", peaks=peaks, cell="cell-D")


def test_peaks_elsewhere_are_refused(make_matrix: Any) -> None:
    matrix = make_matrix(STATES, ["A", "B", "C"])
    peaks = regions_table(["1"], [0], [100])
    with pytest.raises(InputError, match=r"none of the 1 peaks .*same genome.*'chr1'.*'1'"):
        find_target(matrix, binding_vectors(matrix), "MINE", peaks=peaks)


def test_a_name_goes_with_its_mode(make_matrix: Any) -> None:
    matrix = make_matrix(STATES, ["A", "B", "C"])
    vectors = binding_vectors(matrix)
    found = find_target(matrix, vectors, "new", modes=MODES)
    assert found.kin == ("A", "B")
    assert found.bound is None
    assert found.cobinding is None
    # The mean over A and B, each without itself.
    assert found.kin_cosine is not None
    assert found.kin_cosine["A"] == found.kin_cosine["B"] == pytest.approx(1 / 2)
    assert found.kin_cosine["C"] == pytest.approx(1 / 4)
    assert "mean cosine with A, B (itself left out)" in found.notes[0]
    named = Partners("p", {"ZED": {"A": 0.9}}, ("A", "ZED"), (), 0)
    assert find_target(matrix, vectors, "ZED", modes=MODES, partners=named).modes == frozenset()
    with pytest.raises(InputError, match=r"no TF 'AA' in this matrix.*nearest: A"):
        find_target(matrix, vectors, "AA", modes=MODES, partners=named)


def test_real_peaks_find_their_own_tf(
    real_matrix: BindingMatrix, real_vectors: BindingVectors, shared_data: Path
) -> None:
    """ENCODE-DREAM's HepG2 peaks of HNF4A bind most like the matrix's HNF4A."""
    vectors = real_vectors
    for name, cell in (("HNF4A", "HepG2"), ("SPI1", "GM12878"), ("FOXA1", "HepG2")):
        peaks = read_bed(shared_data / f"encode-peaks-hg38/{cell}.{name}.narrowPeak.gz")
        found = find_target(real_matrix, vectors, "MINE", peaks=peaks, cell=cell)
        assert found.cobinding is not None
        assert found.cobinding["cosine"].idxmax() == name
    summit = peaks["summit"].to_numpy()
    regions = real_matrix.regions
    chrom21 = regions[regions["chrom"] == "chr20"]
    mine = summit[peaks["chrom"] == "chr20"]
    naive = sum(
        bool(((mine >= start) & (mine < end)).any())
        for start, end in zip(chrom21["start"], chrom21["end"], strict=True)
    )
    only20 = peaks[peaks["chrom"] == "chr20"]
    assert find_target(real_matrix, vectors, "MINE", peaks=only20).bound == naive > 50


def test_motifs_find_their_modes(
    real_matrix: BindingMatrix,
    jaspar_modes: BindingModes,
    tfclass_modes: BindingModes,
    shared_data: Path,
) -> None:
    profiles = read_motifs(shared_data / "motifs/JASPAR2020_CORE_vertebrates_non-redundant.meme")
    by_name = {pwm.alt_name: pwm for pwm in profiles}
    vectors = binding_vectors(real_matrix, tfs=["HNF4A", "SPI1", "NR2F6"])
    for alt, like in (("HNF4G", "HNF4A"), ("SPIB", "SPI1")):
        found = find_target(real_matrix, vectors, "MINE", modes=jaspar_modes, motif=[by_name[alt]])
        assert found.modes & jaspar_modes.of(like)
        assert found.kin_cosine is not None
        assert found.motif_alike is not None
        assert found.motif_alike.idxmax() == like
    kin = [pwm for pwm in profiles if pwm.alt_name in ("HNF4A", "SPI1", "GATA1", "MAX")]
    found = find_target(
        real_matrix, vectors, "MINE", modes=tfclass_modes, motif=[by_name["HNF4G"]], profiles=kin
    )
    assert found.modes == {"2.1.3"}
    assert "matches MA0114.4 HNF4A" in found.notes[0]


def test_motifs_that_cannot_be_matched(
    real_matrix: BindingMatrix, tfclass_modes: BindingModes, shared_data: Path
) -> None:
    vectors = binding_vectors(real_matrix, tfs=["HNF4A"])
    motif = read_motifs(shared_data / "motifs/JASPAR2020_CORE_vertebrates_non-redundant.meme")[:1]
    with pytest.raises(InputError, match="no motifs to compare the target's motif with"):
        find_target(real_matrix, vectors, "MINE", modes=tfclass_modes, motif=motif)
    with pytest.raises(InputError, match="binding modes are needed as well"):
        find_target(real_matrix, vectors, "MINE", motif=motif)


def test_nothing_of_the_callers_is_changed(make_matrix: Any) -> None:
    matrix = make_matrix(STATES, ["A", "B", "C"])
    peaks = regions_table(["chr1", "chr1"], [0, 1000], [100, 1100])
    before = peaks.copy()
    vectors = binding_vectors(matrix)
    resolved = vectors.resolved.copy()
    find_target(matrix, vectors, "MINE", peaks=peaks, cell="cell-A")
    pd.testing.assert_frame_equal(peaks, before)
    np.testing.assert_array_equal(vectors.resolved, resolved)
