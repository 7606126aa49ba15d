"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cistransfer.errors import InputError

if TYPE_CHECKING:
    from cistransfer.examples.split import Split

__all__ = [
    "Device",
    "Fold",
    "OwnNetworks",
    "Precision",
    "Seed",
    "Settings",
    "SplitBy",
    "TestChroms",
    "ValidChroms",
    "comma_list",
    "requested_split",
]


def _read_networks(specs: list[str] | None) -> list[str] | None:
    """Read the files that the user names; the record keeps where they lie."""
    from cistransfer.models.registry import register_architecture

    for spec in specs or ():
        register_architecture(spec)
    return [str(Path(spec).absolute()) for spec in specs or ()] or None


OwnNetworks = Annotated[
    list[str] | None,
    typer.Option(
        "--architecture",
        callback=_read_networks,
        help="FILE.py:CLASS of a bundle whose network is your own (repeatable).",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Argument of the architecture, such as variant=paper (repeatable).",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 …")]
Precision = Annotated[
    str, typer.Option(help="auto (bf16 where the processor computes it), float32 or bf16.")
]
SplitBy = Annotated[
    str,
    typer.Option(
        "--split",
        help="chromosome, random (as published), or neighbours (random, but overlapping windows "
        "stay together).",
    ),
]
ValidChroms = Annotated[
    str, typer.Option(help="Comma list of validation chromosomes [default: chosen, about 10 %].")
]
TestChroms = Annotated[
    str, typer.Option(help="Comma list of test chromosomes [default: chosen, about 10 %].")
]
Fold = Annotated[
    str,
    typer.Option(
        "--fold",
        metavar="I/K",
        help="Fold I of K by chromosome: it validates, the others train, and the test "
        "chromosomes are the same in every fold.",
    ),
]


def comma_list(text: str) -> tuple[str, ...]:
    """Split ``a,b,c``; spaces around names are ignored."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def requested_split(
    by: str,
    valid: str,
    test: str,
    seed: int,
    fold: str = "",
) -> Split | None:
    """The split that the options name; None leaves the choice of chromosomes to the examples."""
    from cistransfer.examples.split import Split

    if by != "chromosome":
        if valid or test or fold:
            raise InputError("--valid-chroms, --test-chroms and --fold go with --split chromosome")
        return Split(by=by, seed=seed)
    if fold:
        if valid:
            raise InputError("--fold chooses the validation chromosomes; drop --valid-chroms")
        return Split(test=comma_list(test), fold=fold)
    if not valid and not test:
        return None
    if not valid or not test:
        raise InputError("name both --valid-chroms and --test-chroms, or neither")
    return Split(valid=comma_list(valid), test=comma_list(test))
