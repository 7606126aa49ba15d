"""docs/inputs.md says what the code reads; run as a script, this file writes its tables anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from cistransfer.cli.main import app
from cistransfer.genome.assemblies import assemblies
from cistransfer.genome.formats import formats
from cistransfer.motifs.formats import KNOWN_FORMATS
from cistransfer.storage.reading import _MAGIC

PAGE = Path(__file__).resolve().parents[2] / "docs" / "inputs.md"
KINDS = {
    "regions and peaks, any of the formats below": (
        "--regions", "--peaks", "--open", "--blacklist", "--labelled", "--hits", "--tfbs",
    ),
    "sequences: a genome, or windows": ("--genome", "--background-genome"),
    "sequences without a place": ("--fasta",),
    "motifs": ("--motifs", "--target-motif", "--profiles"),
    "a binding matrix": ("--matrix", "matrix"),
    "an example set": ("--examples",),
    "a bundle": ("--trunk", "bundle", "bundles", "--other"),
}  # fmt: skip


def verbs() -> dict[str, list[str]]:
    """Options and arguments of every verb."""

    def walk(command: Any, words: list[str]) -> dict[str, list[str]]:
        if not hasattr(command, "commands"):
            return {" ".join(words): [option.opts[0] for option in command.params]}
        found: dict[str, list[str]] = {}
        for name, inner in command.commands.items():
            found |= walk(inner, [*words, name])
        return found

    return walk(app, [])


def tables() -> dict[str, str]:
    """The tables of the page, made from the code."""
    lines = ["| input | verbs, and their options |", "|---|---|"]
    for kind, names in KINDS.items():
        of_kind = {
            verb: [name for name in options if name in names] for verb, options in verbs().items()
        }
        shown = [f"`{verb}` {' '.join(own)}" for verb, own in of_kind.items() if own]
        lines.append(f"| {kind} | {', '.join(shown)} |")
    rows = ["| format | columns | summit |", "|---|---|---|"]
    rows += [f"| {form.name} | {form.columns} | {form.summit} |" for form in formats()]
    return {"verbs": "\n".join(lines), "regions": "\n".join(rows)}


def page() -> str:
    """The page with its tables as the code has them."""
    text = PAGE.read_text(encoding="utf-8")
    for name, table in tables().items():
        text = re.sub(
            rf"(<!-- table: {name} -->\n).*?(\n<!-- end -->)",
            lambda match, table=table: match[1] + table + match[2],  # type: ignore[misc]
            text,
            flags=re.DOTALL,
        )
    return text


def test_the_tables_are_those_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_kind_of_input_has_verbs() -> None:
    known = {name for options in verbs().values() for name in options}
    assert [name for names in KINDS.values() for name in names if name not in known] == []


def test_what_is_listed_in_words() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert ", ".join(name for _, name in _MAGIC) in text
    assert KNOWN_FORMATS in text
    assert ", ".join(assemblies()) in text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
