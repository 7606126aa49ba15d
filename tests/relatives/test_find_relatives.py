"""A name, peaks or a motif alone is enough; numbers mean what their columns say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cistransfer.binding.facts.cobinding import BindingVectors, binding_vectors
from cistransfer.binding.matrix import BindingMatrix
from cistransfer.errors import InputError
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.names import motifs_of
from cistransfer.relatives.answer import find_relatives
from cistransfer.relatives.families import _table, family_of
from cistransfer.relatives.modes import BindingModes
from cistransfer.relatives.options import Sources
from cistransfer.relatives.target import find_target, odds_beyond_occupancy

JASPAR = "motifs/JASPAR2020_CORE_vertebrates_non-redundant.meme"
ETS = {"ELF1", "ELK1", "ELK4", "ERG", "ETS1", "ETV1", "ETV4", "ETV6", "GABPA", "SPI1"}


def benchmark() -> Any:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "hidden_tfs.py"
    spec = importlib.util.spec_from_file_location("hidden_tfs", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["hidden_tfs"] = made
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    ("name", "symbol", "family"),
    [
        ("FLI1", "FLI1", "Ets-related"),
        ("Fli1", "FLI1", "Ets-related"),
        ("PU.1", "SPI1", "Ets-related"),
        ("HNF-4alpha", "HNF4A", "RXR-related receptors (NR2)"),
        ("GATA7", "GATA7", "C4-GATA-related"),
        ("NFE2L1", "NFE2L1", "Jun-related"),
        ("HIF3A", "HIF3A", "PAS domain"),
    ],
)
def test_families_by_name(name: str, symbol: str, family: str) -> None:
    found = family_of(name)
    assert found is not None
    assert (found.symbol, found.family) == (symbol, family)
    assert not found.is_wide


def test_names_that_say_nothing() -> None:
    assert family_of("XYZ9") is family_of("A") is family_of("ZNF9999") is None
    wide = family_of("CTCF")
    assert wide is not None
    assert wide.is_wide


def test_shipped_families_are_tfclass(tfclass_modes: BindingModes) -> None:
    """Who is of one family there is of one in TFClass's own file (the wide ones left out)."""
    of: dict[str, set[str]] = {}
    for tf in tfclass_modes.names() & _table().keys():
        found = family_of(tf)
        if found is not None and not found.is_wide:
            of.setdefault(found.family, set()).update(tfclass_modes.of(tf))
    one = [family for family, places in of.items() if len(places) == 1]
    assert len(of) > 60
    assert len(one) > 0.75 * len(of)


def test_a_name_alone(real_matrix: BindingMatrix) -> None:
    found = find_relatives(real_matrix, "Fli1")
    assert set(found.tfs) <= ETS
    assert len(found.tfs) == 5
    assert repr(found).startswith("<relatives of Fli1: ")
    assert "sure: high" in repr(found)
    assert len(repr(found)) < 120
    table = found.evidence
    assert table["same_family"].all()
    assert table["why"].str.startswith("same family").all()
    assert table["cosine"].isna().all()
    assert table["kin_cosine"].between(0, 1, inclusive="neither").all()
    assert find_relatives(real_matrix, "PU.1").target.name == "SPI1"  # type: ignore[union-attr]


def test_nothing_is_known_of_it(real_matrix: BindingMatrix) -> None:
    for name, why in [
        ("GCM1", r"no other TF there is of the family of GCM1 \(GCM\).*--peaks"),
        ("ZNF41", "whose TFs bind all sorts.*--target-motif"),
        ("XYZ9", "neither families, binding modes nor partners name it"),
    ]:
        with pytest.raises(InputError, match=why):
            find_relatives(real_matrix, name, Sources(modes="families")).choose()
    with pytest.raises(InputError, match=r"expected the name of a TF, its peaks .* found list"):
        find_relatives(real_matrix, [])


def test_no_stand_in_counts_itself(
    real_matrix: BindingMatrix, real_vectors: BindingVectors, tfclass_modes: BindingModes
) -> None:
    found = find_target(real_matrix, real_vectors, "HNF4G", modes=tfclass_modes)
    assert found.kin == ("HNF4A", "NR2C2", "NR2F1", "NR2F2", "NR2F6", "RXRA")
    assert found.kin_cosine is not None
    states = {tf: real_matrix.states(tf, "less-sparse")[:, 0] for tf in (*found.kin, "TEAD4")}

    def cosine(a: str, b: str) -> float:
        both = (states[a] >= 0) & (states[b] >= 0)
        x, y = states[a][both].astype(int), states[b][both].astype(int)
        return float(x @ y / np.sqrt(x.sum() * y.sum()))

    for tf in ("HNF4A", "TEAD4"):
        mean = np.mean([cosine(tf, kin) for kin in found.kin if kin != tf])
        assert found.kin_cosine[tf] == pytest.approx(mean)


def test_odds_are_those_of_the_pooled_tables(make_matrix: Any) -> None:
    """Two strata of occupancy; in each the odds are three times as high where A binds."""
    rng = np.random.default_rng(3)
    n = 4000
    crowded = np.arange(n) % 2 == 0
    other = rng.random(n) < np.where(crowded, 0.6, 0.1)
    odds = np.where(crowded, 1.0, 0.05) * np.where(other, 3.0, 1.0)
    mine = rng.random(n) < odds / (1 + odds)
    unrelated = rng.random(n) < np.where(crowded, 0.6, 0.1)
    states = np.stack([other, unrelated], axis=1).astype(int)
    vectors = binding_vectors(make_matrix(states.tolist(), ["A", "B"]))
    known = np.ones(n, dtype=bool)
    found = odds_beyond_occupancy(vectors, mine, known, [crowded.astype(np.int64)])
    assert found.loc["A", "odds"] == pytest.approx(3, rel=0.2)
    assert 1 < found.loc["A", "odds_low"] < found.loc["A", "odds"]
    assert found.loc["B", "odds"] == pytest.approx(1, rel=0.2)
    assert found.loc["B", "odds_low"] < 1
    naive = odds_beyond_occupancy(vectors, mine, known, [])
    assert naive.loc["B", "odds"] > 2  # what the correction takes away
    r = s = 1.0
    for part in (crowded, ~crowded):
        a, b = (mine & other & part).sum(), (~mine & other & part).sum()
        c, d = (mine & ~other & part).sum(), (~mine & ~other & part).sum()
        r, s = r + a * d / part.sum(), s + b * c / part.sum()
    assert found.loc["A", "odds"] == pytest.approx(r / s)


@pytest.fixture(scope="session")
def hidden_table(
    real_matrix: BindingMatrix, real_vectors: BindingVectors, shared_data: Path
) -> pd.DataFrame:
    """Four of the ten hidden TFs of docs/results.md, each by name, motif and peaks."""
    made = benchmark()
    profiles = list(read_motifs(shared_data / JASPAR))
    bound = dict(zip(real_vectors.tfs, real_vectors.bound_counts().tolist(), strict=True))
    rows = {}
    for tf in made.hidden_tfs(real_vectors, 8, 10)[::3]:
        kin = made.kin(tf, bound)
        for way in ("name", "motif", "peaks"):
            choice = made.ask(real_matrix, real_vectors, profiles, tf, way)
            rows[tf, way] = (len(kin & set(choice.tfs[:3])), choice.sure)
    return pd.DataFrame(rows, index=["kin", "sure"]).T


def test_the_ten_are_chosen_by_rule(real_vectors: BindingVectors) -> None:
    assert benchmark().hidden_tfs(real_vectors, 8, 10) == [
        "AR", "CREB1", "ELK4", "FOSL1", "GATA3", "KLF9", "MXI1", "NFYB", "PKNOX1", "SPI1"
    ]  # fmt: skip


def test_hidden_tfs_find_their_family(hidden_table: pd.DataFrame) -> None:
    """By name, motif and peaks alike one of the first three is of the family."""
    assert len(hidden_table) == 12
    assert (hidden_table["kin"] > 0).all()
    assert (hidden_table.xs("name", level=1)["sure"] == "high").all()
    assert set(hidden_table.xs("peaks", level=1)["sure"]) <= {"medium", "low"}


def test_peaks_or_a_motif_as_objects(real_matrix: BindingMatrix, shared_data: Path) -> None:
    bound = real_matrix.states("GATA1", "peaks-only", "K562")[:, 0] == 1
    found = find_relatives(real_matrix, real_matrix.regions[bound].reset_index(drop=True))
    assert found.tfs[:2] == ("GATA1", "GATA2")
    assert any("fit the open regions of K562 best" in note for note in found.choice.notes)
    motif = motifs_of("HNF4G", read_motifs(shared_data / JASPAR))[0]
    found = find_relatives(real_matrix, motif, n=3)
    assert "HNF4A" in found.tfs
    assert found.evidence["motif"].max() > 0.9


def test_one_bound_region_is_too_few(real_matrix: BindingMatrix) -> None:
    """By default a TF needs 100; a published group takes what theirs took."""
    found = find_relatives(real_matrix, "HNF4A", min_bound=None)
    assert found.choose("non-cofactors", n=3).evidence["bound"].min() >= 100
    assert found.choose("most-resolved").evidence["bound"].min() >= 100


def test_everything_is_of_the_cell(real_matrix: BindingMatrix) -> None:
    found = find_relatives(real_matrix, "HNF4A", Sources(evidence_cell="HepG2"), n=3)
    for row in found.evidence.to_dict("records"):
        states = real_matrix.states(row["tf"], "less-sparse", "HepG2")[:, 0]
        assert row["bound"] == (states == 1).sum() > 0
        assert "HepG2" in real_matrix.cells_of(row["tf"])
    with pytest.raises(InputError, match="no cell 'HepG3'"):
        find_relatives(real_matrix, "HNF4A", Sources(evidence_cell="HepG3"))


@pytest.mark.parametrize(
    ("tf", "group", "tfs"),
    [
        ("HNF4A", "cofactors-published", "NR2F2 FOXA2 FOXA1 SP1 MYBL2"),
        ("HNF4A", "cofactors", "FOXA2 FOXA1 SP1 MYBL2 CEBPA"),
        ("HNF4A", "binding-mode-best", "NR2F2 NR2F1 NR2F6 RXRA NR2C2"),
        ("JUND", "cofactors-published", "SP1 MAFG MAFF CEBPB NFIC"),
        ("JUND", "relatives", "FOSL1 JUN FOSL2 JUNB FOS"),
    ],
)
def test_published_groups_by_name(
    real_matrix: BindingMatrix, tf: str, group: str, tfs: str
) -> None:
    """Published groups keep their modes; the others have NR2F2 where it belongs, and no TEAD."""
    assert " ".join(find_relatives(real_matrix, tf).choose(group).tfs) == tfs
