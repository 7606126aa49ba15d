"""A page for each verb of the command line, written from the verb itself before Sphinx reads.

What ``--help`` prints is all there is to say; a page adds what an option needs and excludes, and
gives every option a place to link to.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from cistransfer.cli.main import app as commands

HEAD = """\
Command line
============

Every verb, in the order of the work. ``cistransfer VERB --help`` prints the same. Each takes
``--json`` (one object on standard output) and ``--config`` (a record of an earlier run); the exit
code is 0, 2 where the input is wrong, 1 where the machine failed.
"""


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every verb with its words, in their order."""
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    if not inner:
        yield words, command
    for name, each in inner.items():
        yield from leaves(each, (*words, name))


def page(words: tuple[str, ...], command: Any) -> str:
    """The page of a verb, in reStructuredText."""
    called = "cistransfer " + " ".join(words)
    context = command.context_class(command, info_name=called)
    text = inspect.cleandoc(command.help or "")
    usage = " ".join([called, *command.collect_usage_pieces(context)])
    lines = [
        *heading(called, "="),
        *(escaped(text).splitlines()),
        *("", ".. code-block:: text", "", f"   {usage}", ""),
        *(f".. program:: {called}", ""),
    ]
    plan = getattr(command.callback, "plan", None)
    for title, rows in panels(command, context).items():
        lines += heading(title, "-")
        for parameter, (names, said) in rows:
            conditions = beside(plan, parameter.name)
            body = escaped(" ".join([with_stop(said), *conditions]))
            lines += [f".. option:: {names}", "", f"   {body}", ""]
    return "\n".join(lines)


def panels(command: Any, context: Any) -> dict[str, list[tuple[Any, tuple[str, str]]]]:
    """Parameters by panel as ``--help`` has them, each with its two columns there."""
    found: dict[str, list[tuple[Any, tuple[str, str]]]] = {"Arguments": []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        is_argument = parameter.param_type_name == "argument"
        title = getattr(parameter, "rich_help_panel", None) or "Other options"
        found.setdefault("Arguments" if is_argument else title, []).append((parameter, record))
    return {title: rows for title, rows in found.items() if rows}


def beside(plan: Any, name: str) -> list[str]:
    """Sentences on what an option needs or excludes within its group."""
    asked = plan.options.get(name) if plan is not None else None
    if asked is None:
        return []
    flags = {
        place.field.name: other.flag for other in plan.options.values() for place in other.places
    }

    def called(condition: str) -> str:
        field, equals, value = condition.partition("=")
        return f"{flags.get(field, field)} {value}".strip() + (" left out" * bool(equals > value))

    described = asked.described
    told = []
    if described.needs:
        told.append(f"Only with {' or '.join(map(called, described.needs))}.")
    if described.against:
        told.append(f"Not with {' or '.join(map(called, described.against))}.")
    return told


def with_stop(text: str) -> str:
    return text if text.endswith((".", "]", "…", "?")) else text + "."


def heading(text: str, line: str) -> list[str]:
    plain = re.sub(r"([\\*`|_])", r"\\\1", text)
    return [plain, line * len(plain), ""]


def escaped(text: str) -> str:
    r"""A plain text in reStructuredText: ``'verb --option'`` and options as code."""
    code = r"('cistransfer [^']+'|'[^' ]*(?: [^']*)?--[^']*'|(?<![\w-])--[a-z][\w-]*(?:=\w+)?)"
    parts = re.split(code, text)
    return "".join(
        f"``{part.strip(chr(39))}``\\ " if i % 2 else re.sub(r"([\\*`|_])", r"\\\1", part)
        for i, part in enumerate(parts)
    )


def write(app: Sphinx) -> None:
    """Write the pages that differ from what is there; remove those of verbs that are gone."""
    folder = Path(app.srcdir) / "cli"
    folder.mkdir(exist_ok=True)
    pages = {}
    index = [HEAD]
    for words, command in leaves(commands):
        pages["-".join(words)] = page(words, command)
        summary = inspect.cleandoc(command.help or "").partition("\n\n")[0]
        index += [f":doc:`cistransfer {' '.join(words)} <{'-'.join(words)}>`", ""]
        index[-2:] = [index[-2], f"   {escaped(' '.join(summary.split()))}", ""]
    index += [".. toctree::", "   :hidden:", "", *(f"   {name}" for name in pages), ""]
    pages["index"] = "\n".join(index)
    for path in folder.glob("*.rst"):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.rst"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write, priority=100)  # before autosummary looks for pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
