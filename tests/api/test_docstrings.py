"""The names of the front door: loaded when used, quick, documented; their examples run."""

from __future__ import annotations

import doctest
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cistransfer as ct
from cistransfer.api.explain import locus_of

FUNCTIONS = [name for name in ct.__all__ if inspect.isroutine(getattr(ct, name))]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def test_importing_loads_nothing_heavy_and_names_load_when_used() -> None:
    code = (
        "import sys, cistransfer as ct; "
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'h5py', 'scipy', 'typer'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules); "
        "assert 'finetune' in dir(ct); "
        "assert not heavy & set(sys.modules); "
        "assert ct.FromPeaks.__name__ == 'FromPeaks'; "
        "assert callable(ct.open_matrix); "
        "assert 'torch' not in sys.modules; "
        "import cistransfer.report, cistransfer.examples, cistransfer.simulation; "
        "assert callable(ct.write_report) and callable(ct.simulate) and callable(ct.evaluate)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_name_is_that_of_a_room() -> None:
    rooms = {path.stem for path in Path(str(ct.__file__)).parent.iterdir()}
    assert not rooms & set(ct.__all__)


def test_type_checkers_see_the_same_names_in_the_same_places() -> None:
    stub = Path(str(ct.__file__)).with_suffix(".pyi").read_text(encoding="utf-8")
    seen = re.findall(r"from cistransfer\.(\S+) import (\w+) as \2", stub)
    assert {name: place for place, name in seen} == ct._ROOM_OF


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'fine_tune'"):
        ct.fine_tune  # noqa: B018


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_name_is_documented_with_an_example(name: str) -> None:
    text = inspect.getdoc(getattr(ct, name)) or ""
    assert text.endswith(tuple("'\"]>)}.,0123456789`abcdefghijklmnopqrstuvwxyz"))
    if name != "simulate":
        assert ">>> import cistransfer as ct" in text


@pytest.mark.parametrize("name", FUNCTIONS)
def test_examples_run(name: str, desk: Path) -> None:
    function = getattr(ct, name)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in doctest.DocTestFinder(recurse=False).find(function, name, globs={}):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def test_places_of_browsers() -> None:
    assert locus_of("chr1:1,001-1,200") == ("chr1", 1000, 1200)
    assert locus_of("chr1:5..5") == ("chr1", 4, 5)
    assert locus_of(("chr1", 4, 5)) == ("chr1", 4, 5)
