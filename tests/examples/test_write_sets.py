"""Folders of sets: runs into a folder that holds the sets of an earlier run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cistransfer.errors import InputError
from cistransfer.examples import write_sets as module
from cistransfer.examples.sources import FromOpenness
from cistransfer.examples.write_sets import write_sets
from cistransfer.genome.bed import regions_table
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import Genome, write_fasta
from cistransfer.openness.regions import OpenRegions

CHROMS = ("c1", "c2", "c3", "c4")


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("made") / "genome.fa"
    write_fasta(
        path, {chrom: decode(rng.integers(0, 4, 30_000, dtype=np.uint8)) for chrom in CHROMS}
    )
    return Genome(path)


@pytest.fixture(scope="module")
def opened() -> OpenRegions:
    rng = np.random.default_rng(4)
    start = np.tile(np.arange(60) * 400 + 100, len(CHROMS))
    regions = regions_table(np.repeat(CHROMS, 60), start, start + 50)
    return OpenRegions(regions, {cell: rng.random(len(start)) < 1 / 3 for cell in "ABCD"})


def source(opened: OpenRegions, genome: Genome, *cells: str) -> FromOpenness:
    return FromOpenness(opened, cells, genome, window=50)


def sets_in(out: Path) -> set[str]:
    return {str(found.parent.relative_to(out)) for found in out.rglob("dataset.json")}


def test_sets_that_are_not_made_again_are_removed(
    opened: OpenRegions, genome: Genome, tmp_path: Path
) -> None:
    out = tmp_path / "sets"
    write_sets(
        out,
        source(opened, genome, "A", "B", "C"),
        backgrounds=["tiles", "shuffled"],
    )
    assert sets_in(out) == {
        "pretraining", "pretraining-shuffled", "cells/A", "cells/B", "cells/C", "multiclass",
    }  # fmt: skip
    for mine in ("notes.txt", "models/A/dataset.json", "cells/notes/a.txt", "cells/b.txt",
                 "cells/.A.part/dataset.json"):  # fmt: skip
        (out / mine).parent.mkdir(parents=True, exist_ok=True)
        (out / mine).write_text("mine")
    table = write_sets(out, source(opened, genome, "A", "B"))
    expected = {"pretraining", "cells/A", "cells/B", "multiclass"}
    assert set(table["set"]) == expected
    assert sets_in(out) == expected | {"models/A", "cells/.A.part"}
    assert (out / "notes.txt").is_file()
    assert (out / "cells/notes/a.txt").is_file()
    assert (out / "cells/b.txt").is_file()
    assert set(pd.read_csv(out / "sets.tsv", sep="\t")["set"]) == expected


def test_a_run_that_ends_early_leaves_no_table(
    opened: OpenRegions, genome: Genome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "sets"
    write_sets(out, source(opened, genome, "A", "B"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_examples", killed)
    with pytest.raises(KeyboardInterrupt):
        write_sets(out, source(opened, genome, "A", "B"))
    assert not (out / "sets.tsv").exists()
    assert (out / "pretraining" / "dataset.json").is_file()


def test_a_request_that_fails_leaves_the_earlier_run(
    opened: OpenRegions, genome: Genome, tmp_path: Path
) -> None:
    out = tmp_path / "sets"
    write_sets(out, source(opened, genome, "A", "B"))
    with pytest.raises(InputError, match="hold no 'universal' negatives"):
        write_sets(
            out,
            source(opened, genome, "A", "C"),
            published_multiclass=True,
        )
    assert (out / "sets.tsv").is_file()
    assert "cells/B" in sets_in(out)


def test_no_background(opened: OpenRegions, genome: Genome, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^expected at least one background: tiles, shuffled"):
        write_sets(tmp_path, source(opened, genome, "A", "B"), backgrounds=[])


def test_a_file_in_the_way(opened: OpenRegions, genome: Genome, tmp_path: Path) -> None:
    (tmp_path / "sets").write_text("")
    with pytest.raises(InputError, match="sets"):
        write_sets(tmp_path / "sets", source(opened, genome, "A", "B"))
