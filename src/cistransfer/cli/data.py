"""``cistransfer data``: public data, what there is and how to get it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["get", "list_"]


def list_() -> Done:
    """List public sources: what they are, size, version, licence, and the options that take them.

    Nothing needs them from here: every file can be given by hand.
    """
    from cistransfer.api.public_data import list_data

    rows = list_data().to_dict("records")
    lines = []
    for row in rows:
        n = row["files"]
        files = f"{n} file{'s' * (n > 1)}, {row['size']}" if n else "not fetched"
        lines += [
            f"{row['name']}: {row['what']}",
            f"  {row['version']}; {files}; licence {row['licence']}",
            f"  for {row['use']}; {row['page']}",
        ]
    return Done({"sources": rows}, lines)


@dataclass(frozen=True)
class Wanted:
    """What is fetched."""

    names: tuple[str, ...] = option(positional=True, help="Sources, as 'data list' calls them.")
    out: Path | None = option(
        None, help="Folder; each source becomes a folder in it [default: data in the cache]."
    )
    mirror: str | None = option(
        None, metavar="URL", help="Another place that has the files under the same names."
    )
    commands: bool = option(
        False, flag="--print", help="Print the plain commands instead, for another machine."
    )


def get(wanted: Wanted) -> Done:
    """Fetch public sources: resumed where it broke off, compared with what is known, recorded.

    A file that is there already is compared and not fetched again.
    """
    from cistransfer.api.public_data import get_data
    from cistransfer.downloads.catalogue import source_named
    from cistransfer.downloads.get import data_folder, plain_commands

    for name in wanted.names:
        source_named(name)
    if wanted.commands:
        lines = [
            line
            for name in wanted.names
            for line in plain_commands(name, wanted.out, wanted.mirror)
        ]
        return Done({"commands": lines}, lines)
    found = {name: get_data(name, wanted.out, mirror=wanted.mirror) for name in wanted.names}
    lines = [
        f"{each.path}: {each.bytes:,} bytes, "
        + (
            f"its {each.checked} is the published one"
            if each.checked != "nothing"
            else f"no checksum is published; sha256 {each.sha256}"
        )
        + ("" if each.fetched else ", was there")
        for several in found.values()
        for each in several
    ]
    told = {name: [asdict(each) for each in several] for name, several in found.items()}
    return Done({"out": str(data_folder(wanted.out)), "sources": told}, lines)
