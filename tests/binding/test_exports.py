"""TSV and AnnData exports, facts and figures of the literal matrix, and the command line."""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toymatrix import SCORES, toy_parts

from cistransfer.binding import export as export_module
from cistransfer.binding.export import export_matrix
from cistransfer.binding.facts import figures
from cistransfer.binding.facts.cobinding import binding_vectors, cobinding
from cistransfer.binding.facts.counts import facts_of, gc_of_regions, neighbour_overlap
from cistransfer.binding.facts.figures import clustered_order, tfclass_order, write_figures
from cistransfer.binding.file import write_matrix
from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.binding.published.read import import_published
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError, MachineError

GENOME = {"chr1": "ACGT" * 300, "chr10": "GC" * 300, "chr2": "AT" * 1100}


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    path = tmp_path / "toy.fa"
    path.write_text("".join(f">{name}\n{letters}\n" for name, letters in GENOME.items()))
    return path


def test_tsv(toy: BindingMatrix, tmp_path: Path) -> None:
    (path,) = export_matrix(toy, tmp_path / "m.tsv", "tsv", tfs=["Q", "P"]).files
    assert path.read_text().splitlines()[:3] == [
        "chrom\tstart\tend\tQ\tP",
        "chr1\t100\t160\t1\t0",
        "chr1\t150\t210\t0\tNA",
    ]
    export_matrix(toy, tmp_path / "m.tsv.gz", "tsv", rule="less-sparse")
    table = pd.read_csv(tmp_path / "m.tsv.gz", sep="\t")
    states = table[list(toy.tfs)].fillna(-1).to_numpy()
    np.testing.assert_array_equal(states, toy.states(rule="less-sparse"))
    assert table[["chrom", "start", "end"]].equals(toy.regions)
    export_matrix(toy, tmp_path / "s.tsv", "tsv", layout="scores")
    scores = pd.read_csv(tmp_path / "s.tsv", sep="\t")
    for (tf, cell), expected in SCORES.items():
        assert scores[f"{tf}@{cell}"].tolist() == expected
    before = gzip.decompress((tmp_path / "m.tsv.gz").read_bytes())
    export_matrix(toy, tmp_path / "n.tsv.gz", "tsv", rule="less-sparse")
    assert (tmp_path / "n.tsv.gz").read_bytes() == (tmp_path / "m.tsv.gz").read_bytes()
    assert before.count(b"\n") == 9


def test_anndata(toy: BindingMatrix, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    export_matrix(toy, tmp_path / "m.h5ad", "h5ad", rule="less-sparse")
    read = anndata.read_h5ad(tmp_path / "m.h5ad")
    assert read.obs_names.tolist() == list(toy.tfs)
    assert read.var_names[3] == "chr10:5-65"
    assert read.var["id"].tolist() == toy.region_ids.tolist()
    states = toy.states(rule="less-sparse").T
    np.testing.assert_array_equal(read.layers["state"], states)
    np.testing.assert_array_equal(np.nan_to_num(read.X, nan=-1), states)
    assert (read.uns["rule"], read.uns["content_hash"]) == ("less-sparse", toy.content_hash)
    export_matrix(toy, tmp_path / "c.h5ad", "h5ad", layout="cells", cells=["a"])
    read = anndata.read_h5ad(tmp_path / "c.h5ad")
    assert read.obs[["tf", "cell"]].to_numpy().tolist() == [["P", "a"]]
    np.testing.assert_array_equal(read.layers["state"][0], toy.states("P", cells="a")[:, 0])


def test_anndata_missing(
    toy: BindingMatrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "anndata", None)
    with pytest.raises(InputError, match=r"pip install 'cistransfer\[anndata\]'"):
        export_matrix(toy, tmp_path / "m.h5ad", "h5ad")
    assert not (tmp_path / "m.h5ad").exists()


@pytest.mark.parametrize(
    ("to", "options", "message"),
    [
        ("csv", {}, "no format 'csv'"),
        ("tsv", {"layout": "tf"}, "no layout 'tf'; nearest: tfs"),
        ("fasta", {}, "needs the genome's sequence"),
        ("tsv", {"layout": "scores", "rule": "sparse"}, "scores have no rule"),
        ("tsv", {"layout": "cells", "tfs": ["Q"], "cells": ["a"]}, "none of the chosen TFs"),
        ("tsv", {"cells": ["z"]}, "no cell 'z'"),
        ("tsv", {"tfs": ["z"]}, "no TF 'z'"),
        ("tsv", {"rule": "z"}, "no rule 'z'"),
        ("npz", {"tfs": ["P"]}, "holds all TFs"),
        ("npz", {"tfs": ["P"], "layout": "scores"}, "holds all TFs and cells"),
        ("npz", {"width": 9}, "width has no meaning with npz"),
        ("tsv", {"chroms": ["chr1"]}, "chroms has no meaning with tsv"),
    ],
)
def test_exports_that_cannot_be(
    toy: BindingMatrix, tmp_path: Path, to: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        export_matrix(toy, tmp_path / "out", to, **options)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["toy.h5"]


def test_a_refused_fasta_leaves_no_folder(toy: BindingMatrix, genome: Path, tmp_path: Path) -> None:
    """Neither the folder, nor those above it that were made for it; others' stay."""
    part = tmp_path / "part.fa"
    part.write_text("".join(genome.read_text().partition(">chr2")[:1]))
    (tmp_path / "mine").mkdir()
    for options in ({"chroms": ["chr1", "chr2"]}, {"chroms": ["chrZ"]}, {"width": 5000}):
        with pytest.raises(InputError):
            export_matrix(toy, tmp_path / "mine" / "a" / "b", "fasta", sequences=part, **options)
        assert list((tmp_path / "mine").iterdir()) == []
    done = export_matrix(toy, tmp_path / "mine" / "a" / "b", "fasta", sequences=part)
    assert {path.parent for path in done.files} == {tmp_path / "mine" / "a" / "b"}
    assert [path.name for path in (tmp_path / "mine" / "a").iterdir()] == ["b"]
    assert done.left_out == {"chr2": 3}


def renamed(tmp_path: Path, tfs: list[str], cells: list[str]) -> BindingMatrix:
    """The literal matrix with other names."""
    parts = toy_parts()
    names = dict(zip("abcd", cells, strict=True)) | dict(zip("PQR", tfs, strict=True))
    table = parts.experiments.assign(
        tf=parts.experiments["tf"].map(names), cell=parts.experiments["cell"].map(names)
    )
    write_matrix(tmp_path / "n.h5", replace(parts, cells=cells, experiments=table))
    return open_matrix(tmp_path / "n.h5")


def test_names_never_become_paths(tmp_path: Path) -> None:
    tfs, cells = ["../../P", "NKX2/5", "R"], ["/a", "..", "c d", "d\x01"]
    matrix = renamed(tmp_path, tfs, cells)
    for rule in ("sparse", "less-sparse"):
        found = export_matrix(matrix, tmp_path / "out", "npz", layout="cells", rule=rule)
        assert {path.parent for path in found.files} == {tmp_path / "out"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.h5", "out"]
    for name in [*(tmp_path / "out").glob("matrix2d.-a.*"), *(tmp_path / "out").glob("*c_d*")]:
        name.unlink()
    import_published(tmp_path / "out", tmp_path / "back.h5")
    back = open_matrix(tmp_path / "back.h5")
    assert list(back.tfs) == sorted(tfs)
    np.testing.assert_array_equal(back.states(tfs), matrix.states(tfs))


def test_names_that_would_be_one_file(tmp_path: Path) -> None:
    matrix = renamed(tmp_path, ["P", "Q", "R"], ["P", "b c", "b_c", "d"])
    with pytest.raises(InputError, match=r"TF 'P' and cell 'P' would be written to one file"):
        export_matrix(matrix, tmp_path / "out", "npz", layout="cells")
    with pytest.raises(InputError, match=r"cell 'b c' and cell 'b_c' would be written to one file"):
        export_matrix(matrix, tmp_path / "out", "npz", layout="cells", tfs=["Q"])
    assert not (tmp_path / "out").exists()
    export_matrix(matrix, tmp_path / "out", "npz", layout="cells", tfs=["Q"], cells=["P", "b c"])


def test_an_export_that_breaks_off_leaves_nothing(
    toy: BindingMatrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_module, "write_per_cell", full)
    with pytest.raises(MachineError, match="out: cannot write: No space left"):
        export_matrix(toy, out, "npz", layout="cells")
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    with pytest.raises(MachineError, match="new: cannot write: No space left"):
        export_matrix(toy, tmp_path / "new", "npz", layout="cells")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "toy.h5"]
    monkeypatch.undo()
    export_matrix(toy, out, "npz")
    assert (out / "mine.txt").read_text() == "keep"
    assert len(list(out.iterdir())) == 5


def test_a_genome_that_lacks_a_chromosome(
    toy: BindingMatrix, genome: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "part.fa"
    part.write_text("".join(genome.read_text().partition(">chr2")[:1]))
    words = ["matrix", "export", str(toy.path), "--to", "fasta", "--genome", str(part)]
    assert run_app(app, [*words, "--out", str(tmp_path / "fasta")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"left out: 3 regions on chr2, of which {part} holds no sequence"
    assert sorted(path.name for path in (tmp_path / "fasta").iterdir()) == [
        "config.json",
        "sequences.60bp.chr1.fa.gz",
        "sequences.60bp.chr10.fa.gz",
    ]
    one = [*words, "--chroms", "chr10", "--out", str(tmp_path / "one")]
    assert run_app(app, one) == 0
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "config.json",
        "sequences.60bp.chr10.fa.gz",
    ]
    assert run_app(app, [*one[:-1], str(tmp_path / "no"), "--chroms", "chr2"]) == 2
    assert "no chromosome 'chr2'" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_sequences_of_regions_of_many_widths(tmp_path: Path, genome: Path) -> None:
    parts = toy_parts()
    regions = parts.regions.assign(end=parts.regions["end"] + np.arange(8))
    settings = {**parts.settings, "window": 0}
    write_matrix(tmp_path / "w.h5", replace(parts, regions=regions, settings=settings))
    matrix = open_matrix(tmp_path / "w.h5")
    with pytest.raises(InputError, match=r"its regions have 8 widths; say how wide"):
        export_matrix(matrix, tmp_path / "out", "fasta", sequences=genome)
    done = export_matrix(matrix, tmp_path / "out", "fasta", sequences=genome, width=40)
    assert len(done.files) == 3


def test_a_folder_is_no_file(toy: BindingMatrix, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a file name for tsv, found a folder"):
        export_matrix(toy, tmp_path, "tsv")
    with pytest.raises(InputError, match="expected a folder, found a file"):
        export_matrix(toy, toy.path, "npz")


def test_views_read_one_column_at_a_time(toy: BindingMatrix) -> None:
    shown = toy.view("cells", "less-sparse", cells=["b", "a"])
    assert shown.labels == ["P@a", "P@b", "Q@b"]
    assert len(shown) == 3
    np.testing.assert_array_equal(shown.array()[:, 1], toy.states("P", "less-sparse", "b")[:, 0])
    np.testing.assert_array_equal(np.stack(list(shown), axis=1), shown.array())
    assert toy.view().rule == "sparse"
    with pytest.raises(InputError, match="no view 'x'"):
        toy.view("x")


def test_facts(toy: BindingMatrix, genome: Path) -> None:
    facts = facts_of(toy, sequences=genome, sizes=[1, 2, 3, 9])
    rows = facts.tfs.set_index("tf")
    assert rows.loc["P", ["experiments", "bound", "unbound", "unresolved"]].tolist() == [2, 1, 2, 5]
    assert rows.loc["P", ["accessible", "one_kind"]].tolist() == [7, 4]
    assert rows.loc["Q", ["experiments", "bound", "unbound", "unresolved"]].tolist() == [1, 1, 4, 3]
    cells = facts.cells.set_index("cell")
    assert cells.loc["b", ["experiments", "accessible"]].tolist() == [2, 5]
    for cell in toy.cells:
        states = toy.states(cells=cell)
        expected = [int((states == at).sum()) for at in (1, 0, -1)]
        assert cells.loc[cell, ["bound", "unbound", "unresolved"]].tolist() == expected
    assert facts.few == ["P", "Q", "R"]
    # Less-sparse: P resolved in 7, Q in 5, R in 1 region; 5 shared by P and Q, none by all.
    assert facts.common == {1: 7, 2: 5, 3: 0}
    states = toy.states()
    assert facts.states == {
        "bound": int((states == 1).sum()),
        "unbound": int((states == 0).sum()),
        "unresolved": int((states == -1).sum()),
    }
    assert facts.gc is not None
    gc = gc_of_regions(toy, genome)
    assert gc.tolist() == [0.5] * 3 + [1.0] * 2 + [0.0] * 3
    assert rows.loc["P", "gc_bound"] == 1.0  # region 3, on chr10
    assert rows.loc["P", "gc_unbound"] == 0.75  # regions 0 and 4
    json.dumps(facts.as_json(), allow_nan=False)
    assert facts.as_json()["tfs"][2]["gc_bound"] is None


def test_neighbour_overlap(toy: BindingMatrix) -> None:
    # Centres: chr1 130 180 930; chr10 35 430; chr2 30 90 2030.
    assert neighbour_overlap(toy.regions, 50) == 0.0
    assert neighbour_overlap(toy.regions, 51) == pytest.approx(1 / 7)
    assert neighbour_overlap(toy.regions, 61) == pytest.approx(2 / 7)
    assert neighbour_overlap(toy.regions, 396) == pytest.approx(3 / 7)


def test_published_overlap_of_neighbours(real_matrix: BindingMatrix) -> None:
    facts = facts_of(real_matrix)
    assert facts.common[50] == 27_606
    assert facts.overlap == pytest.approx({200: 0.0103, 500: 0.2612, 1000: 0.5173}, abs=1e-4)
    assert facts.states == {"bound": 372_181, "unbound": 9_862_366, "unresolved": 28_874_906}


def test_cosine(toy: BindingMatrix) -> None:
    # Less-sparse, P and Q both resolved in 0 1 2 3 5: P bound in 3, Q in 0, none in both.
    similarity = cobinding(binding_vectors(toy, "less-sparse")).cosine
    assert similarity[0, 1] == similarity[1, 0] == 0.0
    assert np.isnan(similarity[0, 2])
    np.testing.assert_array_equal(np.diag(similarity), [1.0, 1.0, np.nan])


def test_cosine_equals_the_definition(real_matrix: BindingMatrix) -> None:
    tfs = ["JUND", "FOSL1", "SPI1", "HNF4A"]
    similarity = cobinding(binding_vectors(real_matrix, "less-sparse", tfs=tfs)).cosine
    states = real_matrix.states(tfs, "less-sparse")
    for i in range(4):
        for j in range(i):
            both = (states[:, i] >= 0) & (states[:, j] >= 0)
            a, b = (states[both, at].astype(float) for at in (i, j))
            assert similarity[i, j] == pytest.approx(a @ b / np.sqrt(a.sum() * b.sum()), abs=1e-6)
    # Published, whole genome: JUND and FOSL1 .697; nine chromosomes must come near.
    assert similarity[0, 1] == pytest.approx(0.697, abs=0.03)


def test_orders(tmp_path: Path) -> None:
    similarity = np.array([[1, 0.1, 0.9, 0], [0.1, 1, 0, 0.8], [0.9, 0, 1, 0.1], [0, 0.8, 0.1, 1]])
    order = clustered_order(similarity)
    assert abs(order.index(0) - order.index(2)) == abs(order.index(1) - order.index(3)) == 1
    assert clustered_order(np.full((2, 2), np.nan)) == [0, 1]
    obo = tmp_path / "c.obo"
    obo.write_text(
        '[Term]\nid: 1.10.1.1.1\nname: C/EBPx\nxref: ENSEMBL:ENSG1 "x"\nsubset: Genus\n'
        "[Term]\nid: 1.2.1.1.1\nname: ATF-1 (TREB)\nsubset: Genus\n"
        "[Term]\nid: 1.2\nname: FOXA1 family\nsubset: Class\n"
    )
    tfs = ["ZZZ", "JUN", "ATF1", "FOXA1"]
    assert [tfs[at] for at in tfclass_order(obo, tfs)] == ["ATF1", "FOXA1", "JUN", "ZZZ"]
    genes = tmp_path / "g.tsv"
    genes.write_text("ensembl\tsymbol\nENSG1\tJUN\n")
    assert [tfs[at] for at in tfclass_order(obo, tfs, genes)] == ["ATF1", "JUN", "FOXA1", "ZZZ"]
    (tmp_path / "e.obo").write_text("nothing\n")
    with pytest.raises(InputError, match="expected TFClass"):
        tfclass_order(tmp_path / "e.obo", tfs)


def test_the_heat_map_uses_symbols_and_synonyms(
    tmp_path: Path, toy: BindingMatrix, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two genes that only the table of symbols tells apart: P is the second, Q the first."""
    obo = tmp_path / "two.obo"
    obo.write_text(
        "[Term]\nid: 1.1.1.1.1\nname: One\nxref: ENSEMBL:ENSG2\nsubset: Genus\n"
        "[Term]\nid: 1.1.1.1.2\nname: Two\nxref: ENSEMBL:ENSG1\nsubset: Genus\n"
    )
    table = tmp_path / "symbols.tsv"
    table.write_text("ensembl\tsymbol\nENSG1\tP\nENSG2\tQ\n")
    drawn: list[tuple[list[str], str]] = []
    plot = figures.plot_cosine

    def watched(similarity: Any, names: Any, title: str = "") -> Any:
        drawn.append((list(names), title))
        return plot(similarity, names, title)

    words = ["matrix", "info", str(toy.path), "--figures", str(tmp_path / "f")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "plot_cosine", watched)
        assert run_app(app, [*words, "--tfclass", str(obo)]) == 0
        assert run_app(app, [*words, "--tfclass", str(obo), "--symbols", str(table)]) == 0
    title = "toy (less-sparse), TFs in the order of TFClass"
    assert drawn == [(["P", "Q", "R"], title), (["Q", "P", "R"], title)]
    capsys.readouterr()
    for more, line in (
        (["--tfclass", str(obo), "--symbols", "nowhere"], "nowhere: no such file"),
        (["--symbols", str(table)], "no meaning without --tfclass"),
    ):
        assert run_app(app, [*words, *more]) == 2
        assert line in capsys.readouterr().err
    assert run_app(app, [*words[:3], "--tfclass", str(obo)]) == 2
    assert "no meaning without --figures" in capsys.readouterr().err
    axes = plot(np.eye(2), ["a", "b"], title).axes[0]
    assert axes.get_title(loc="left") == title


def test_the_published_tfs_are_found_in_the_real_tfclass(shared_data: Path) -> None:
    folder = shared_data / "motifs"
    tfs = ["ZZZ", "HNF4A", "JUN", "MYC", "FOS", "SP1"]
    for symbols in (None, folder / "human_TFs_cisbp2.00_families.tsv"):
        order = [tfs[i] for i in tfclass_order(folder / "TFClass_human.obo.gz", tfs, symbols)]
        assert order[-1] == "ZZZ"
        assert abs(order.index("FOS") - order.index("JUN")) == 1
        assert order.index("JUN") < order.index("MYC") < order.index("HNF4A")


def test_figures_are_drawn(toy: BindingMatrix, tmp_path: Path) -> None:
    paths = write_figures(tmp_path / "figures", toy, facts_of(toy))
    assert [path.name for path in paths] == ["matrix.png", "cosine.png", "bound.png", "common.png"]
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_commands(
    toy: BindingMatrix, genome: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(toy.path)
    assert run_app(app, ["matrix", "info", path, "--json", "--genome", str(genome)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {name: result[name] for name in ("name", "regions", "n_tfs", "experiments")} == {
        "name": "toy", "regions": 8, "n_tfs": 3, "experiments": 4
    }  # fmt: skip
    assert result["tfs"] == facts_of(toy, sequences=genome).as_json()["tfs"]
    assert run_app(app, ["matrix", "info", path, "--figures", str(tmp_path / "f")]) == 0
    shown = capsys.readouterr().out
    assert "toy (toy1): 8 regions of 60 bp, 4 cells, 3 TFs, 4 experiments" in shown
    assert "matrix.png" in shown
    assert run_app(app, ["matrix", "check", path]) == 0
    assert f"whole; its content is {toy.content_hash}" in capsys.readouterr().out
    out = tmp_path / "x.tsv"
    words = ["--to", "tsv", "--tfs", "P", "--cells", "b", "--rule", "full", "--out", str(out)]
    assert run_app(app, ["matrix", "export", path, *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"files": [str(out)], "left_out": {}}
    assert out.read_text().splitlines()[0] == "chrom\tstart\tend\tP"
    assert run_app(app, ["matrix", "common", path, "--n-tfs", "2", "--json"]) == 0
    chosen = json.loads(capsys.readouterr().out)
    assert chosen["published"] == {"tfs": ["P", "Q"], "regions": 5}
    assert chosen["maximum"]["tfs"] == ["P", "Q"]
    assert run_app(app, ["matrix", "export", path, "--to", "tsf", "--out", str(out)]) == 2
    assert "--to: expected npz or h5ad or tsv or fasta, found 'tsf'" in capsys.readouterr().err


def test_import_command(
    toy: BindingMatrix, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rule in ("sparse", "less-sparse"):
        export_matrix(toy, tmp_path / "in", "npz", layout="cells", rule=rule)
    out = str(tmp_path / "m.h5")
    assert run_app(app, ["matrix", "import", str(tmp_path / "in"), "--out", out]) == 0
    assert "3 TFs in 3 cells, 4 experiments; 8 of 8 regions" in capsys.readouterr().out
