"""Records of format 1 (before groups of options) are still configs."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cistransfer.cli.command import run_app
from cistransfer.cli.main import VERBS, app
from cistransfer.cli.plan import Given, Plan
from cistransfer.cli.record import plain
from cistransfer.cli.verb import _places
from cistransfer.errors import InputError
from cistransfer.storage import overwriting

# As cistransfer 0.1.0 wrote them before groups of options.
OLD: dict[str, dict[str, Any]] = {
    "finetune": {
        "architecture": None, "blacklist": None, "device": "cpu", "examples": "/r/examples",
        "fasta": None, "fold": "", "gc_bins": 20, "genome": None, "guard": None, "labelled": None,
        "matrix": None, "motif_tf": None, "motifs": None, "negatives": 1.0, "open_regions": None,
        "out": "/r/new", "peaks": None, "positive": None, "positives": None, "precision": "auto",
        "seed": 3, "settings": None, "split": "random", "start": "scratch", "strategy": None,
        "test_chroms": "", "tf": None, "valid_chroms": "", "window": None,
    },
    "pretrain": {
        "architecture": "danq", "device": "auto", "epochs": 2, "examples": None,
        "exclude": "SPI1,MAX", "fold": "", "genome": "/d/g.fa", "group": "random",
        "least_common": None, "matrix": "/d/m.h5", "modes": None, "most": 500, "motifs": None,
        "n": 4, "out": "/r/trunk", "partner_names": None, "partners": None, "precision": "auto",
        "regions": "common", "seed": 0, "settings": ["kernels=3"], "split": "chromosome",
        "strategy": "pretrain", "target": "HNF4A", "test_chroms": "chr1", "tfs": "",
        "valid_chroms": "chr2", "with_target": True,
    },
    "evaluate": {
        "allow_seen": False, "architecture": None, "baselines": "gc,kmer", "device": "auto",
        "draws": 7, "examples": None, "modes": None, "motifs": "/d/m.meme", "out": "/r/e",
        "part": "test", "runs": ["a", "b=c"], "trunk": None,
    },
}  # fmt: skip


@pytest.fixture
def settled(tmp_path: Path):
    def read(verb: str):
        command = app
        for word in verb.split():
            command = command.commands[word]
        content = {"command": verb.split(), "arguments": OLD[verb], "folder": str(tmp_path)}
        (tmp_path / "config.json").write_text(json.dumps(content))
        plan = command.callback.plan
        values, lenient = plan.of_record(tmp_path, verb.split())
        typed = {
            name: value.split(",") if plan.options[name].as_list and isinstance(value, str)
            else plan.options[name].kind(value) if plan.options[name].kind is Path
            and not plan.options[name].several else value
            for name, value in values.items()
        }  # fmt: skip
        return plan.settle(Given(typed, frozenset(), lenient))

    return read


def test_what_had_no_meaning_is_left_out(settled) -> None:
    """--split random beside --examples was recorded, and never done."""
    found = settled("finetune")
    assert found.arguments == {
        "device": "cpu", "examples": "/r/examples", "out": "/r/new", "precision": "auto",
        "seed": 3, "trunk": "scratch",
    }  # fmt: skip
    assert found.groups["holdout"] is None


def test_names_and_lists_are_todays(settled) -> None:
    found = settled("pretrain").arguments
    assert found["exclude_tfs"] == ["SPI1", "MAX"]
    assert (found["n_tfs"], found["max_regions"], found["region_set"]) == (4, 500, "common")
    assert (found["valid_chroms"], found["test_chroms"]) == (["chr2"], ["chr1"])
    assert found["set"] == ["kernels=3"]
    assert (found["target"], found["group"], found["with_target"]) == ("HNF4A", "random", True)
    evaluated = settled("evaluate").arguments
    assert (evaluated["runs"], evaluated["resamples"]) == (["a", "b=c"], 7)
    assert "motifs" not in evaluated  # no baseline read them


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("run", "{here}/run"),
        ("NAME=run", "NAME={here}/run"),
        ("net.py:Net", "{here}/net.py:Net"),
        ("general", "general"),
        ("NAME=general", "NAME=general"),
        ("a=b=run", "a=b={here}/run"),
        ("", ""),
        ("-", "-"),
    ],
)
def test_texts_that_name_files_become_absolute(value: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "net.py").touch()
    here = expected.replace("{here}", str(tmp_path))
    assert plain(value, path=True, folder=tmp_path) == here
    assert plain([value], path=True, folder=tmp_path) == [here]
    assert plain(value, path=lambda text: text != "run", folder=tmp_path) == (
        here if value != "run" else "run"
    )
    assert plain(value) == value


def test_what_is_not_an_earlier_output_is_replaced_only_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def simulate(*words: object) -> tuple[int, str]:
        asked = ["simulate", "--n-regions", "100", "--n-chroms", "3", *map(str, words)]
        return run_app(app, asked), capsys.readouterr().err

    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "todo.txt").write_text("todo")
    (mine / "truth.tsv").write_text("mine")
    (mine / "genome.fa").write_text("mine")
    code, said = simulate("--out", mine)
    assert code == 2
    assert "found genome.fa, todo.txt, truth.tsv; name another folder" in said
    code, said = simulate("--out", mine, "--overwrite")
    assert code == 0
    assert f"replaced: {mine / 'genome.fa'}\n" in said
    assert (mine / "todo.txt").read_text() == "todo"
    assert (mine / "truth.tsv").read_text() == "mine"
    code, said = simulate("--out", mine)
    assert (code, said) == (0, "")
    for text, held in (
        ('{"name": "mine"}', "no record of cistransfer"),
        ('{"command": ["evaluate"], "arguments": {}}', "the output of 'cistransfer evaluate'"),
    ):
        (mine / "config.json").write_text(text)
        code, said = simulate("--out", mine)
        assert code == 2
        assert f"config.json there is {held}, and would be replaced" in said
        assert (mine / "config.json").read_text() == text


def test_an_input_is_never_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bed, genome = tmp_path / "a.bed", tmp_path / "g.fa"
    bed.write_text("chr1\t10\t60\n")
    genome.write_text(">chr1\n" + "ACGT" * 50 + "\n")
    link = tmp_path / "link.bed"
    link.symlink_to(bed)
    for out in (bed, link, genome):
        words = ["predict", "general", "--regions", bed, "--genome", genome, "--out", out]
        assert run_app(app, [*map(str, words), "--overwrite"]) == 2
        flag = "--genome" if out == genome else "--regions"
        assert f"{out}: --out is {flag}, which would be replaced" in capsys.readouterr().err
    assert bed.read_text() == "chr1\t10\t60\n"


PEAKS = "--peaks p.bed --open o.bed --genome g.fa"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (f"finetune --trunk nowhere {PEAKS} --tf HNF4A", "HNF4A"),
        (f"finetune --trunk nowhere {PEAKS} --strategy probe", "probe"),
        (f"finetune --trunk scratch {PEAKS}", "scratch"),
        ("pretrain --matrix m.h5 --genome g.fa --architecture cnn", "cnn"),
        ("pretrain --matrix m.h5 --genome g.fa --strategy pretrain", "pretrain"),
        ("study run ladder --file matrix=m.h5", "ladder"),
    ],
)
def test_a_folder_called_as_a_word_is_no_input(
    words: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The second run of a command, into the folder of the first."""
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert run_app(app, [*words.split(), "--out", name]) == 2
    assert "which would be replaced" not in capsys.readouterr().err


PLANS = {
    words: Plan(getattr(import_module(f"cistransfer.cli.{module}"), function))
    for words, (module, _, function) in ((w, place.partition(":")) for w, place in VERBS.items())
}
WRITTEN = [
    (words, name)
    for words, plan in PLANS.items()
    for name, asked in plan.options.items()
    if name == "out" or asked.described.writes is not None
]


def test_every_option_that_names_an_output_is_known_to_be_one() -> None:
    """By its help: a new one that is not declared would replace what is not ours."""
    said = re.compile(r"^Write |\bto write\b|^(Run|Evaluation) folder\.$|^Folder (for|\()|^Where")
    for words, plan in PLANS.items():
        for name, asked in plan.options.items():
            part_of_a_page = (words, name) == ("study collect", "page")  # between two marks of it
            if asked.kind is Path and said.search(asked.described.help) and not part_of_a_page:
                assert (words, name) in WRITTEN, (words, name)
    assert {name for _, name in WRITTEN} == {"out", "figure", "figures", "save_modes"}


@pytest.mark.parametrize(("words", "name"), WRITTEN, ids=lambda each: str(each).replace("_", "-"))
def test_no_verb_replaces_a_file_that_is_not_an_earlier_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, name: str
) -> None:
    plan = PLANS[words]
    mine = tmp_path / "mine.png"
    mine.write_text("mine")
    given = {name: mine}
    with pytest.raises(InputError, match="expected a new name or an earlier output") as error:
        _places(plan, Given(given, frozenset(given)), words.split())
    assert str(mine) in str(error.value)
    with overwriting():
        assert _places(plan, Given(given, frozenset(given)), words.split()) == [mine]
    if plan.options[name].described.writes is not None:
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "thesis.txt").write_text("mine")
        with pytest.raises(InputError, match=r"in it\), found thesis.txt; name another folder"):
            _places(plan, Given({name: folder}, frozenset(given)), words.split())
    if {"out", "figure"} <= set(plan.options):
        both = {"out": tmp_path / "x", "figure": tmp_path / "x"}
        with pytest.raises(InputError, match="--figure and --out would be one file"):
            _places(plan, Given(both, frozenset(both)), [words])
