"""The recipe on real sequence in docs/accessibility.md, with tiny sizes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd

PAGE = Path(__file__).resolve().parents[2] / "docs" / "accessibility.md"
TINY = {r"--max-regions \d+": "--max-regions 150", r"--epochs \d+": "--epochs 1"}


def test_a_trunk_and_a_line_on_600_bp(shared_data: Path, tmp_path: Path) -> None:
    found = re.search(r"<!-- real: recipe -->\n```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    script = found[1]
    for size, tiny in TINY.items():
        assert re.search(size, script)
        script = re.sub(size, tiny, script)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DATA": str(shared_data),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error",
    }
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    card = json.loads((tmp_path / "K562" / "bundle" / "card.json").read_text())
    assert card["window"] == 600
    for name, tests in (("sets", {"chr22"}), ("listed", {"chr2", "chr22"})):
        before = pd.read_parquet(tmp_path / name / "pretraining" / "regions.parquet")
        trained = before[before["part"] != "test"]
        for cell in (tmp_path / name / "cells").iterdir():
            regions = pd.read_parquet(cell / "regions.parquet")
            assert (regions["end"] - regions["start"] == 600).all()
            held = regions[regions["part"] == "test"]
            assert set(held["chrom"]) == tests
            assert not set(held["chrom"]) & set(trained["chrom"])
    scores = json.loads((tmp_path / "evaluation" / "metrics.json").read_text())
    assert [model["name"] for model in scores["models"]] == ["K562", "gc"]
