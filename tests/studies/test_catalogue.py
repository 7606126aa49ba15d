"""The studies that come with the package: claims, labels, steps, and small ones run for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cistransfer.binding.matrix import open_matrix
from cistransfer.errors import InputError
from cistransfer.studies.asked import Asked
from cistransfer.studies.collect import check_claim, labelled, less, results
from cistransfer.studies.draw import draw_figure
from cistransfer.studies.effort import Effort, Whole, mean_seconds, part_of
from cistransfer.studies.page import BEGIN, END, reproduction
from cistransfer.studies.run import run_study
from cistransfer.studies.schema import Claim, Figure, Study, catalogue, load_study
from cistransfer.studies.store import Done, Store
from cistransfer.studies.trial import Trial, expand

CLAIMED = [*(f"N{n}" for n in range(1, 20)), *(f"C{n}" for n in range(1, 8))]


def test_names_of_curves_are_not_cut_off() -> None:
    """Few values on x make a narrow figure; the names above it stay inside."""
    names = [f"a strategy with a name of its own {number}" for number in range(7)]
    table = pd.DataFrame(
        {"strategy": names * 2, "tf": ["A"] * 7 + ["B"] * 7, "part": "test", "metric": "aucpr",
         "value": 0.5, "item": "", "trial": ""}
    )  # fmt: skip
    drawn = draw_figure(Figure(name="few", kind="box"), table, names)
    assert drawn is not None
    drawn.canvas.draw()
    legend = drawn.legends[0].get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= drawn.bbox.width
    assert drawn.axes[0].get_window_extent().height > 0.4 * legend.height


def test_every_published_experiment_is_claimed_by_a_study() -> None:
    known = {claim.id for study in catalogue().values() for claim in study.claims}
    assert set(CLAIMED) <= known
    assert {f"B{n}" for n in range(1, 8)} <= known


def values(**columns: list[Any]) -> pd.DataFrame:
    """Results of a study in which strategy b is above a by 0.1, 0.2, … over the TFs."""
    tfs = columns["tf"]
    rows = [
        {"strategy": name, "tf": tf, "trial": f"{name}{tf}", "part": "test", "item": "",
         "metric": "aucpr", "value": 0.5 + gain}
        for at, tf in enumerate(tfs)
        for name, gain in (("a", 0.0), ("b", 0.1 * (at + 1)))
    ]  # fmt: skip
    return pd.DataFrame(rows)


STUDY = {
    "name": "s",
    "title": "t",
    "axes": {"tf": ["U", "V", "W", "X"]},
    "labels": {"kind": {"of": "tf", "values": {"low": ["U", "V"], "high": ["W", "X"]}}},
    "strategies": {"a": {"do": "baseline"}, "b": {"do": "baseline"}},
}


def test_labels_and_gains() -> None:
    table = labelled(Study.model_validate(STUDY), values(tf=["U", "V", "W", "X", "Y"]))
    assert dict(zip(table["tf"], table["kind"], strict=True)) == {
        "U": "low", "V": "low", "W": "high", "X": "high", "Y": "-"
    }  # fmt: skip
    gains = less(table[table["strategy"] == "b"], table, {"strategy": "a"})
    assert np.allclose(gains["value"], [0.1, 0.2, 0.3, 0.4, 0.5])
    claim = Claim.model_validate(
        {
            "id": "N8", "says": "", "quantity": "difference", "minus": {"strategy": "a"},
            "first": {"strategy": "b", "kind": "high"}, "second": {"strategy": "b", "kind": "low"},
            "direction": "above", "test": "welch", "paper_p": 0.5,
        }
    )  # fmt: skip
    found = check_claim(claim, table)
    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert (found.n, found.trials, found.direction) == (4, 4, "same")
    pairs = {"first": {"strategy": "b"}, "second": {"strategy": "a", "kind": "low"}}
    plain = Claim.model_validate({"id": "N3", "says": "", "quantity": "difference", **pairs})
    alone = check_claim(plain, table)
    assert alone is not None
    assert (alone.n, alone.trials) == (2, 4)  # those without a partner do not count
    assert found.ours.startswith("gain of AUCPR 0.350 (2) against 0.150 (2); Welch t: p = ")
    figure = Figure.model_validate(
        {"name": "f", "kind": "box", "x": "kind", "minus": {"strategy": "a"},
         "where": {"strategy": "b"}}
    )  # fmt: skip
    drawn = draw_figure(figure, table, ["a", "b"])
    assert drawn is not None
    assert drawn.axes[0].get_ylabel() == "gain of AUCPR"


def test_things_are_counted_and_none_is_0() -> None:
    """What a network lacks has no row; the network was read all the same."""
    rows = [
        {"strategy": strategy, "tf": "H", "trial": strategy, "part": "filters", "item": item,
         "metric": metric, "value": value}
        for strategy, metric, item, value in (
            ("tuned", "number", "", 100.0), ("tuned", "like", "HNF4A", 2.0),
            ("tuned", "like", "HNF4G", 3.0), ("tuned", "like", "SP1", 7.0),
            ("alone", "number", "", 100.0), ("alone", "like", "SP1", 1.0),
        )
    ]  # fmt: skip
    side = {"part": "filters", "item": ["HNF4A", "HNF4G"]}
    about = {
        "id": "N18", "says": "", "quantity": "difference", "metric": "like", "total": True,
        "direction": "above", "first": {**side, "strategy": "tuned"},
    }  # fmt: skip
    claim = Claim.model_validate({**about, "second": {**side, "strategy": "alone"}})
    found = check_claim(claim, pd.DataFrame(rows))
    assert found is not None
    assert (found.ours, found.direction, found.trials) == ("like 5 against 0", "same", 2)
    unread = Claim.model_validate({**about, "second": {**side, "strategy": "other"}})
    assert check_claim(unread, pd.DataFrame(rows)) is None


def test_groups_are_compared_within_tfs() -> None:
    """TFs that differ much hide groups that differ little, unless each is relative to its mean."""
    rows = [
        {"strategy": "s", "group": group, "tf": tf, "draw": draw, "trial": f"{group}{tf}{draw}",
         "part": "test", "item": "", "metric": "aucpr", "value": base + gain + 0.001 * int(draw)}
        for tf, base in (("U", 0.2), ("V", 0.5), ("W", 0.8))
        for group, gain in (("near", 0.05), ("far", 0.0))
        for draw in "012"
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    about = {"id": "N9", "says": "", "test": "kruskal", "groups": "group", "pair": ["tf", "draw"]}
    hidden = check_claim(Claim.model_validate(about), table)
    clear = check_claim(Claim.model_validate({**about, "within": ["tf"]}), table)
    assert hidden is not None
    assert hidden.test is not None
    assert hidden.test.p > 0.05
    assert clear is not None
    assert clear.test is not None
    assert clear.test.p < 0.001
    assert clear.ours.startswith("AUCPR far 0.501, near 0.551; Kruskal-Wallis")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {"kind": {"of": "size", "values": {"x": [1]}}}}, "no axis 'size'"),
        ({"labels": {"tf": {"of": "tf", "values": {"x": ["U"]}}}}, "two things are called 'tf'"),
        (
            {"labels": {"kind": {"of": "tf", "values": {"x": ["U"], "y": ["U"]}}}},
            "'U' has two labels",
        ),
        ({"claims": [{"id": "N1", "says": "", "minus": {"kin": 1}}]}, "no axis 'kin'; nearest: k"),
        ({"claims": [{"id": "N1", "says": "", "within": ["kin"]}]}, "no axis 'kin'"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Study.model_validate({**STUDY, **change})


def test_a_value_that_needs_a_file_is_left_out_without_it() -> None:
    study = load_study("groups")
    files = {"matrix": "a" * 64, "genome": "b" * 64, "motifs": "c" * 64}
    few = {"tf": ["JUND"], "architecture": ["cnn"], "draw": [0]}
    plan = expand(study, files, few, ["published"])
    groups = {dict(row.point)["group"] for row in plan.rows}
    assert groups == set(map(str, study.axes["group"].values)) - {"partners-published"}
    assert plan.notes == ["published of group partners-published is left out: no string is given"]
    whole = expand(study, {**files, "string": "d" * 64}, few, ["published"])
    assert len(whole.rows) == len(plan.rows) + 2
    assert not whole.notes


def test_what_a_whole_experiment_takes() -> None:
    """Counted in the grid of the study; the time is a sum over kinds, and only of known ones."""
    study = load_study("leakage")
    claim = study.claims[0]  # k-mers at random and by chromosome: 12 TFs, 2 sizes, 3 draws
    whole = Whole(study)
    assert whole.effort(claim, {}) == Effort(144, 144, None)
    times = {"baseline None kmer": 2.0, "baseline": 100.0, "examples": 1.0}
    assert whole.effort(claim, times) == Effort(144, 144, 144 * 3.0)
    done = [
        Done(Trial("baseline", f'{{"name": "{name}"}}'), (), {"cpu_seconds": seconds})
        for name, seconds in (("kmer", 1.0), ("kmer", 3.0), ("gc", 0.5))
    ]
    assert mean_seconds(done) == {
        "baseline None kmer": 2.0, "baseline None gc": 0.5, "baseline": 1.5
    }  # fmt: skip
    assert part_of(study, claim) == (["kmer"], {"split": ["random", "chromosome"]})


def test_the_matrix_is_counted_and_compared(world: Any, tmp_path: Path) -> None:
    modes = tmp_path / "modes.tsv"
    modes.write_text("ELF1\tets\nSPI1\tets\nHNF4A\tnuclear\n")
    few = Asked(files={"matrix": world.matrix_path, "motifs": modes}, engine="here", device="cpu")
    found = run_study("matrix", tmp_path / "matrix", few)
    assert (found.ran, found.failed) == (2, 0)
    table = results(Store(tmp_path / "matrix"))
    counts = table[table["strategy"] == "count"].set_index("metric")["value"]
    matrix = open_matrix(world.matrix_path)
    states = matrix.states(list(matrix.tfs), rule="sparse")
    assert counts["bound"] == (states == 1).sum()
    assert counts["unresolved"] == (states < 0).sum()
    n = len(matrix.tfs)
    cosines = table[table["metric"] == "cosine"]
    assert (cosines["part"] == "test").sum() <= n * (n - 1) / 2
    assert set(cosines["part"]) == {"test", "same", "other"}


def test_a_study_of_the_catalogue_and_the_page(world: Any, tmp_path: Path) -> None:
    """Splits on the simulated world; of a page that is there only the written part changes."""
    out, page = tmp_path / "leakage", tmp_path / "page.md"
    few = Asked(
        files={"matrix": world.matrix_path, "genome": world.genome_path},
        axes={"tf": ["ELF1", "SPI1"], "size": [30], "draw": 1, "test_positives": [5]},
        strategies=("kmer", "gc"),
        engine="here",
        device="cpu",
    )
    found = run_study("leakage", out, few)
    assert (found.ran, found.failed) == (18, 0)
    page.write_text(f"# Ours\n\nWhat it means.\n\n{BEGIN}\nold\n{END}\n\nAfterwards.\n")
    text = reproduction([out], page)
    assert text.startswith("# Ours\n\nWhat it means.\n\n" + BEGIN)
    assert text.endswith(END + "\n\nAfterwards.\n")
    assert "\nold\n" not in text
    rows = [line for line in text.splitlines() if line.startswith("| B4")]
    assert any("kmer: at random" in line and "2 tf, 4 trials of 144 |" in line for line in rows)
    (lacking,) = [line for line in rows if "published-scratch: at random" in line]
    asked = "--axis split=random,chromosome --strategies published-scratch"
    assert f"`cistransfer study run leakage {asked}`" in lacking
    assert "A binding matrix. 144 trials and 144 inputs." in lacking  # no network was timed
    assert "# Binding matrix (cistransfer matrix build).\nGENOME=genome" in text
    files = '--file matrix="$MATRIX" --file genome="$GENOME" --out leakage'
    assert f"--axis test_positives=5 --strategies kmer,gc {files}\n" in text
    page.write_text("# A page of somebody\n")
    with pytest.raises(InputError, match="expected a page with the lines"):
        reproduction([out], page)
    assert page.read_text() == "# A page of somebody\n"
