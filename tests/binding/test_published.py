"""The authors' own files: import, and export into their layout."""

from __future__ import annotations

import gzip
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cistransfer.binding.export import export_matrix
from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.binding.published.indices import read_index, read_region_index, write_index
from cistransfer.binding.published.read import ImportReport, import_published, npy_rows
from cistransfer.errors import InputError
from cistransfer.genome.fasta import read_fasta

Imported = tuple[BindingMatrix, ImportReport]
SIX = ("ARNT", "ATF4", "ERG", "SREBF2", "VDR", "ZNF740")
LAYOUT = Path("matrix/UCSC/200bp")


def test_import_of_the_six_published_tfs(imported: Imported) -> None:
    matrix, report = imported
    assert matrix.tfs == SIX
    assert (report.regions_in_files, report.regions) == (1_817_918, 23_015 + 1_905)
    assert (report.experiments, len(report.cells_without_experiments)) == (11, 45)
    assert set(matrix.regions["end"] - matrix.regions["start"]) == {200}
    ids = matrix.region_ids
    in_21, in_y = (matrix.regions["chrom"] == chrom for chrom in ("chr21", "chrY"))
    assert ids[in_21].tolist() == list(range(1_001_238, 1_024_253))
    assert ids[in_y].tolist() == list(range(1_816_013, 1_817_918))


@pytest.mark.parametrize("rule", ["sparse", "less-sparse"])
def test_import_equals_the_build(imported: Imported, real_matrix: BindingMatrix, rule: str) -> None:
    matrix, _ = imported
    shared = matrix.regions.reset_index().merge(
        real_matrix.regions.reset_index(), on=["chrom", "start", "end"], suffixes=("", "_built")
    )
    assert len(shared) == 17_840
    mine = matrix.states(SIX, rule)
    built = real_matrix.states(SIX, rule)
    np.testing.assert_array_equal(mine[shared["index"]], built[shared["index_built"]])
    for tf in SIX:
        cells = matrix.cells_of(tf)
        assert cells == real_matrix.cells_of(tf)
        np.testing.assert_array_equal(
            matrix.states_by_cell(tf, rule, cells)[shared["index"]],
            real_matrix.states_by_cell(tf, rule, cells)[shared["index_built"]],
        )
    # What the build has no region for is resolved for no TF.
    elsewhere = np.ones(len(matrix), dtype=bool)
    elsewhere[shared["index"]] = False
    assert (mine[elsewhere] == -1).all()


@pytest.mark.parametrize("tf", ["ERG"])
@pytest.mark.parametrize("rule", ["sparse", "less-sparse"])
def test_import_then_export_equals_the_published_file(
    imported: Imported, shared_data: Path, tmp_path: Path, tf: str, rule: str
) -> None:
    matrix, _ = imported
    files = export_matrix(matrix, tmp_path, "npz", layout="cells", rule=rule, tfs=[tf]).files
    name = f"matrix2d.{tf}.ReMap+UniBind.{rule}.npz"
    assert name in {path.name for path in files}
    place = shared_data / "published-matrix-format" / LAYOUT
    cells = read_index(place / "samples_idx.pickle.gz")
    ours = dict(zip(matrix.cells, npy_rows(tmp_path / name), strict=True))
    published = dict(zip(cells, npy_rows(place / name), strict=True))
    for cell, values in published.items():
        if cell in ours:
            np.testing.assert_array_equal(ours[cell], values[matrix.region_ids])
        else:
            assert np.isnan(values).all()


def test_export_then_import_gives_the_matrix_back(toy: BindingMatrix, tmp_path: Path) -> None:
    for rule in ("sparse", "less-sparse"):
        export_matrix(toy, tmp_path / "out", "npz", layout="cells", rule=rule)
    import_published(tmp_path / "out", tmp_path / "back.h5")
    back = open_matrix(tmp_path / "back.h5")
    assert back.tfs == toy.tfs
    assert back.cells == ("a", "b", "c")  # nothing is assayed in d
    assert back.regions.equals(toy.regions)
    for rule in ("sparse", "less-sparse", "full"):
        np.testing.assert_array_equal(back.states(rule=rule), toy.states(rule=rule))
        for tf in toy.tfs:
            np.testing.assert_array_equal(
                back.states_by_cell(tf, rule), toy.states_by_cell(tf, rule, back.cells)
            )


def test_aggregated_and_per_cell_arrays(toy: BindingMatrix, tmp_path: Path) -> None:
    export_matrix(toy, tmp_path, "npz", rule="less-sparse")
    export_matrix(toy, tmp_path, "npz", rule="sparse", layout="cells", cells=["a"])
    whole = np.load(tmp_path / "matrix2d.ReMap+UniBind.less-sparse.npz")["arr_0"]
    assert whole.dtype == np.float64
    states = toy.states(rule="less-sparse")
    np.testing.assert_array_equal(np.nan_to_num(whole, nan=-1), states)
    cell = np.load(tmp_path / "matrix2d.a.ReMap+UniBind.sparse.npz")["arr_0"]
    np.testing.assert_array_equal(np.nan_to_num(cell, nan=-1), toy.states(cells=["a"]))
    assert read_index(tmp_path / "tfs_idx.pickle.gz") == {"P": 0, "Q": 1, "R": 2}
    assert read_region_index(tmp_path / "regions_idx.pickle.gz")["chr10", 5, 65] == 3


def test_three_dimensional_scores(toy: BindingMatrix, tmp_path: Path) -> None:
    export_matrix(toy, tmp_path, "npz", layout="scores")
    stored = np.load(tmp_path / "matrix3d.npz")
    dense = np.zeros(stored["shape"], dtype=int)
    dense[tuple(stored["coords"])] = stored["data"]
    assert dense.shape == (4, 8, 3)
    for row, cell in enumerate(toy.cells):
        for at, tf in enumerate(toy.tfs):
            assert dense[row, :, at].tolist() == toy.scores(tf, cell).tolist()


def test_fasta_in_the_published_layout(
    imported: Imported, shared_data: Path, tmp_path: Path
) -> None:
    matrix, _ = imported
    place = shared_data / "published-matrix-format" / LAYOUT
    one = place / "sequences.200bp.chr21.fa.gz"
    with pytest.raises(InputError, match="no sequence for chrY"):
        export_matrix(matrix, tmp_path / "no", "fasta", sequences=one, chroms=["chr21", "chrY"])
    with pytest.raises(InputError, match="no region on chromosome 'chr2'; nearest: chr21"):
        export_matrix(matrix, tmp_path / "no", "fasta", sequences=one, chroms=["chr2"])
    assert list(tmp_path.iterdir()) == []
    only = export_matrix(matrix, tmp_path / "only", "fasta", sequences=one)
    assert [path.name for path in only.files] == ["sequences.200bp.chr21.fa.gz"]
    assert only.left_out == {"chrY": 1905}
    (tmp_path / "in").mkdir()
    for name in ("sequences.500bp.chrY.fa.gz", "sequences.200bp.chr21.fa.gz"):
        shutil.copy(place / name, tmp_path / "in")
    files = export_matrix(matrix, tmp_path / "out", "fasta", sequences=tmp_path / "in").files
    assert [path.name for path in files] == [
        "sequences.200bp.chr21.fa.gz",
        "sequences.200bp.chrY.fa.gz",
    ]
    published = read_fasta(place / "sequences.200bp.chr21.fa.gz")
    for mine, theirs in zip(read_fasta(files[0]), published, strict=True):
        assert mine == (theirs[0], theirs[1].upper())


class Evil:
    """Runs a command when it is unpickled by an ordinary unpickler."""

    def __reduce__(self) -> Any:
        return os.system, ("touch evil-was-here",)


class Extra:
    """Anything that is not dict, str, int or tuple."""


@pytest.mark.parametrize(
    "content",
    [Evil(), {"A": Evil()}, {"A": Extra()}, {"A": Extra}, {"A": np.int64(0)}, {"A": print}],
)
def test_pickles_that_name_code_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: object
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "samples_idx.pickle.gz"
    path.write_bytes(gzip.compress(pickle.dumps(content)))
    with pytest.raises(InputError, match="may hold nothing but dict, str, int and tuple"):
        read_index(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([("A", 0)], "expected an index"),
        ({"A": 0.0}, "expected str → int"),
        ({"A": True}, "expected str → int"),
        ({("A",): 0}, "expected str → int"),
        ({b"A": 0}, "expected str → int"),
        ({"A": [0]}, "expected str → int"),
        ({"A": 1}, "expected the numbers 0 to 0"),
        ({"A": 0, "B": 0}, "expected the numbers 0 to 1, each once"),
    ],
)
def test_pickles_of_other_values_are_refused(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "tfs_idx.pickle.gz"
    path.write_bytes(gzip.compress(pickle.dumps(content)))
    with pytest.raises(InputError, match=message):
        read_index(path)


def test_region_index_and_damaged_pickles(tmp_path: Path) -> None:
    path = tmp_path / "regions_idx.pickle.gz"
    write_index(path, {("chr1", 0, 9): 0, ("chr2", 5, 7): 1})
    assert read_region_index(path) == {("chr1", 0, 9): 0, ("chr2", 5, 7): 1}
    for wrong in ({("chr1", 0): 0}, {("chr1", "0", 9): 0}, {"chr1": 0}, {("c", 0, 1 << 70): 0}):
        path.write_bytes(gzip.compress(pickle.dumps(wrong)))
        with pytest.raises(InputError, match=r"expected \(str, int, int\) → int"):
            read_region_index(path)
    whole = gzip.compress(pickle.dumps({"A": 0}))
    for broken, message in (
        (whole[:-9], "cut short"),
        (b"nothing", "refused"),
        (gzip.compress(b"\x80\x04garbage"), "refused"),
        (gzip.compress(b""), "cut short|refused"),
    ):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=message):
            read_index(path)
    with pytest.raises(InputError, match="no such file"):
        read_index(tmp_path / "none")


@pytest.fixture
def release(toy: BindingMatrix, tmp_path: Path) -> Path:
    """A small release in the published layout."""
    for rule in ("sparse", "less-sparse"):
        export_matrix(toy, tmp_path / "release", "npz", layout="cells", rule=rule)
    for cell in toy.cells:
        for rule in ("sparse", "less-sparse"):
            (tmp_path / "release" / f"matrix2d.{cell}.ReMap+UniBind.{rule}.npz").unlink()
    return tmp_path / "release"


def rewrite(release: Path, name: str, change: Any) -> None:
    path = release / f"matrix2d.{name}.npz"
    array = change(np.load(path)["arr_0"])
    np.savez_compressed(path, array)


def put(value: float, *at: int) -> Any:
    def change(array: Any) -> Any:
        array[at] = value
        return array

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("P.ReMap+UniBind.sparse", put(2.0, 0, 0), "sparse 2.0 and less-sparse 0.0"),
        ("P.ReMap+UniBind.sparse", put(1.0, 0, 0), "sparse 1.0 and less-sparse 0.0"),
        ("P.ReMap+UniBind.less-sparse", put(0.0, 0, 3), "sparse 1.0 and less-sparse 0.0"),
        ("P.ReMap+UniBind.sparse", lambda a: a[:3], "expected 4 rows|expected 4 cells"),
        ("P.ReMap+UniBind.sparse", lambda a: a[:, :7], "expected 4 cells × more than 7 regions"),
        (
            "P.ReMap+UniBind.sparse",
            lambda a: np.nan_to_num(a).astype(int),
            "expected one 2-D float array",
        ),
        ("P.ReMap+UniBind.sparse", lambda a: a[0], "expected one 2-D float array"),
        ("P.ReMap+UniBind.sparse", lambda a: a.astype(object), "no array of numbers"),
        ("Q.ReMap+UniBind.less-sparse", put(np.nan, 1, 1), "sparse 0.0 and less-sparse nan"),
    ],
)
def test_arrays_that_cannot_be(
    release: Path, tmp_path: Path, name: str, change: Any, message: str
) -> None:
    rewrite(release, name, change)
    with pytest.raises(InputError, match=message):
        import_published(release, tmp_path / "m.h5")


def test_files_of_two_releases(release: Path, tmp_path: Path) -> None:
    for rule in ("sparse", "less-sparse"):
        rewrite(release, f"Q.ReMap+UniBind.{rule}", put(np.nan, 1, 2))
    with pytest.raises(InputError, match=r"cell 'b' differ .* not of one release"):
        import_published(release, tmp_path / "m.h5")


def test_missing_and_damaged_files(release: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.h5"
    array = release / "matrix2d.P.ReMap+UniBind.sparse.npz"
    whole = array.read_bytes()
    array.write_bytes(whole[:100])
    with pytest.raises(InputError, match=r"not a readable \.npz file, or cut short"):
        import_published(release, out)
    with zipfile.ZipFile(array, "w") as archive:
        archive.writestr("arr_0.npy", np.lib.format.magic(1, 0) + b"\x10\x00garbage")
    with pytest.raises(InputError, match=r"damaged, or no array of numbers"):
        import_published(release, out)
    array.write_bytes(whole)
    (release / "matrix2d.P.ReMap+UniBind.less-sparse.npz").unlink()
    with pytest.raises(InputError, match=r"less-sparse\.npz is missing"):
        import_published(release, out)
    (release / "regions_idx.pickle.gz").unlink()
    with pytest.raises(InputError, match="the places of the regions are in none of"):
        import_published(release, out)
    (release / "samples_idx.pickle.gz").unlink()
    with pytest.raises(InputError, match=r"one folder with samples_idx\.pickle\.gz, found none"):
        import_published(release, out)
    with pytest.raises(InputError, match="expected a folder"):
        import_published(tmp_path / "none", out)
    assert not out.exists()
