"""Filters before and after fine-tuning, on networks whose change is known."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from toynets import OTHER, SITE, Motifs, planted_filters, random_codes, with_sites

from cistransfer.errors import InputError
from cistransfer.interpretation.refinement import count_resembling, refine
from cistransfer.motifs.pwm import PWM, from_counts


def targets() -> list[PWM]:
    rng = np.random.default_rng(0)
    noise = [
        from_counts(f"T{number}", 20 * rng.dirichlet([0.3] * 4, size=9), pseudocount=0.5)
        for number in range(40)
    ]
    planted = []
    for name, text in (("FOS::JUND", SITE), ("HNF4A", OTHER)):
        letters = np.eye(4)[["ACGT".index(letter) for letter in text]]
        planted.append(from_counts(name, 50 * letters, pseudocount=1.0))
    return [*noise, *planted]


def test_one_filter_becomes_another_and_the_other_stays() -> None:
    pytest.importorskip("memelite")
    codes, _ = with_sites(random_codes(300, 60, seed=1), SITE)
    codes[::2] = with_sites(codes[::2], OTHER, seed=2)[0]
    before = Motifs([SITE, SITE], 60).eval()
    after = copy.deepcopy(before)
    with torch.no_grad():
        after.conv.weight[1] = planted_filters([OTHER], 12)[0]
    found = refine(before, after, codes, targets())
    table = found.table
    assert table["match_before"].tolist() == ["FOS::JUND", "FOS::JUND"]
    assert table["match_after"].tolist() == ["FOS::JUND", "HNF4A"]
    assert table["weight_change"][0] == 0
    assert table["weight_change"][1] > 1
    assert table["weight_cosine"][0] == pytest.approx(1)
    assert table["motif_correlation"][0] == pytest.approx(1)
    assert table["motif_correlation"][1] < 0.6
    assert count_resembling(table, {"HNF4A"}) == {"before": 0, "after": 1}
    assert count_resembling(table, {"FOS::JUND"}) == {"before": 2, "after": 1}
    assert count_resembling(table, ()) == {"before": 0, "after": 0}


def test_other_architectures_are_refused(small_cnn: nn.Module) -> None:
    with pytest.raises(InputError, match="another architecture"):
        refine(Motifs([SITE], 68).eval(), small_cnn, random_codes(5, 68), targets())
