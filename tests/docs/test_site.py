"""The site builds without a warning, from the code as it is, and no link in it leads nowhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from filelock import FileLock
from pages import DOCS, ROOT

import cistransfer as ct
from cistransfer.cli.main import app

NOTEBOOK = json.loads((DOCS / "notebook.ipynb").read_text(encoding="utf-8"))


def notebooks(place: Path) -> Path:
    """Where executed notebooks are kept: anew for these tests, unless a folder is named."""
    return Path(os.environ.get("CISTRANSFER_NOTEBOOKS", place / "notebooks"))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site, made once however many processes run the tests."""
    base = tmp_path_factory.getbasetemp()
    place = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "site"
    with FileLock(f"{place}.lock"):
        if not (place / "html" / "index.html").is_file():
            sphinx = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
            done = subprocess.run(
                [*sphinx, "-d", str(place / "doctrees"), str(DOCS), str(place / "html")],
                env={**os.environ, "CISTRANSFER_NOTEBOOKS": str(notebooks(place))},
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=1800,
                check=False,
            )
            if done.returncode:
                (place / "html" / "index.html").unlink(missing_ok=True)
                pytest.fail(done.stderr[-4000:])
    return place


@dataclass
class Page(HTMLParser):
    """Links, targets and pictures of one page."""

    links: list[str] = field(default_factory=list)
    targets: set[str] = field(default_factory=set)
    silent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what leads somewhere, and where something may lead."""
        of = {name: value or "" for name, value in attrs}
        self.targets |= {of[name] for name in ("id", "name") if name in of}
        self.links += [of[name] for name in ("href", "src") if name in of]
        if tag == "img" and (not of.get("alt", "").strip() or of["alt"] == of.get("src")):
            self.silent.append(of.get("src", "")[:80])


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


@pytest.fixture(scope="session")
def html(site: Path) -> dict[Path, Page]:
    return {path: read(path) for path in (site / "html").rglob("*.html")}


def test_every_link_inside_leads_somewhere(html: dict[Path, Page]) -> None:
    for path, page in html.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = there / "index.html" if there.is_dir() else there
            assert there.is_file(), f"{path.name}: {link}"
            if parts.fragment and there in html:
                known = html[there].targets
                assert unquote(parts.fragment) in known, f"{path.name}: {link}"


def test_nothing_is_fetched_by_a_reader(html: dict[Path, Page]) -> None:
    loaded = re.compile(r"<(?:script|img|iframe|source)[^>]+src=\"https?:|<link[^>]+href=\"https?:")
    for path in html:
        found = loaded.search(path.read_text(encoding="utf-8"))
        assert found is None or 'rel="canonical"' in found[0], f"{path.name}: {found}"


def test_pictures_say_what_they_show(html: dict[Path, Page]) -> None:
    assert [(path.name, page.silent) for path, page in html.items() if page.silent] == []


def test_every_verb_and_option_has_its_place(site: Path, html: dict[Path, Page]) -> None:
    def walk(command: Any, words: list[str]) -> None:
        inner = getattr(command, "commands", None)
        for name, each in (inner or {}).items():
            walk(each, [*words, name])
        if inner:
            return
        page = html[site / "html" / "cli" / f"{'-'.join(words)}.html"]
        for option in command.params:
            if option.param_type_name == "option" and not getattr(option, "hidden", False):
                place = f"cmdoption-cistransfer-{'-'.join(words)}-{option.opts[0].lstrip('-')}"
                assert place in page.targets, place

    walk(app, [])


def test_every_name_of_the_module_is_described(html: dict[Path, Page]) -> None:
    targets = set().union(*(page.targets for page in html.values()))
    names = {f"cistransfer.{name}" for name in ct.__all__ if not name.startswith("_")}
    assert names - targets == set()


def test_the_notebook_is_kept_without_outputs() -> None:
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    names = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(names)) == len(names)
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_the_notebook_shows_what_it_says(site: Path) -> None:
    (made,) = (notebooks(site) / "executed").rglob("*.ipynb")
    cells = {cell["id"]: cell for cell in json.loads(made.read_text(encoding="utf-8"))["cells"]}

    def shown(name: str) -> str:
        texts = []
        for output in cells[name].get("outputs", []):
            texts.append("".join(output.get("text", "")))
            texts.append("".join(output.get("data", {}).get("text/plain", "")))
        return "\n".join(texts)

    table = {line.split()[1]: line.split()[2:] for line in shown("cell-19").splitlines()[1:]}
    assert float(table["transfer"][0]) > float(table["gc"][0])
    assert "HNF4A" in shown("cell-15")
    assert "chr3" in shown("cell-31")
    assert any(name in shown("cell-33") for name in ("HNF4A", "HNF4G", "NR2F2", "RXRA"))
    assert re.search(r"^chr3:\d+:[ACGT]:[ACGT]$", shown("cell-35"), re.MULTILINE)
    assert "image/png" in str(cells["cell-32"]["outputs"])
    assert "nearest: HNF4G" in shown("cell-39")
