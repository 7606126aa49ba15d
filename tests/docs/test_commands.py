"""Every command and every Python call of the docs that is marked runs, in an empty folder.

Blocks of one page and name run in their order; ``<!-- prepare: NAME … -->`` holds commands that a
page does not show.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"<!-- run: (?P<name>\w+) -->\n```(?P<language>bash|python)\n(?P<code>.*?)```"
    r"|<!-- prepare: (?P<hidden>\w+)\n(?P<commands>.*?)-->",
    re.DOTALL,
)


def scripts() -> list[tuple[str, str]]:
    """One shell script per page and name: its marked blocks, joined."""
    joined: dict[str, list[str]] = {}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            code = block["commands"] or block["code"]
            if block["language"] == "python":
                code = f"python - <<'END'\n{code}\nEND"
            joined.setdefault(f"{page.name}:{block['name'] or block['hidden']}", []).append(code)
    return [(name, "\n".join(codes)) for name, codes in joined.items()]


def test_pages_have_marked_commands() -> None:
    names = [name for name, _ in scripts()]
    assert {"README.md:python", "tutorial.md:simulated", "variants-and-tracks.md:places"} <= {
        *names
    }


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
