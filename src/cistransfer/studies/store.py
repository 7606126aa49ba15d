"""The folder of a study: which study and data it is of, its plan, one folder for each trial.

``study.toml``, ``study.json`` (name, files by content, trials, rows), ``trials/NAME/``
(``trial.json``: record, measurements, facts; ``files/``: what the trial made, where others read
it), ``failed/NAME.json``.
Everything appears whole or not at all, and a trial is there when its ``trial.json`` is, so any
number of processes can work on one folder.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cistransfer.errors import InputError, nearest, shown
from cistransfer.storage import (
    Kind,
    held_in,
    read_json,
    shaped,
    whole_folder,
    write_json,
    write_text,
)
from cistransfer.studies.steps import Measured
from cistransfer.studies.trial import Plan, Row, Trial

__all__ = ["TRIAL", "Done", "Store", "failure"]

TRIAL = Kind("trial", "trial.json", ("files/*",))
FILES = "files"
_NAME = re.compile("[0-9a-f]{16}")


@dataclass(frozen=True)
class Done:
    """A finished trial.

    Attributes
    ----------
    trial : Trial
    measured : tuple of Measured
    facts : dict
        How it went: ``seconds``, ``cpu_seconds``, ``memory_mb``, versions, device, and
        ``stacked``, how many trainings were one network, where it was not alone. Not part of the
        results: two runs of a trial differ in them.
    """

    trial: Trial
    measured: tuple[Measured, ...]
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As in ``trial.json``."""
        rows = [[each.metric, each.value, each.part, each.item] for each in self.measured]
        return {"trial": self.trial.to_json(), "measured": rows, "facts": self.facts}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Done:
        """Read ``trial.json``."""
        rows = tuple(Measured(*row) for row in content["measured"])
        for row in rows:
            words = (row.metric, row.part, row.item)
            if not isinstance(row.value, int | float) or any(
                type(each) is not str for each in words
            ):
                raise TypeError(f"measured {row.metric!r}: {row.value!r}")
        return cls(Trial.from_json(content["trial"]), rows, dict(content["facts"]))


def failure(trial: Trial, kind: str, text: str) -> dict[str, Any]:
    """The record of a trial that failed."""
    return {"trial": trial.to_json(), "kind": kind, "error": text}


class Store:
    """The folder of a study.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    @property
    def record(self) -> Path:
        return self.folder / "study.json"

    @property
    def declared(self) -> Path:
        """The study's file as it was run last."""
        return self.folder / "study.toml"

    def place(self, name: str) -> Path:
        """Folder of a trial."""
        return self.folder / "trials" / name

    def files(self, name: str) -> Path:
        """What a trial made for others."""
        return self.place(name) / FILES

    # Which study it is ---------------------------------------------------------------------------

    def claim(
        self, study: str, files: Mapping[str, str], plan: Plan, command: str, text: str
    ) -> None:
        """Take the folder for a study and add the plan to what it holds.

        Raises
        ------
        InputError
            When there is something else in the folder: another study, the same on other files, or
            no study at all.
        """
        before: dict[str, Any] = {}
        if self.record.is_file():
            before = self.read()
            if before["study"] != study:
                raise InputError(
                    f"{self.folder}: holds the study {before['study']!r}, not {study!r}; choose "
                    "another folder"
                )
            for name, digest in files.items():
                if before["files"].get(name, digest) != digest:
                    raise InputError(
                        f"{self.folder}: holds results of this study on other data ({name} "
                        "changed); choose another folder"
                    )
        elif self.folder.exists() and (not self.folder.is_dir() or held_in(self.folder)):
            raise InputError(
                f"{self.folder}: expected a new or empty folder, or one of a study (with "
                "study.json); name another"
            )
        points = {(row.strategy, row.point) for row in plan.rows}
        rows = [row for row in _rows(before) if (row.strategy, row.point) not in points]
        rows += plan.rows
        known = {n: Trial.from_json(each) for n, each in before.get("trials", {}).items()}
        whole = Plan({**known, **plan.trials}, rows)
        trials = {name: whole.trials[name].to_json() for name in whole.chain(whole.compared)}
        content = {
            "study": study,
            "files": {**before.get("files", {}), **files},
            "trials": dict(sorted(trials.items())),
            "kept": sorted({*before.get("kept", ()), *plan.kept}),
            "rows": [[row.strategy, dict(row.point), row.trial] for row in rows],
            "inputs": {**before.get("inputs", {}), **plan.inputs},
            "notes": plan.notes,
            "commands": list(dict.fromkeys([*before.get("commands", ()), command])),
        }
        if content != before:  # first: by it the folder is known as a study's
            write_json(self.record, content)
        if not self.declared.is_file() or self.declared.read_text(encoding="utf-8") != text:
            write_text(self.declared, text)

    def read(self) -> dict[str, Any]:
        """``study.json``."""
        if not self.record.is_file():
            raise InputError(
                f"{self.folder}: expected the folder of a study (with study.json), found none"
            )
        content = read_json(self.record, dict)
        for name, kind in (("study", str), ("files", dict), ("trials", dict), ("rows", list)):
            if not isinstance(content.get(name), kind):
                raise InputError(f"{self.record}: expected an entry {name!r}, found none")
        with shaped(self.record, "the record of a study"):
            _plan(content)
        return dict(content)

    def plan(self) -> Plan:
        """Everything that was ever asked of the folder."""
        return _plan(self.read())

    def models(
        self, strategies: Sequence[str] = (), axes: Mapping[str, Sequence[str]] | None = None
    ) -> list[dict[str, str]]:
        """Models that are kept of what is compared, in the order of work.

        Parameters
        ----------
        strategies : sequence of str
            By default all.
        axes : mapping, optional
            Axis → values; what does not depend on an axis is of every value.

        Returns
        -------
        list of dict
            ``strategy``, ``label``, ``folder`` (a run folder).

        Raises
        ------
        InputError
            For a strategy, an axis or a value that was not asked of the study.
        """
        plan, axes = self.plan(), dict(axes or {})
        known: dict[str, dict[str, None]] = {"strategy": {}}
        for row in plan.rows:
            known["strategy"][row.strategy] = None
            for name, value in row.point:
                known.setdefault(name, {})[value] = None
        for name, values in {"strategy": strategies, **axes}.items():
            if name not in known:
                raise InputError(f"{self.folder}: no axis {name!r}; {nearest(name, known)}")
            for value in values:
                if str(value) not in known[name]:
                    raise InputError(
                        f"{self.folder}: no {name} {value!r}; {nearest(str(value), known[name])}"
                    )
        return [
            {
                "strategy": row.strategy,
                "label": plan.label(row.trial),
                "folder": str(self.files(row.trial)),
            }
            for row in plan.rows
            if row.trial in plan.kept
            and self.has(row.trial, True)
            and (not strategies or row.strategy in strategies)
            and all(
                dict(row.point).get(name) in (None, *map(str, values))
                for name, values in axes.items()
            )
        ]

    # Trials --------------------------------------------------------------------------------------

    def has(self, name: str, kept: bool = False) -> bool:
        """Whether a trial is finished (and its files are there)."""
        place = self.place(name)
        return (place / TRIAL.marker).is_file() and (not kept or (place / FILES).is_dir())

    def finished(self, names: Iterable[str]) -> dict[str, Done]:
        """The finished ones of some trials."""
        found = {}
        for name in names:
            if self.has(name):
                path = self.place(name) / TRIAL.marker
                with shaped(path, "the record of a trial"):
                    found[name] = Done.from_json(read_json(path, dict))
        return found

    def put(self, done: Done, packed: bytes | None) -> None:
        """Keep a finished trial that was run elsewhere, and the files that it made."""
        import io

        with whole_folder(self.place(done.trial.name), TRIAL) as place:
            if packed is not None:
                unpack(io.BytesIO(packed), place / FILES)
            write_json(place / TRIAL.marker, done.to_json())
        self.forget(done.trial.name)

    def failed(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What is on record of those trials that failed and are not finished."""
        found = {}
        for name in names:
            path = self.folder / "failed" / f"{name}.json"
            if path.is_file() and not self.has(name):
                found[name] = read_json(path, dict)
        return found

    def fail(self, record: dict[str, Any]) -> None:
        """Keep why a trial failed."""
        name = Trial.from_json(record["trial"]).name
        write_json(self.folder / "failed" / f"{name}.json", record)

    def forget(self, name: str) -> None:
        """Forget that a trial failed."""
        (self.folder / "failed" / f"{name}.json").unlink(missing_ok=True)


def _plan(content: Mapping[str, Any]) -> Plan:
    """The plan that ``study.json`` holds."""
    trials = {name: Trial.from_json(each) for name, each in content["trials"].items()}
    plan = Plan(trials, _rows(content), set(content["kept"]), content["notes"], content["inputs"])
    names = {*trials, *plan.compared, *plan.chain(list(trials))}
    wrong = [name for name in names if name not in trials or not _NAME.fullmatch(name)]
    if wrong or not isinstance(plan.notes, list):
        raise ValueError(f"no trial {shown(wrong[0])!r}" if wrong else "notes")
    return plan


def _rows(content: Mapping[str, Any]) -> list[Row]:
    rows = []
    for label, point, trial in content.get("rows", []):
        for text in (label, *point.values()):
            if not isinstance(text, str):
                raise TypeError(f"expected text in a row, found {shown(text)}")
        rows.append(Row(label, tuple(point.items()), trial))
    return rows


def pack(folder: Path, stream: Any) -> None:
    """Write a file or a folder as a tar archive whose bytes depend on its content alone."""
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
        for path in paths:
            name = path.relative_to(folder).as_posix() if folder.is_dir() else path.name
            entry = archive.gettarinfo(path.resolve(), name)
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
            if entry.isreg():
                with open(path, "rb") as handle:
                    archive.addfile(entry, handle)
            elif entry.isdir():
                archive.addfile(entry)


def unpack(stream: Any, folder: Path) -> None:
    """Undo `pack`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=stream, mode="r") as archive:
        archive.extractall(folder, filter="data")
