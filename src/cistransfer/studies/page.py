"""The page of the papers' claims: what was found, what was not run, by which command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cistransfer.errors import InputError
from cistransfer.storage import write_text
from cistransfer.studies.collect import claims, results
from cistransfer.studies.schema import Study, catalogue, load_study
from cistransfer.studies.store import Store
from cistransfer.tables import markdown

__all__ = ["BEGIN", "END", "reproduction"]

BEGIN = "<!-- begin: written by 'cistransfer study collect --page' -->"
END = "<!-- end -->"
_HEAD = """# What the papers found, and what was found here
"""
_INTRO = (
    "*direction*: whether ours points the way that the paper's does. *test*: whether the same test "
    "says the same at 5 %. An empty cell: the paper has none. What was not run is listed below."
)


@dataclass(frozen=True)
class _Ran:
    """A study of the catalogue or of a user, with what was run of it."""

    declared: Study
    table: pd.DataFrame
    commands: tuple[str, ...] = ()


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
    found = _written(_ran(folders))
    page, text = Path(page), f"{_HEAD}\n{BEGIN}\n{found}{END}\n"
    if page.is_file():
        before = page.read_text(encoding="utf-8")
        head, begin, rest = before.partition(BEGIN)
        _, end, tail = rest.partition(END)
        if not (begin and end):
            raise InputError(f"{page}: expected a page with the lines {BEGIN} and {END}")
        text = f"{head}{BEGIN}\n{found}{END}{tail}"
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
        ran[declared.name] = _Ran(declared, results(store), tuple(content.get("commands", ())))
    nothing = pd.DataFrame()
    return {name: ran.get(name, _Ran(each, nothing)) for name, each in shipped.items()} | ran


def _written(studies: dict[str, _Ran]) -> str:
    rows = []
    for name, study in studies.items():
        if study.declared.claims:
            rows.append(claims(study.declared, study.table).assign(study=name))
    every = pd.concat(rows, ignore_index=True)
    every = every.iloc[sorted(range(len(every)), key=lambda i: (_order(every["claim"][i]), i))]
    not_run = every["here"] == "not run"
    lines = [_INTRO, "", markdown(every[~not_run].drop(columns="what it takes")), ""]
    lines += ["## By which commands", ""]
    lines += [
        "Each with `--out FOLDER` and `--file NAME=PATH` for the files that `study show` lists.",
        "",
    ]
    for name, study in studies.items():
        if study.commands:
            lines += [f"**{name}**: {study.declared.title}.", "", "```console"]
            lines += [*(f"$ {_short(each)}" for each in study.commands), "```", ""]
    if not_run.any():
        left = every.loc[not_run, ["claim", "in the paper", "what it takes"]]
        lines += ["## Not run", "", markdown(left.assign(command=every["study"].map(_command))), ""]
    return "\n".join(lines)


def _command(name: str) -> str:
    return f"`cistransfer study run {name}`"


def _short(command: str, most: int = 400) -> str:
    return command if len(command) <= most else f"{command[: most - 2]} …"


def _order(name: str) -> tuple[int, int, str]:
    """N2 before N10, the first paper before the second."""
    match = re.fullmatch(r"([A-Za-z]*)(\d*)(.*)", name)
    head, digits, rest = match.groups() if match else (name, "", "")
    return (("N", "C").index(head) if head in ("N", "C") else 2, int(digits or 0), head + rest)
