"""Verbs that are killed, or whose disk fails, lose nothing; ``make hard`` tries all of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hard_verbs import VERBS

from cistransfer.cli.main import VERBS as MODULES

SHORT = {"check", "models", "doctor", "rerun", "bundle", "data"}
"""Verbs that write nothing of their own, or copy."""
COMPOSED = {"accessibility": "example sets, and a study"}


def test_every_verb_that_runs_long_is_tried() -> None:
    known = {name.split()[0] for name in MODULES}
    assert known - {name.split(",")[0].split()[0] for name in VERBS} <= SHORT | COMPOSED.keys()


@pytest.mark.parametrize(("how", "verbs"), [("kills", "pretrain"), ("faults", "matrix build")])
def test_nothing_is_lost(how: str, verbs: str) -> None:
    if how == "faults" and shutil.which("cc") is None:
        pytest.skip("no C compiler for the layer that has writes fail")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("hard_runs.py")), how, "1", verbs],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
    assert len(rows) == len(verbs.split(","))
    assert all(int(row[2]) > 0 and row[4:6] == ["0", "0"] for row in rows), done.stdout
