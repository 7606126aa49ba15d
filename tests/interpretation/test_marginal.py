"""Planting motifs: effects and interactions that are known because the network is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from toynets import OTHER, SITE, Motifs, random_codes, with_sites

from cistransfer.errors import InputError
from cistransfer.genome.codes import decode
from cistransfer.interpretation.marginal import (
    best_site,
    marginal_effects,
    neutral_sequences,
    spacing_effects,
)
from cistransfer.motifs.pwm import PWM

GAP = 5


def motif(text: str, name: str) -> PWM:
    return PWM(name, np.eye(4)[["ACGT".index(letter) for letter in text]] * 0.96 + 0.01)


class Spaced(nn.Module):
    """Fires where SITE is followed by OTHER after GAP bases; a little for SITE alone."""

    def __init__(self, length: int = 80) -> None:
        super().__init__()
        self.motifs = Motifs([SITE, OTHER], length, kernel=12, pool=1)
        self.relu = nn.ReLU()
        self.dummy = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.motifs.relu(self.motifs.conv(x))
        shift = len(SITE) + GAP
        both = self.relu(seen[:, 0, :-shift] + seen[:, 1, shift:] - 1)
        return (3 * both.sum(dim=1) + 0.5 * seen[:, 0].sum(dim=1) + self.dummy)[:, None]


def test_best_site() -> None:
    assert decode(best_site(motif(SITE, "s"))) == SITE


def test_neutral_sequences_lose_the_sites() -> None:
    codes, _ = with_sites(random_codes(20, 60), SITE)
    codes[0, 3] = 4
    neutral = neutral_sequences(codes, 50, seed=1)
    assert neutral.shape == (50, 60)
    assert sum(SITE in decode(row) for row in neutral) < 3
    assert (neutral == neutral_sequences(codes, 50, seed=1)).all()
    with pytest.raises(InputError, match="without N"):
        neutral_sequences(np.full((2, 9), 4, np.uint8))


def test_marginal_effects_of_a_net_that_counts_motifs(motif_net: nn.Module) -> None:
    background = neutral_sequences(random_codes(40, 60, seed=3), 60)
    found = marginal_effects(
        motif_net, background, [motif(SITE, "s"), motif("CCCCCCCC", "c")], task=0
    )
    # one site adds 1 on its strand; with both strands averaged, half of that
    assert found["effect"][0] == pytest.approx(0.5, abs=0.02)
    assert found["effect"][1] == pytest.approx(0, abs=0.02)
    assert found["site"].tolist() == [SITE, "CCCCCCCC"]
    other = marginal_effects(motif_net, background, [motif(SITE, "s")], task=1)
    assert abs(other["effect"][0]) < 0.02


def test_spacing_effects_find_the_planted_distance() -> None:
    model = Spaced().eval()
    background = neutral_sequences(random_codes(30, 80, seed=4), 30)
    found = spacing_effects(model, background, motif(SITE, "s"), motif(OTHER, "o"), max_gap=20)
    best = found.loc[found["interaction"].idxmax()]
    assert (best["gap"], best["side"], best["orientation"]) == (GAP, "after", "same")
    assert best["interaction"] == pytest.approx(1.5, abs=0.05)
    rest = found.drop(index=found["interaction"].idxmax())
    assert rest["interaction"].abs().max() < 0.2
    assert len(found) == 4 * 21
    assert found["alone"].median() == pytest.approx(0.25, abs=0.05)


def test_motifs_that_do_not_fit() -> None:
    model = Spaced().eval()
    background = random_codes(2, 12)
    with pytest.raises(InputError, match="20 bp wide"):
        marginal_effects(model, background, [motif("A" * 20, "long")])
    with pytest.raises(InputError, match="do not fit"):
        spacing_effects(model, random_codes(2, 30), motif("A" * 20, "a"), motif("C" * 20, "c"))
