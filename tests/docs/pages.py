"""The pages of the docs that people write, and what runs in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["BLOCK", "DOCS", "ROOT", "failures", "pages", "prepared", "scripts"]

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

BLOCK = re.compile(
    r"<!-- run: (?P<name>\w+) -->\n```(?P<language>bash|python)\n(?P<code>.*?)```"
    r"|<!-- prepare: (?P<hidden>\w+)\n(?P<commands>.*?)-->",
    re.DOTALL,
)
FAILURE = re.compile(
    r"```bash\ncistransfer (?P<words>[^\n]*)\n```\n```text\n(?P<said>.*?)```", re.DOTALL
)


def pages() -> list[Path]:
    """README and the pages of the docs; how-to pages in the order of their list."""
    index = DOCS / "howto" / "index.md"
    listed = index.read_text(encoding="utf-8").rpartition("{toctree}")[2].split()
    howto = [index.with_name(f"{name}.md") for name in listed if name[0].isalpha()]
    return [ROOT / "README.md", *sorted(DOCS.glob("*.md")), index, *howto]


def scripts() -> list[tuple[str, str]]:
    """Shell scripts: the marked blocks of a page and name, and of all how-to pages, joined."""
    joined: dict[str, list[str]] = {}
    for page in pages():
        place = "howto" if page.parent.name == "howto" else page.name
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            code = block["commands"] or block["code"]
            if block["language"] == "python":
                code = f"python - <<'END'\n{code}\nEND"
            joined.setdefault(f"{place}:{block['name'] or block['hidden']}", []).append(code)
    return [(name, "\n".join(codes)) for name, codes in joined.items()]


def prepared(page: Path) -> str:
    """The commands that a page does not show."""
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return "\n".join(block["commands"] for block in found if block["commands"])


def failures() -> Iterator[tuple[str, str]]:
    """The commands of errors.md without their first word, and what each of them says."""
    for found in FAILURE.finditer((DOCS / "errors.md").read_text(encoding="utf-8")):
        yield found["words"], " ".join(found["said"].split())
