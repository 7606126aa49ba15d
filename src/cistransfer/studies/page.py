"""The page of the papers' claims: what was found, what was not run, by which command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from cistransfer.errors import InputError
from cistransfer.storage import write_text
from cistransfer.studies.collect import claims, results
from cistransfer.studies.effort import Whole, mean_seconds, part_of
from cistransfer.studies.schema import Claim, Study, catalogue, load_study
from cistransfer.studies.store import Done, Store
from cistransfer.tables import markdown

__all__ = ["BEGIN", "END", "reproduction"]

BEGIN = "<!-- begin: written by 'cistransfer study collect --page' -->"
END = "<!-- end -->"
_HEAD = """# What the papers found, and what was found here
"""
_INTRO = (
    "*direction*: whether ours points the way that the paper's does. *test*: whether the same test "
    "says the same at 5 %. An empty cell: the paper has none. *on*: what the number rests on, of "
    "all trials of the experiment. What was not run is listed below."
)
_COMMANDS = (
    "A command runs what is missing of its study. The files by the names that the commands use, to "
    "be set to your own once:"
)
_NOT_RUN = (
    "*At least*: of the whole experiment, each trial at the mean time of those like it that were "
    "run here (most of them smaller). `--tfs 5 --draws 1 --budget 1h` and the axes of `study show` "
    "make a look of it."
)


@dataclass(frozen=True)
class _Ran:
    """A study of the catalogue or of a user, with what was run of it."""

    declared: Study
    table: pd.DataFrame
    commands: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    done: tuple[Done, ...] = field(default=(), repr=False)


def reproduction(folders: Sequence[str | Path], page: str | Path) -> str:
    """Write the page of the papers' claims: what was run, and what was not.

    Of a page that is there, what stands between `BEGIN` and `END` is written anew and everything
    else stays.

    Parameters
    ----------
    folders : sequence of path
        Of studies, in which something was run.
    page : path
        Markdown file to write.

    Returns
    -------
    str
        The page.

    Raises
    ------
    InputError
        For two folders of one study, or a page that was not written by this.
    """
    page = Path(page)
    head, tail = f"{_HEAD}\n", "\n"
    if page.is_file():
        head, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        _, end, tail = rest.partition(END)
        if not (begin and end):
            raise InputError(f"{page}: expected a page with the lines {BEGIN} and {END}")
    text = f"{head}{BEGIN}\n{_written(_ran(folders))}{END}{tail}"
    write_text(page, text)
    return text


def _ran(folders: Sequence[str | Path]) -> dict[str, _Ran]:
    """Every study of the catalogue and of the folders, by name."""
    shipped = catalogue()
    ran: dict[str, _Ran] = {}
    for folder in folders:
        store = Store(folder)
        content, declared = store.read(), load_study(store.declared)
        if declared.name in ran:
            raise InputError(f"{folder}: a folder of the study {declared.name!r} is named twice")
        own = shipped.get(declared.name)
        if own is not None and own.strategies == declared.strategies:
            declared = own  # its claims may be worded better since
        done = store.finished(store.plan().chain(store.plan().compared))
        ran[declared.name] = _Ran(
            declared,
            results(store),
            tuple(content.get("commands", ())),
            tuple(name for name in declared.files if name in content["files"]),
            tuple(done.values()),
        )
    nothing = pd.DataFrame()
    return {name: ran.get(name, _Ran(each, nothing)) for name, each in shipped.items()} | ran


def _written(studies: dict[str, _Ran]) -> str:
    seconds = mean_seconds(each for study in studies.values() for each in study.done)
    rows = []
    for name, study in studies.items():
        if study.declared.claims:
            found = claims(study.declared, study.table)
            rows.append(_with_effort(study, found, seconds).assign(study=name))
    every = pd.concat(rows, ignore_index=True)
    every = every.iloc[sorted(range(len(every)), key=lambda i: (_order(every["claim"][i]), i))]
    not_run = every["here"] == "not run"
    own = ["what it takes", "command"]
    lines = [_INTRO, "", markdown(every[~not_run].drop(columns=own)), ""]
    lines += ["## By which commands", "", _COMMANDS, "", *_files(studies), ""]
    for name, study in studies.items():
        if study.commands:
            lines += [f"**{name}**: {study.declared.title}.", "", "```sh"]
            lines += [*(_whole(each, name, study.files) for each in study.commands), "```", ""]
    if not_run.any():
        left = every.loc[not_run, ["claim", "in the paper", *own]]
        lines += ["## Not run", "", _NOT_RUN, "", markdown(left), ""]
    return "\n".join(lines)


def _with_effort(study: _Ran, found: pd.DataFrame, seconds: Mapping[str, float]) -> pd.DataFrame:
    """Claims with what the whole of each takes, and of how many trials what was run is."""
    takes, on, commands = [], [], []
    full = Whole(study.declared)
    for claim, row in zip(study.declared.claims, found.to_dict("records"), strict=True):
        whole = full.effort(claim, seconds)
        needs = f"{row['what it takes'].rstrip('.')}. " if row["what it takes"] else ""
        takes.append(f"{needs}{whole.words()}.")
        part = whole.trials > 1 and row["on"]
        on.append(f"{row['on']} of {whole.trials:,}" if part else row["on"])
        commands.append(f"`{_command(study.declared, claim)}`")
    return found.assign(**{"on": on, "what it takes": takes, "command": commands})


def _files(studies: dict[str, _Ran]) -> list[str]:
    """Shell variables for the files of what was run, and what each is."""
    told: dict[str, str] = {}
    for study in studies.values():
        for name in study.files:
            told.setdefault(name, study.declared.files[name].help)
    return ["```sh", *(f"{name.upper()}={name}  # {told[name]}" for name in told), "```"]


def _whole(command: str, name: str, files: Sequence[str]) -> str:
    """A command with its files, as variables, and its folder."""
    given = " ".join(f'--file {each}="${each.upper()}"' for each in files)
    return f"{command} {given} --out {name}".replace("  ", " ")


def _command(study: Study, claim: Claim) -> str:
    """The command for all that a claim is about."""
    strategies, axes = part_of(study, claim)
    words = ["cistransfer", "study", "run", study.name]
    flags = {"tf": "--tfs", "size": "--sizes"}
    for axis, values in axes.items():
        text = ",".join(map(str, values))
        words += [flags[axis], text] if axis in flags else ["--axis", f"{axis}={text}"]
    if strategies:
        words += ["--strategies", ",".join(strategies)]
    return shlex.join(words)


def _order(name: str) -> tuple[int, int, str]:
    """N2 before N10, the first paper before the second."""
    match = re.fullmatch(r"([A-Za-z]*)(\d*)(.*)", name)
    head, digits, rest = match.groups() if match else (name, "", "")
    return (("N", "C").index(head) if head in ("N", "C") else 2, int(digits or 0), head + rest)
