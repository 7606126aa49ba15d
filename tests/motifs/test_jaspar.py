"""JASPAR releases through pyjaspar, against the MEME file of the same release."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.motifs.files import read_jaspar_release, read_motifs


def test_release_equals_the_meme_file(shared_data):
    pytest.importorskip("pyjaspar")
    pwms = read_motifs("jaspar2020")
    assert pwms.facts.line() == "746 motifs (JASPAR2020 CORE vertebrates)"
    file = shared_data / "motifs" / "JASPAR2020_CORE_vertebrates_non-redundant.meme"
    in_file = {pwm.name: pwm for pwm in read_motifs(file)}
    shared = [pwm for pwm in pwms if pwm.name in in_file]
    assert len(shared) == 746
    for pwm in shared:
        assert np.abs(in_file[pwm.name].probabilities - pwm.probabilities).max() < 1e-5


def test_refusals(monkeypatch):
    pytest.importorskip("pyjaspar")
    with pytest.raises(InputError, match="no release 'JASPAR2021'; nearest: JASPAR202"):
        read_jaspar_release("JASPAR2021")
    monkeypatch.setitem(sys.modules, "pyjaspar", None)
    with pytest.raises(InputError, match=r"pip install 'cistransfer\[jaspar\]'"):
        read_jaspar_release("JASPAR2020")


def test_jaspar_alone_is_the_newest_release():
    pyjaspar = pytest.importorskip("pyjaspar")
    pwms = read_motifs("jaspar")
    newest = sorted(pyjaspar.jaspar_releases)[-1]
    assert pwms.facts.path == newest
    assert pwms.facts.formats == (f"{newest} CORE vertebrates",)
    assert len(pwms) > 746
