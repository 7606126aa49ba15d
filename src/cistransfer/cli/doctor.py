"""``cistransfer doctor``: what this installation and machine can do, and what is wrong."""

from __future__ import annotations

from dataclasses import asdict

from cistransfer import __version__
from cistransfer.cli.verb import Done

__all__ = ["doctor"]


def doctor() -> Done:
    """Say what this installation and machine can do, and what is wrong.

    Versions, extras, processor, GPU, threads, caches, disk. Ends with exit code 2 where something
    will not work.
    """
    from cistransfer.api.doctor import examine

    found = examine()
    lines, part = [], ""
    for each in found:
        if each.part != part:
            part = each.part
            lines.append(part)
        lines.append(f"  {each.name:<14} {each.said}")
    remarks = [each.remark for each in found if each.remark]
    wrong = [each.wrong for each in found if each.wrong]
    lines += ["", *(f"note: {text}" for text in remarks), *(f"wrong: {text}" for text in wrong)]
    if not wrong:
        lines.append("nothing is wrong")
    result = {
        "version": __version__,
        "found": [asdict(each) for each in found],
        "notes": remarks,
        "wrong": wrong,
    }
    return Done(result, lines, code=2 if wrong else 0)
