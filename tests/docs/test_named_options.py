"""Every command of the docs and demos names verbs and options that exist, run or not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pages import ROOT, pages

from cistransfer.cli.main import app

PAGES = [*pages(), *sorted((ROOT / "demo").glob("*.sh"))]
COMMAND = re.compile(r"cistransfer ((?:[a-z]+ ?)+)((?:\\\n|[^\n`#&;|])*)")


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Verb and options of each command of a page."""
    root: Any = app
    found = []
    for match in COMMAND.finditer(text):
        words = match[1].split()
        if words[0] not in root.commands:
            continue
        depth = 2 if hasattr(root.commands[words[0]], "commands") and len(words) > 1 else 1
        flags = re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", match[2])
        found.append((" ".join(words[:depth]), flags))
    return found


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_options_exist(page: Path) -> None:
    root: Any = app
    for verb, flags in commands(page.read_text(encoding="utf-8")):
        command = root
        for word in verb.split():
            assert word in command.commands, f"{page.name}: no verb {verb}"
            command = command.commands[word]
        known = {name for option in command.params for name in option.opts + option.secondary_opts}
        for flag in flags:
            assert flag in {*known, "--help"}, f"{page.name}: {verb} has no option {flag}"


def test_commands_are_found() -> None:
    page = "`cistransfer matrix info M.h5 --rule full`\n\n"
    page += "cistransfer pretrain --out a \\\n  --n-tfs 3 # x\n"
    assert commands(page) == [("matrix info", ["--rule"]), ("pretrain", ["--out", "--n-tfs"])]
