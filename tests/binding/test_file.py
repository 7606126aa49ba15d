"""The HDF5 file: wide genomes, damage, full disks."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from toymatrix import toy_parts

from cistransfer.binding.file import MatrixParts, _fill, narrowed, write_matrix
from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.errors import InputError


def parts_on(chroms: list[str], starts: list[int]) -> MatrixParts:
    """One cell, one TF, nothing bound, one region of 50 bp on each place."""
    n = len(starts)
    table = pd.DataFrame(
        {"tf": ["T"], "cell": ["c"], "accessions": [""], "peaks": True, "tfbs": True}
    ).assign(peak_rows=0, tfbs_rows=0)
    start = np.array(starts, dtype=np.int64)
    return MatrixParts(
        regions=pd.DataFrame({"chrom": chroms, "start": start, "end": start + 50}),
        region_ids=np.arange(n),
        cells=["c"],
        accessibility=np.packbits(np.ones((1, n), dtype=bool), axis=1),
        experiments=table,
        indptr=np.array([0, 0]),
        region=np.empty(0, np.int32),
        kind=np.empty(0, np.uint8),
        settings={"name": "wide", "genome": "x", "window": 50},
    )


def test_chromosomes_beyond_two_billion_bases(tmp_path: Path) -> None:
    starts = [(1 << 31) - 60, (1 << 31) - 50, 1 << 31, 3 << 31]
    write_matrix(tmp_path / "m.h5", parts_on(["chr1"] * 4, starts))
    matrix = open_matrix(tmp_path / "m.h5")
    assert matrix.regions["start"].tolist() == starts
    assert (matrix.regions["end"] - matrix.regions["start"]).tolist() == [50] * 4
    matrix.check()


@pytest.mark.parametrize("n", [65_536, 70_000])
def test_assemblies_of_many_scaffolds(tmp_path: Path, n: int) -> None:
    chroms = [f"s{i:06d}" for i in range(n)]
    write_matrix(tmp_path / "m.h5", parts_on(chroms, [7] * n))
    matrix = open_matrix(tmp_path / "m.h5")
    assert matrix.regions["chrom"].tolist() == chroms
    matrix.check()


def test_a_number_that_does_not_fit_is_refused() -> None:
    assert narrowed(np.array([0, 255]), np.uint8).tolist() == [0, 255]
    assert narrowed(np.array([], dtype=np.int64), np.uint8).dtype == np.uint8
    for wrong in (-1, 256):
        with pytest.raises(InputError, match=f"numbers from 0 to 255 there, found {wrong}"):
            narrowed(np.array([3, wrong]), np.uint8)


def test_a_name_that_hdf5_cannot_hold(tmp_path: Path) -> None:
    parts = dataclasses.replace(toy_parts(), cells=["a", "b", "c", "d\0"])
    with pytest.raises(InputError, match=r"cannot hold the character NUL, found 'd\\x00'"):
        write_matrix(tmp_path / "m.h5", parts)
    assert list(tmp_path.iterdir()) == []


def change(name: str, value: Any) -> Callable[[Any], None]:
    def apply(file: Any) -> None:
        data = np.asarray(value) if not isinstance(value, list) else value
        del file[name]
        file[name] = data

    return apply


def attribute(name: str, value: Any) -> Callable[[Any], None]:
    def apply(file: Any) -> None:
        file.attrs[name] = value

    return apply


ZEROS = np.zeros(8, np.int64)


@pytest.mark.parametrize(
    "spoil",
    [
        change("evidence/region", np.zeros(1, np.int32)),
        change("evidence/region", np.full(12, 99, np.int32)),
        change("evidence/kind", np.full(12, 9, np.uint8)),
        change("evidence/indptr", np.array([0, 9, 3, 12, 12])),
        change("evidence/indptr", np.zeros(3)),
        change("regions/chrom", np.full(8, 7, np.uint16)),
        change("regions/start", np.zeros(9, np.int32)),
        change("regions/width", np.zeros(8)),
        change("regions/chroms", ["chr1"]),
        change("accessibility", np.zeros((4, 9), np.uint8)),
        change("cells", ["a"]),
        change("cells", np.arange(4)),
        change("experiments/tf", ["P"]),
        change("experiments/peak_rows", np.zeros(4)),
        attribute("n_regions", 9),
        attribute("n_regions", -1),
        attribute("n_regions", "many"),
        attribute("settings", "{"),
        attribute("settings", "[]"),
        attribute("inputs", '[{"path": 3}]'),
        attribute("names_hash", "sha256:0"),
        attribute("format_version", "new"),
        attribute("content_hash", "sha256:0"),
    ],
)
def test_damage_is_one_line(toy: BindingMatrix, spoil: Callable[[Any], None]) -> None:
    with h5py.File(toy.path, "r+") as file:
        spoil(file)
    with pytest.raises(InputError, match=r"toy\.h5: the matrix file is damaged") as caught:
        read_all(toy.path)
    assert "\n" not in str(caught.value)


def read_all(path: Path) -> list[Any]:
    matrix = open_matrix(path)
    said = [matrix.regions.to_numpy().tolist(), matrix.region_ids.tolist()]
    said += [matrix.states(rule=rule).tolist() for rule in ("sparse", "peaks-only")]
    said += [matrix.accessible().tolist(), list(matrix.experiments["accessions"])]
    matrix.check()
    return said


def test_no_changed_byte_goes_unnoticed(toy: BindingMatrix, tmp_path: Path) -> None:
    """Whatever byte of the data changes, the matrix says the same as before or is refused."""
    whole = toy.path.read_bytes()
    before = read_all(toy.path)
    spoilt = tmp_path / "spoilt.h5"
    refused = 0
    for place in np.random.default_rng(0).integers(0, len(whole), 60).tolist():
        data = bytearray(whole)
        data[place] ^= 0xA5
        spoilt.write_bytes(data)
        try:
            assert read_all(spoilt) == before
        except InputError:
            refused += 1
    assert refused > 5


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short(toy: BindingMatrix, tmp_path: Path, share: float) -> None:
    whole = toy.path.read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match="cut short"):
        open_matrix(tmp_path / "cut.h5")


def test_sizes_are_compared_before_anything_is_read(toy: BindingMatrix) -> None:
    """A file may claim arrays that no memory holds."""
    with h5py.File(toy.path, "r+") as file:
        del file["regions/start"]
        file.create_dataset("regions/start", shape=(1 << 45,), dtype="i8", chunks=(1 << 20,))
        del file["experiments/tf"]
        file.create_dataset(
            "experiments/tf", shape=(1 << 40,), dtype=h5py.string_dtype(), chunks=(1 << 16,)
        )
    with pytest.raises(InputError, match="damaged"):
        open_matrix(toy.path)


def test_a_matrix_of_before_opens_and_is_checked(tmp_path: Path) -> None:
    """Files from before checksums and names_hash; their content hash is checked all the same."""
    write_matrix(tmp_path / "m.h5", toy_parts())
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        del file.attrs["names_hash"]
        for name in ("evidence/kind", "accessibility"):
            data = file[name][:]
            del file[name]
            file[name] = data
    open_matrix(tmp_path / "m.h5").check()
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        file["evidence/kind"][0] = 3 - file["evidence/kind"][0] % 2
        file["accessibility"][0, 0] ^= 1
    with pytest.raises(InputError, match="not what its content hash says"):
        open_matrix(tmp_path / "m.h5").check()


def test_a_locked_file_opens(toy: BindingMatrix) -> None:
    """File systems without locks must do: HDF5 is told to take none."""
    with open(toy.path, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert open_matrix(toy.path).tfs == toy.tfs


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs root and the right to mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


FULL = """
import sys
from cistransfer.binding.build import build_matrix
from cistransfer.errors import MachineError
try:
    build_matrix(sys.argv[1], "open.tsv", peaks=["p.tsv"], window=0)
except MachineError as error:
    print(error)
"""


def test_a_full_disk_ends_in_one_line(small_disk: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    starts = np.sort(rng.choice(5_000_000, 60_000, replace=False))
    rows = "".join(f"chr1\t{at}\t{at + 9}\n" for at in starts.tolist())
    (tmp_path / "open.bed").write_text(rows)
    (tmp_path / "open.tsv").write_text("cell\tfile\nK\topen.bed\n")
    (tmp_path / "p.tsv").write_text("file\ttf\tcell\nopen.bed\tT\tK\n")
    done = subprocess.run(
        [sys.executable, "-c", FULL, small_disk / "m.h5"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done
    assert done.stdout.strip().endswith("m.h5: cannot write: No space left on device")
    assert done.stderr == ""
    assert list(small_disk.iterdir()) == []


def test_the_same_parts_make_the_same_bytes(tmp_path: Path) -> None:
    parts = toy_parts()
    write_matrix(tmp_path / "a.h5", parts)
    write_matrix(tmp_path / "b.h5", dataclasses.replace(parts))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("shape", [(1,), (7,), (64,), (1000,), (3, 21), (2, 90)])
def test_blocks_are_what_the_filters_of_hdf5_read(shape: tuple[int, ...], dtype: type) -> None:
    values = np.random.default_rng(0).integers(0, 2 if dtype is np.bool_ else 250, shape)
    with h5py.File("any", "w", driver="core", backing_store=False) as file:
        for name, array in (("drawn", values.astype(dtype)), ("blank", np.zeros(shape, dtype))):
            made = file.create_dataset(
                name, shape, dtype, chunks=(*(1,) * (len(shape) - 1), min(33, shape[-1])),
                compression="gzip", compression_opts=1, shuffle=True, fletcher32=True,
            )  # fmt: skip
            _fill(made, array)
            np.testing.assert_array_equal(made[:], array)
            mask, held = made.id.read_direct_chunk((0,) * len(shape))
            assert mask == 0
            made.id.write_direct_chunk((0,) * len(shape), held[:-1] + bytes([held[-1] ^ 1]))
            with pytest.raises(OSError, match="filter returned failure"):
                made[:]
