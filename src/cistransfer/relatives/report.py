"""A choice in words and as JSON-ready values."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

from cistransfer.relatives.answer import Relatives
from cistransfer.relatives.choose import Choice
from cistransfer.relatives.groups import GROUPS
from cistransfer.tables import write_tsv

__all__ = ["choice_lines", "choice_values", "groups_lines", "write_evidence"]

_SHOWN = 60


def choice_values(choice: Choice) -> dict[str, Any]:
    """Make a JSON-ready record of a choice: unknown numbers are null."""
    return {
        "target": choice.target,
        "group": choice.group,
        "tfs": list(choice.tfs),
        "common_regions": choice.common,
        "rule": choice.rule,
        "seed": choice.seed,
        "evidence": [
            {name: _value(value) for name, value in row.items()}
            for row in choice.evidence.to_dict("records")
        ],
        "notes": list(choice.notes),
    }


def choice_lines(choice: Choice, relatives: Relatives) -> list[str]:
    """Word a choice for a person: the target, a row of evidence for each TF, what it costs."""
    lines = []
    target, modes = relatives.target, relatives.modes
    if target is not None:
        facts = [] if target.bound is None else [f"{target.bound:,} bound regions"]
        if modes is not None:
            named = ", ".join(modes.title(mode) for mode in sorted(target.modes))
            facts.append(f"binding mode {named}" if named else f"no binding mode in {modes.source}")
        lines.append(f"{target.name}: {'; '.join(facts)}" if facts else target.name)
    lines += [f"{choice.group}: {GROUPS[choice.group].what}", ""]
    header = ["TF", "role", "shared mode", "cosine", "partner", "bound", "resolved", "cost"]
    rows = [header]
    for row in choice.evidence.to_dict("records")[:_SHOWN]:
        rows.append(
            [
                str(row["tf"]),
                str(row["role"]),
                ",".join(row["shared"]) or "-",
                _number(row["cosine"], ".3f"),
                _number(row["partner"], ".3f"),
                f"{row['bound']:,}",
                f"{row['resolved']:,}",
                f"{row['cost']:,}",
            ]
        )
    told = [
        place
        for place, name in enumerate(header)
        if name not in ("shared mode", "cosine", "partner")
        or any(row[place] != "-" for row in rows[1:])
    ]
    lines += _columns([[row[place] for place in told] for row in rows])
    lines += [
        "",
        f"{choice.common:,} regions are resolved for all of them ({choice.rule}); cost: how many "
        "more without that TF",
    ]
    lines += [f"note: {note}" for note in choice.notes]
    lines.append(f"--tfs {','.join(choice.tfs)}")
    return lines


def write_evidence(path: str | os.PathLike[str], choice: Choice) -> None:
    """Write the evidence as a tab-separated table; lists are joined by commas."""
    table = choice.evidence.copy()
    for column in ("modes", "shared"):
        table[column] = table[column].map(",".join)
    write_tsv(path, table, numbers=None)


def groups_lines(groups: dict[str, Choice | str]) -> list[str]:
    """One line per group: its TFs and their common regions; why the others cannot be made."""
    rows = [["group", "common", "TFs"]]
    refused: dict[str, list[str]] = {}
    for name, choice in groups.items():
        if isinstance(choice, str):
            reason = choice.replace(f"group {name!r}", "it")
            refused.setdefault(reason, []).append(name)
            continue
        more = f", … ({len(choice.tfs)})" if len(choice.tfs) > 7 else ""
        rows.append([name, f"{choice.common:,}", ", ".join(choice.tfs[:7]) + more])
    lines = _columns(rows)
    if refused:
        lines += ["", "not possible here:"]
        lines += [f"{', '.join(names)}: {reason}" for reason, names in refused.items()]
    return lines


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    numbers = [
        _is_number(rows[1][place]) if len(rows) > 1 else False for place in range(len(widths))
    ]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numbers, strict=True)
        ).rstrip()
        for row in rows
    ]


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").isdigit() or text == "-"


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        return list(value)
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and math.isnan(plain) else plain
