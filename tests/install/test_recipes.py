"""The ways to install ask for the same packages, and what is cited is what is built on."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

import cistransfer

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}


def asked(line: str) -> tuple[str, str]:
    """Name and bounds of a requirement, of either ecosystem."""
    found = re.fullmatch(r"([A-Za-z0-9_.-]+)\s*(.*)", line.strip())
    assert found is not None
    return found[1].lower(), found[2].replace(" ", "")


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    text = (ROOT / "conda" / "meta.yaml").read_text(encoding="utf-8")
    made = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text)
    return yaml.safe_load(made.render(PYTHON="python"))


def test_the_conda_recipe_asks_for_what_pip_does(recipe: dict[str, Any]) -> None:
    ours = dict(map(asked, PROJECT["dependencies"]))
    wanted = {CONDA_NAMES.get(name, name): bounds for name, bounds in ours.items()}
    wanted["python"] = PROJECT["requires-python"]
    assert dict(map(asked, recipe["requirements"]["run"])) == wanted
    assert recipe["package"] == {"name": PROJECT["name"], "version": cistransfer.__version__}
    (entry,) = recipe["build"]["entry_points"]
    assert entry == f"cistransfer = {PROJECT['scripts']['cistransfer']}"
    assert recipe["about"]["license"] == PROJECT["license"]


def test_all_is_every_extra_for_users() -> None:
    (everything,) = EXTRAS["all"]
    assert asked(everything.partition("[")[0])[0] == "cistransfer"
    named = set(everything.partition("[")[2].rstrip("]").split(","))
    assert named == set(EXTRAS) - {"all", "dev", "docs"}


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == cistransfer.__version__ == citation["version"]
    assert citation["cff-version"] == "1.2.0"


def test_both_papers_are_cited() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"message", "title", "authors", "license"} <= set(citation)
    for paper in citation["references"]:
        assert {"type", "title", "authors", "journal", "year", "doi"} <= set(paper)
        assert all({"family-names", "given-names"} <= set(one) for one in paper["authors"])
    cited = {paper["doi"] for paper in citation["references"]}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert cited == set(re.findall(r"doi\.org/(10\.[^)\s]+)", readme))


def test_the_docker_file_is_sound() -> None:
    """What hadolint asks of it: pinned images, no root, no cache, files that exist."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    words = [word for word, _ in steps]
    assert words[0] == "FROM"
    assert words.index("USER") < words.index("ENTRYPOINT")
    for word, rest in steps:
        if word == "FROM":
            image, _, tag = rest.split()[0].partition(":")
            assert image == "python"
            assert re.fullmatch(r"3\.1[1-3]-slim-\w+", tag)
        if word == "COPY" and not rest.startswith("--from"):
            allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists()
                assert f"!{name}" in allowed
        if word == "RUN" and "pip" in rest:
            assert "--no-cache-dir" in rest
        assert word != "ADD"
    assert dict(steps)["USER"] != "root"
    assert dict(steps)["ENTRYPOINT"].startswith("[")


def test_the_demo_says_what_it_will_do() -> None:
    told = subprocess.run(
        ["make", "--no-print-directory", "demo-words"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "five minutes on two cores" in told
    assert "demo-run/simulated/report.html" in told
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "five minutes on two cores" in " ".join(readme.split())
