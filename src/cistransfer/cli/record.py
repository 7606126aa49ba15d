"""The record of a run (``config.json``): what was asked, what was used; reading it back."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cistransfer import __version__
from cistransfer.errors import InputError
from cistransfer.storage import check_output, is_stream, read_json, write_record

__all__ = [
    "FORMAT",
    "GONE",
    "Config",
    "check_place",
    "plain",
    "read_config",
    "write_config",
]

FORMAT = 2
"""Of the record: 1 named every option of the verb, also those that had no meaning in the run."""

RENAMED: dict[str, dict[str, str]] = {
    "finetune": {"from": "trunk"},
    "predict": {"bundle": "bundles"},
    "relatives": {"cell": "evidence_cell"},
}
"""Older names of options, by verb, that are still read: on the command line and in records."""

GONE: dict[str, str] = {
    "accessibility study": "cistransfer study run accessibility --file sets=SETS --out FOLDER",
}
"""Verbs that are gone, and the command that does what they did."""


class Config:
    """A record that was read.

    Attributes
    ----------
    path : Path
        The file.
    words : list of str
        Of the verb.
    arguments : dict
        Value of each option that was recorded.
    folder : Path
        What texts that name files are relative to (format 1).
    old : bool
        Whether it is of format 1.
    by_python : bool
        Whether a function of Python wrote the output: its arguments are not recorded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path / "config.json" if path.is_dir() else path
        content = read_json(self.path)
        if not (
            isinstance(content, dict)
            and isinstance(content.get("command"), list)
            and all(isinstance(word, str) for word in content["command"])
            and isinstance(content.get("arguments"), dict)
            and type(content.get("format", 1)) is int
        ):
            raise InputError(
                f"{self.path}: expected a run's config.json with 'command' and 'arguments'"
            )
        self.words: list[str] = content["command"]
        self.arguments: dict[str, Any] = content["arguments"]
        self.folder = Path(str(content.get("folder", ".")))
        self.old = content.get("format", 1) < FORMAT
        self.by_python = content.get("used") == {"by": "Python"}


def read_config(path: Path, words: list[str]) -> Config:
    """Read the record of a run of the verb ``words``, a ``config.json`` or the folder with it.

    Older records get today's names.
    """
    config = Config(path)
    if config.words != words:
        raise InputError(
            f"{config.path} is of 'cistransfer {' '.join(config.words)}', "
            f"not of 'cistransfer {' '.join(words)}'"
        )
    if config.old:
        config.arguments = _today(" ".join(words), config.arguments)
    since = RENAMED.get(" ".join(words), {})
    config.arguments = {since.get(name, name): value for name, value in config.arguments.items()}
    return config


def check_place(
    out: Path,
    words: list[str],
    inputs: Mapping[str, Any],
    flag: str,
    markers: tuple[str, ...] | None,
) -> None:
    """Refuse, before the work, a place that is an input, or holds something else than such output.

    What folders hold, those who write them look at, but for the record in them without ``markers``.

    Parameters
    ----------
    inputs : mapping
        Values by flag of the options that name files (``FILE``, ``NAME=FILE``).
    flag : str
        The option that names the place.

    Raises
    ------
    InputError
        When what is written would replace what is read; as `cistransfer.storage.check_output`.
    """
    if is_stream(out) or not out.exists():
        return
    for other, value in inputs.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            names = (
                {str(each), str(each).rpartition("=")[2]} if isinstance(each, Path | str) else ()
            )
            if any(name and os.path.exists(name) and os.path.samefile(name, out) for name in names):
                raise InputError(f"{out}: {flag} is {other}, which would be replaced; name another")
    check_output(out, words, markers)


def write_config(
    path: Path, words: list[str], arguments: Mapping[str, Any], used: Mapping[str, Any]
) -> None:
    """Write what was asked and used: ``config.json`` in a folder, ``FILE.config.json`` by a file.

    Parameters
    ----------
    path : path
        What the verb wrote.
    words : list of str
        Of the verb.
    arguments : mapping
        Value of every option that had a meaning in the run; ``--config`` reads them.
    used : mapping
        What was settled while it ran: the split that was made, the guard in force …
    """
    content = {
        "cistransfer": __version__,
        "format": FORMAT,
        "command": words,
        "arguments": dict(arguments),
        "used": plain(used),
        "folder": str(Path.cwd()),
    }
    write_record(path, content)


def plain(
    value: Any, path: bool | Callable[[str], bool] = False, folder: Path | None = None
) -> Any:
    """A value as JSON, files by their absolute path.

    Parameters
    ----------
    path : bool or callable
        Whether a text may name a file (also ``NAME=FILE`` and ``FILE.py:CLASS``); if it is there,
        it is made absolute.
    folder : Path, optional
        What it is relative to [default: the current one].
    """
    if isinstance(value, Path):
        return str(value) if str(value) == "-" else str((folder or Path.cwd()) / value)
    if isinstance(value, str) and (path(value) if callable(path) else path):
        head, equals, tail = value.rpartition("=")
        name, ending, rest = tail.partition(".py:")
        file = (folder or Path.cwd()) / (name + ending.removesuffix(":"))
        return f"{head}{equals}{file}{ending[3:]}{rest}" if tail and file.exists() else value
    if isinstance(value, list | tuple):
        return [plain(item, path, folder) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item, path, folder) for key, item in value.items()}
    return value


def _today(verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a record of format 1 by the names of today."""
    given = {name: value for name, value in arguments.items() if value not in (None, "", [])}
    if verb == "accessibility sets":
        if "signals" not in given:
            given.pop("threshold", None)
        if "open_table" not in given:
            given.pop("open_above", None)
    if verb in ("relatives", "pretrain"):  # was of Tomtom's p
        given.pop("cut", None)
    names = _OLD_NAMES.get(verb, {})
    return {names.get(name, name): value for name, value in given.items()}


_OLD_NAMES: dict[str, dict[str, str]] = {
    "simulate": {"regions": "n_regions", "chromosomes": "n_chroms"},
    "relatives": {
        "n": "n_tfs",
        "level": "tfclass_level",
        "least_score": "min_score",
        "accessible": "open",
        "motif": "target_motif",
        "exclude": "exclude_tfs",
        "least_common": "min_common",
        "least_bound": "min_bound",
        "compare_modes": "check_modes",
    },
    "accessibility sets": {
        "matrix": "open",
        "dhs": "open",
        "open_sheet": "open",
        "open_table": "open",
        "signals": "open",
        "threshold": "z_above",
        "most": "max_regions",
    },
    "pretrain": {
        "n": "n_tfs",
        "exclude": "exclude_tfs",
        "least_common": "min_common",
        "regions": "region_set",
        "most": "max_regions",
        "settings": "set",
    },
    "finetune": {
        "start": "trunk",
        "open_regions": "open",
        "positives": "n_positives",
        "negatives": "ratio",
        "settings": "set",
    },
    "evaluate": {"draws": "resamples", "protocol": "as_"},
    "compare": {
        "motif": "motif_strategy",
        "full": "full_strategy",
        "level": "confidence",
        "draws": "resamples",
        "figures": "figure_format",
    },
    "interpret": {"compare": "other", "compare_task": "other_task", "sequences": "max_sequences"},
}
"""Names of options in records of format 1, by verb, where they differ from today's."""
