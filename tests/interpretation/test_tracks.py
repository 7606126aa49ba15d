"""Names of attributed sites: a real HNF4A site, planted ones, what fits nothing."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from toynets import OTHER, SITE, random_codes, with_sites

from cistransfer.genome.codes import encode
from cistransfer.interpretation.attribute import Attribution
from cistransfer.interpretation.subject import Attributed
from cistransfer.interpretation.tracks import _as_text, name_sites
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.hits import find_hits
from cistransfer.motifs.names import motifs_of
from cistransfer.motifs.pwm import PWM, from_counts

JASPAR = "motifs/JASPAR2020_CORE_vertebrates_non-redundant.meme"

# chr20:1874572-1874642 in HepG2, and what a model of HNF4A (AUCPR 0.9) gives each base by DeepLIFT
REAL = "TTGGGGGAGGGGGAAAGGCCAAACTCTGCACCTTGGACTTTGCCCTCCCATTACCGGCCATGTGATGCTG"
GIVEN = (
    "0.02 0.01 -0.02 0.02 0 -0.01 -0.01 0 0 0.01 -0.02 -0.01 -0.07 0.02 0.06 0.05 0.03 0.05 -0.03 "
    "0.07 0.07 0.06 0.04 0.05 0.06 -0.05 0.25 0.25 -0.05 0.18 0.31 0.04 0.36 0.8 0.75 0.31 0.77 "
    "0.82 1.12 0.63 0.71 0.49 -0.09 0.08 0.12 0.08 0.01 -0.02 0 -0.01 -0.02 0 -0.02 -0.02 0 -0.05 "
    "-0.03 -0.07 -0.15 -0.21 -0.03 -0.15 -0.12 -0.19 -0.07 -0.07 -0.02 -0.02 -0.02 -0.05"
)


def test_a_real_site_of_hnf4a_is_not_called_rest(shared_data: Path) -> None:
    motifs = read_motifs(shared_data / JASPAR)
    codes = encode(REAL)[None]
    strength = np.array(GIVEN.split(), np.float32)[None]
    hits = find_hits(codes, motifs, p_value=2e-4)
    summed = [strength[0, hit.start : hit.end].sum() for hit in hits.itertuples()]
    assert motifs[hits["pwm"][int(np.argmax(summed))]].alt_name == "REST"  # it is the widest
    for own in ((), {pwm.name for pwm in motifs_of("HNF4A", motifs)}):
        named = name_sites(codes, strength, motifs, own)
        assert named["name"].tolist() == ["HNF4A"]
        assert named["fit"][0] > 0.85
        assert (named["start"][0], named["end"][0]) == (31, 44)


def _motif(name: str, text: str) -> PWM:
    letters = np.eye(4)[["ACGT".index(letter) for letter in text]]
    return from_counts(name, 50 * letters, pseudocount=1.0)


def test_the_own_motif_goes_before_one_that_fits_as_well() -> None:
    codes, starts = with_sites(random_codes(5, 60, seed=1), SITE)
    strength = np.zeros(codes.shape, np.float32)
    for row, start in enumerate(starts):
        strength[row, start : start + len(SITE)] = 1
    motifs = [_motif("twin", SITE), _motif("mine", SITE), _motif("other", OTHER)]
    named = name_sites(codes, strength, motifs, {"mine"})
    assert named["motif"].tolist() == ["mine"] * 5
    assert named["start"].tolist() == list(starts)
    assert np.allclose(named["share"], 1)
    assert (named["fit"] > 0.99).all()


def test_attribution_beside_the_motif_names_nothing() -> None:
    codes, starts = with_sites(random_codes(5, 60, seed=1), SITE)
    strength = np.zeros(codes.shape, np.float32)
    for row, start in enumerate(starts):
        strength[row, start + len(SITE) - 1 : start + len(SITE) + 4] = 1
    assert not len(name_sites(codes, strength, [_motif("mine", SITE)], {"mine"}))


def test_the_text_of_chromtransfer() -> None:
    values = np.array([[0.5, -0.123456, 0, 1]], np.float32)
    found = Attributed(
        np.array([0]), encode("ACGT")[None],
        Attribution("deeplift", "logit", 0, values, None, None), values,
    )  # fmt: skip
    text = gzip.decompress(gzip.compress(_as_text(["chr1:0-4"], found).encode())).decode()
    assert text == ">chr1:0-4\nACGT\n0.50000 -0.12346 0.00000 1.00000\n"
