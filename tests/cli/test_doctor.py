"""The doctor says what is there and what is wrong, in words; only the latter ends with 2."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from cistransfer.api import doctor
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app

PROJECT = tomllib.loads(
    (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
)["project"]
NOT_FOR_USERS = {"all", "dev", "docs"}


def run(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    code = run_app(app, ["doctor", "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_where_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["doctor"]) == 0
    said = capsys.readouterr().out
    assert said.endswith("nothing is wrong\n")
    for word in ("torch", "allowed of", "GiB free", "151 TFs", "UTF-8"):
        assert word in said


def test_every_extra_is_looked_at() -> None:
    assert {*doctor.EXTRAS} == {*PROJECT["optional-dependencies"]} - NOT_FOR_USERS


def test_a_missing_extra_is_told_with_the_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(doctor.EXTRAS, "jaspar", ("no_such_module", "motifs"))
    code, told = run(capsys)
    assert code == 0
    assert "pip install 'cistransfer[jaspar]'" in str(told["found"])


def test_a_cache_that_cannot_be_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("CISTRANSFER_CACHE", str(tmp_path / "file" / "cache"))
    code, told = run(capsys)
    assert code == 2
    (wrong,) = told["wrong"]  # type: ignore[misc]
    assert "may not be written" in wrong
    assert "CISTRANSFER_CACHE" in wrong


@pytest.mark.parametrize(
    ("have", "asked", "outside"),
    [
        ("2.13.0+cpu", ">=2.11,<2.14", False),
        ("2.14.0", ">=2.11,<2.14", True),
        ("2.10.9", ">=2.11,<2.14", True),
        ("2.11", ">=2.11", False),
        ("1.26.4", ">=2.0", True),
    ],
)
def test_versions_that_do_not_fit(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    have: str,
    asked: str,
    outside: bool,
) -> None:
    monkeypatch.setattr(doctor, "requires", lambda _: [f"numpy{asked}", "scipy; extra == 'x'"])
    monkeypatch.setattr(doctor, "version", lambda _: have)
    code, told = run(capsys)
    assert (code, len(told["wrong"])) == ((2, 1) if outside else (0, 0))  # type: ignore[arg-type]


def test_a_gpu_that_torch_cannot_use_is_a_note(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.version.cuda", None)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    code, told = run(capsys)
    assert code == 0
    assert "built without CUDA" in str(told["notes"])
