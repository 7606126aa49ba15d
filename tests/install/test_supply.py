"""What ``make audit`` concludes; nothing is asked of an index here."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("supply", Path(__file__).with_name("supply.py"))
assert _spec is not None
assert _spec.loader is not None
supply = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(supply)


def test_a_silent_index_is_no_clean_bill() -> None:
    answer = {
        "dependencies": [
            {"name": "a", "version": "1", "vulns": []},
            {"name": "b", "version": "2", "vulns": [{"id": "CVE-1"}, {"id": "CVE-2"}]},
            {"name": "c", "skip_reason": "not found"},
        ]
    }
    assert supply.vulnerable(answer) == (["b 2: CVE-1, CVE-2"], 2, 1)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND MIT", True),
        ("Public Domain; BSD License; GNU General Public License (GPL)", True),
        ("GPL-3.0-only OR MIT", True),
        ("GNU General Public License v3 (GPLv3)", False),
        ("AGPL-3.0", False),
        ("MIT AND GPL-2.0-only", False),
        ("", False),
        ("Proprietary", False),
    ],
)
def test_licences(text: str, allowed: bool) -> None:
    assert supply.is_allowed(text) == allowed


def test_every_package_of_the_constraints_that_is_here_may_be_used() -> None:
    lines = supply.CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    told = {
        name: supply.licence(name)
        for name in (line.partition("==")[0] for line in lines if "==" in line)
    }
    assert len(told) > 100
    assert [
        name
        for name, text in told.items()
        if text is not None and not supply.is_allowed(text, name)
    ] == []


def test_a_program_of_any_licence_is_no_dependency_of_users() -> None:
    pyproject = supply.CONSTRAINTS.with_name("pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(pyproject)["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    for name in supply.RUN_ONLY:
        assert [extra for extra, lines in asked.items() if name in str(lines)] == ["dev"]
