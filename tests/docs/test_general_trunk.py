"""recipes/general-trunk.sh on a simulated release, as the authors' is laid out."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cistransfer.binding.build import build_matrix
from cistransfer.binding.export import export_matrix
from cistransfer.binding.matrix import open_matrix
from cistransfer.binding.published.read import import_published
from cistransfer.errors import InputError
from cistransfer.models.bundle import open_bundle
from cistransfer.openness.options import OpenOptions
from cistransfer.simulation import simulate

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "general-trunk.sh"
DHS = ("wgEncodeRegDnaseClustered.txt.gz", "wgEncodeRegDnaseClusteredSources.txt.gz")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `data get` brings, of a small world; the sequences of one chromosome are published."""
    folder = tmp_path_factory.mktemp("recipe") / "data"
    world = simulate(folder / "world", seed=5, regions=600, chromosomes=4).folder
    dhs = OpenOptions(
        world / DHS[0],
        dhs_sources=world / DHS[1],
        ucsc2encode=world / "ucsc2encode.tsv",
        samples=world / "samples.tsv",
    )
    peaks, tfbs = [world / "remap.bed.gz"], [world / "unibind_tfbs.tar.gz"]
    build_matrix(folder / "built.h5", dhs, peaks=peaks, tfbs=tfbs)
    matrix, release = open_matrix(folder / "built.h5"), folder / "published-matrices"
    for rule in ("sparse", "less-sparse"):
        export_matrix(matrix, release, "npz", layout="cells", rule=rule, tfs=matrix.tfs[:3])
    export_matrix(matrix, release, "fasta", sequences=str(world / "genome.fa"), chroms=["chr2"])
    (release / "regions_idx.pickle.gz").unlink()
    (folder / "dhs").mkdir()
    (folder / "hg38").mkdir()
    for name in (*DHS, "ucsc2encode.tsv"):
        shutil.copyfile(world / name, folder / "dhs" / name)
    shutil.copyfile(world / "genome.fa", folder / "hg38" / "hg38.fa.gz")  # told by its content
    return folder


def test_it_makes_a_trunk(data: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error",
        "VALID": "chr3",
        "TEST": "chr4",
        "OPTIONS": "--epochs 1 --max-regions 150",
    }
    done = subprocess.run(
        ["sh", RECIPE, tmp_path / "run", data],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "1/4" not in done.stdout
    built, matrix = open_matrix(data / "built.h5"), open_matrix(tmp_path / "run" / "matrix.h5")
    assert matrix.regions.equals(built.regions)
    tfs = matrix.tfs
    np.testing.assert_array_equal(matrix.states(tfs), built.states(tfs))
    trunk = open_bundle(tmp_path / "run" / "general.zip")
    assert trunk.tasks == tfs
    seen = trunk.regions()
    assert set(seen["chrom"]) <= {"chr1", "chr2", "chr3"}


def test_dhs_of_another_release_are_refused(data: Path, tmp_path: Path) -> None:
    """A cell fewer: regions that only it opens lack, and all behind them would be misplaced."""
    dhs = data / "dhs"
    whole = OpenOptions(dhs / DHS[0], dhs_sources=dhs / DHS[1], ucsc2encode=dhs / "ucsc2encode.tsv")
    lines = gzip.decompress((dhs / DHS[0]).read_bytes()).decode().splitlines(keepends=True)
    (tmp_path / "fewer.txt").write_text("".join(lines[1:]))
    (tmp_path / "end.txt").write_text("".join(lines[:-1]))
    for name, said in (("fewer.txt", "lie elsewhere by these DHS"), ("end.txt", "regions, and")):
        other = OpenOptions(
            tmp_path / name, dhs_sources=whole.dhs_sources, ucsc2encode=whole.ucsc2encode
        )
        with pytest.raises(InputError, match=said):
            import_published(data / "published-matrices", tmp_path / "m.h5", dhs=other)
    with pytest.raises(InputError, match="expected UCSC's clustered DHS table"):
        import_published(
            data / "published-matrices",
            tmp_path / "m.h5",
            dhs=OpenOptions(data / "world" / "samples.tsv"),
        )
