"""Which options have a meaning together: the rules on a small verb, by a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer

from cistransfer.cli.command import run_app
from cistransfer.cli.plan import goes_with
from cistransfer.cli.verb import Done, verb
from cistransfer.options import option


@dataclass(frozen=True)
class Peaks:
    """Peaks."""

    peaks: Path = option(help="Peaks.")
    genome: Path = option(help="Genome FASTA.")
    window: int | None = option(None, min=1, help="Window.")


@dataclass(frozen=True)
class Made:
    """A set."""

    examples: Path = option(help="Set.")


@dataclass(frozen=True)
class Draw:
    """Negatives."""

    ratio: float = option(1.0, min=0.1, help="Ratio.")
    kinds: tuple[str, ...] = option(("gc",), choices=("gc", "any"), help="Kinds.")


@dataclass(frozen=True)
class Run:
    """Run."""

    out: Path = option(help="Folder.")
    target: str | None = option(None, help="Target.")
    n: int = option(5, flag="--n-tfs", needs=("target",), help="How many.")
    fixed: bool = option(False, against=("target",), help="Not chosen.")
    shares: tuple[float, ...] = option((1.0,), help="Shares.")
    sets: tuple[str, ...] = option((), repeat=True, flag="--set", help="Settings.")
    trunk: str | None = option(None, path=True, help="Trunk.")


CALLS: list[tuple[object, ...]] = []


def work(
    source: Annotated[Peaks | Made, "source of examples"],
    draw: Annotated[Draw | None, goes_with(Peaks)],
    run: Run,
) -> Done:
    """Work."""
    CALLS.append((source, draw, run))
    run.out.mkdir(exist_ok=True)
    return Done({"done": True}, ["done"], written=[run.out], used={"window": 200})


app = typer.Typer(rich_markup_mode=None)
verb(app, "work", work)


@app.callback()
def _root() -> None:
    pass


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    CALLS.clear()


PEAKS = ["--peaks", "p.bed", "--genome", "g.fa", "--out", "o"]
SET = ["--examples", "e", "--out", "o"]

REFUSED = {
    "no source": (["--out", "o"], "name one source of examples: --peaks with --genome, or "
                  "--examples (found none)"),
    "two sources": ([*PEAKS, "--examples", "e"], "(found --peaks, --examples)"),
    "lacks": (["--peaks", "p", "--out", "o"], "--peaks needs --genome: Genome FASTA."),
    "of another source": ([*SET, "--genome", "g"], "--genome has no meaning with --examples; drop"),
    "of a group of another": ([*SET, "--ratio", "2"], "--ratio has no meaning with --examples"),
    "with its default": ([*SET, "--ratio", "1.0"], "--ratio has no meaning with --examples"),
    "needs": ([*SET, "--n-tfs", "5"], "--n-tfs has no meaning without --target; drop it"),
    "against": ([*SET, "--fixed", "--target", "T"], "--fixed has no meaning with --target"),
    "no choice": ([*PEAKS, "--kinds", "gc,some"], "--kinds: expected gc or any, found 'some'"),
    "no number": ([*SET, "--shares", "1,a"], "--shares: expected a comma list of float, found"),
    "bounds": ([*PEAKS, "--ratio", "0"], "greater than or equal to 0.1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_ignored_is_refused(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = REFUSED[case]
    assert run_app(app, ["work", *words]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert CALLS == []


def test_the_function_gets_the_groups() -> None:
    words = [*PEAKS, "--kinds", "any, gc", "--shares", "0.5,1", "--set", "a=1", "--set", "b=2,3"]
    assert run_app(app, ["work", *words]) == 0
    (call,) = CALLS
    assert call == (
        Peaks(Path("p.bed"), Path("g.fa")),
        Draw(1.0, ("any", "gc")),
        Run(Path("o"), shares=(0.5, 1.0), sets=("a=1", "b=2,3")),
    )
    assert run_app(app, ["work", *SET]) == 0
    assert CALLS[-1] == (Made(Path("e")), None, Run(Path("o")))


def test_the_record_holds_what_had_a_meaning(tmp_path: Path) -> None:
    assert run_app(app, ["work", *SET]) == 0
    record = json.loads((tmp_path / "o" / "config.json").read_text())
    assert record["arguments"] == {
        "examples": str(tmp_path / "e"), "fixed": False, "out": str(tmp_path / "o"),
        "shares": [1.0],
    }  # fmt: skip
    assert record["used"] == {"window": 200}
    assert record["command"] == ["work"]


@pytest.mark.parametrize(
    "words",
    [
        [*SET, "--target", "T", "--shares", "0.25,1", "--set", "a=1"],
        [*PEAKS, "--kinds", "any", "--window", "7", "--fixed", "--trunk", "general"],
    ],
)
def test_a_record_is_a_config(words: list[str], tmp_path: Path) -> None:
    assert run_app(app, ["work", *words]) == 0
    record = tmp_path / "o" / "config.json"
    first = json.loads(record.read_text())
    assert run_app(app, ["work", "--config", "o"]) == 0
    assert json.loads(record.read_text()) == first
    assert vars(CALLS[1][2]) == {**vars(CALLS[0][2]), "out": tmp_path / "o"}
    assert run_app(app, ["work", "--config", str(record), "--shares", "0.75", "--out", "x"]) == 0
    assert (CALLS[-1][2].shares, CALLS[-1][2].out) == ((0.75,), Path("x"))


def test_another_source_on_the_command_line_replaces_that_of_the_config() -> None:
    assert run_app(app, ["work", *PEAKS, "--ratio", "3"]) == 0
    assert run_app(app, ["work", "--config", "o", "--examples", "e"]) == 0
    assert CALLS[-1][:2] == (Made(Path("e")), None)
    assert run_app(app, ["work", *SET, "--fixed"]) == 0
    assert run_app(app, ["work", "--config", "o", "--target", "T"]) == 0
    assert CALLS[-1][2].fixed is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ratoi": 3}, "config.json: no option 'ratoi' in 'arguments'; nearest: ratio"),
        ({"examples": "e"}, "(found --peaks, --examples)"),
        ({"n_tfs": 3}, "--n-tfs has no meaning without --target; drop it"),
        ({"kinds": ["some"]}, "--kinds: expected gc or any, found 'some'"),
        ({"window": "wide"}, "'--window': Input should be a valid integer"),
    ],
)
def test_an_edited_config_is_checked_as_the_command_line(
    change: dict[str, object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(app, ["work", *PEAKS]) == 0
    record = tmp_path / "o" / "config.json"
    content = json.loads(record.read_text())
    content["arguments"] |= change
    record.write_text(json.dumps(content))
    assert run_app(app, ["work", "--config", "o"]) == 2
    assert message in capsys.readouterr().err


def test_a_config_of_another_verb_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"command": ["play"], "arguments": {}}))
    assert run_app(app, ["work", "--config", "c.json"]) == 2
    assert "is of 'cistransfer play', not of 'cistransfer work'" in capsys.readouterr().err


def test_places_are_recorded_whole(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for trunk, recorded in (("general", "general"), ("run", str(tmp_path / "run"))):
        assert run_app(app, ["work", *SET, "--trunk", trunk]) == 0
        record = json.loads((tmp_path / "o" / "config.json").read_text())
        assert record["arguments"]["trunk"] == recorded


def test_records_of_format_1_named_every_option(tmp_path: Path) -> None:
    """What had no meaning in the run, or its default, is left out."""
    (tmp_path / "e").mkdir()
    arguments = {"examples": "e", "peaks": None, "ratio": 1.0, "kinds": "gc", "n_tfs": 5,
                 "fixed": False, "shares": "0.5", "out": "o", "genome": "g.fa"}  # fmt: skip
    content = {"command": ["work"], "arguments": arguments, "folder": str(tmp_path)}
    (tmp_path / "old.json").write_text(json.dumps(content))
    assert run_app(app, ["work", "--config", "old.json"]) == 0
    assert CALLS[-1] == (
        Made(tmp_path / "e"), None, Run(tmp_path / "o", shares=(0.5,))
    )  # fmt: skip
