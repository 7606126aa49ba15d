"""Examples of lists of windows."""

from __future__ import annotations

from pathlib import Path

import by_source
import numpy as np
import pandas as pd
import pytest

from cistransfer.examples.classes import multiclass_examples
from cistransfer.examples.dataset import PARTS
from cistransfer.examples.split import Split
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import Genome, write_fasta
from cistransfer.openness.lists import read_lists


@pytest.mark.parametrize("by", ["random", "neighbours"])
def test_one_window_is_in_one_part_of_all_cells(tmp_path: Path, by: str) -> None:
    rng = np.random.default_rng(0)
    write_fasta(tmp_path / "g.fa", {"c1": decode(rng.integers(0, 4, 4900, dtype=np.uint8))})
    (tmp_path / "lists").mkdir()
    for at, cell in enumerate("AB"):
        # 20 windows each of its own, of the other cell, of none; 5 off the chromosome's end.
        rows = [f"c1:{i * 60 + at * 20}-{i * 60 + at * 20 + 30},{cell}" for i in range(20)]
        rows += [f"c1:{i * 60 + 20 - at * 20}-{i * 60 + 50 - at * 20},{cell}_NEG" for i in range(5)]
        rows += [f"c1:{2000 + i * 40}-{2030 + i * 40},Negative" for i in range(60)]
        rows += [f"c1:{5000 + i * 40}-{5030 + i * 40},{cell}_NEG" for i in range(5 + at)]
        (tmp_path / "lists" / f"{cell}.csv").write_text("\n".join(rows) + "\n")
    lists, genome = read_lists(tmp_path / "lists"), Genome(tmp_path / "g.fa")
    sets = {
        cell: by_source.listed(lists, genome, cell, split=Split(by=by, fraction=0.2))
        for cell in "AB"
    }
    table = pd.concat([one.regions for one in sets.values()])
    assert len(sets["A"].codes) == len(sets["B"].codes) == 85
    assert (table.groupby(["chrom", "start"])["part"].nunique() == 1).all()
    assert set(multiclass_examples(sets).regions["part"]) == set(PARTS)
