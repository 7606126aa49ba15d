"""Whose motif it is: names as JASPAR and HOCOMOCO write them."""

from __future__ import annotations

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.motifs.names import motif_tfs, motifs_of
from cistransfer.motifs.pwm import PWM


def motif(name: str, alt_name: str = "") -> PWM:
    return PWM(name, np.full((4, 4), 0.25), alt_name=alt_name)


@pytest.mark.parametrize(
    ("name", "alt_name", "expected"),
    [
        ("MA0058.3", "MAX", ("MAX",)),
        ("MA0004.1", "Arnt", ("ARNT",)),
        ("MA0004.1", "MA0004.1.Arnt", ("ARNT",)),  # JASPAR's own MEME files
        ("MA0004.1.Arnt", "", ("ARNT",)),
        ("UN0321.1", "UN0321.1.ZNF350", ("ZNF350",)),
        ("MA0006.2", "MA0006.2.AHR::ARNT", ("AHR", "ARNT")),
        ("MA1135.1", "FOSB::JUNB(var.2)", ("FOSB", "JUNB")),
        ("MA0690.1", "TBX21", ("TBX21",)),
        ("MA0111.1", "EWSR1-FLI1", ("EWSR1-FLI1",)),
        ("MA0002.1", "RUNX1::RUNX1", ("RUNX1",)),
        ("HNF4A_HUMAN.H11MO.0.A", "", ("HNF4A",)),
        ("Hnf4a_MOUSE.H11MO.0.A", "", ("HNF4A",)),
        ("HNF4A.H12CORE.0.P.B", "", ("HNF4A",)),
        ("HNF4A.H12INVIVO.0.P.B", "", ("HNF4A",)),
        ("NKX2-5", "", ("NKX2-5",)),
        ("MA0004.1", "", ("MA0004.1",)),  # an identifier is no TF, but all there is
        ("x", "A :: B", ("A", "B")),
    ],
)
def test_names(name: str, alt_name: str, expected: tuple[str, ...]) -> None:
    assert motif_tfs(motif(name, alt_name)) == expected


def test_its_own_motifs_come_before_those_of_heterodimers() -> None:
    pwms = [
        motif("1", "MAX::MYC"), motif("2", "MAX"), motif("3", "MAXB"), motif("4", "max"),
        motif("5", "MYC::MAX"),
    ]  # fmt: skip
    assert [pwm.name for pwm in motifs_of("Max", pwms)] == ["2", "4", "1", "5"]
    assert [pwm.name for pwm in motifs_of("MYC", pwms)] == ["1", "5"]
    with pytest.raises(InputError, match=r"no motif of 'MAXC' among the 5; nearest: .*MAX"):
        motifs_of("MAXC", pwms)
    with pytest.raises(InputError, match="no motif of 'MAX' among the 0"):
        motifs_of("MAX", [])
