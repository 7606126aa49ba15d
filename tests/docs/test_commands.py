"""Every command and every Python call of the docs that is marked runs, in an empty folder.

Blocks of one page and name run in their order (those of all how-to pages together);
``<!-- prepare: NAME … -->`` holds commands that a page does not show.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from pages import DOCS, failures, prepared, scripts

from cistransfer.cli.command import run_app
from cistransfer.cli.main import app


def test_pages_have_marked_commands() -> None:
    names = [name for name, _ in scripts()]
    assert {"README.md:python", "tutorial.md:simulated", "howto:howto"} <= {*names}


@pytest.mark.parametrize(("name", "script"), scripts(), ids=[name for name, _ in scripts()])
def test_commands_run(name: str, script: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "error",
    }
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def wrong_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("errors")
    subprocess.run(["sh", "-eu", "-c", prepared(DOCS / "errors.md")], cwd=folder, check=True)
    return folder


@pytest.mark.parametrize(("words", "said"), [*failures()], ids=[said for _, said in failures()])
def test_errors_are_those_explained(
    words: str,
    said: str,
    wrong_files: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(wrong_files)
    assert run_app(app, shlex.split(words)) == 2
    assert " ".join(capsys.readouterr().err.splitlines()[-1].split()) == said
