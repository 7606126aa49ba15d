"""Example sets of a study: those that are there, cut to the sizes compared, kept with the plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cistransfer.errors import InputError
from cistransfer.examples.classes import multiclass_examples
from cistransfer.examples.dataset import (
    EXAMPLES,
    ExampleSet,
    counts,
    open_examples,
    save_examples,
    subset,
)
from cistransfer.examples.write_sets import folder_of
from cistransfer.storage import read_json, remove_folder, write_json
from cistransfer.studies.settings import Settings

__all__ = [
    "SHUFFLED",
    "TRUNK",
    "Cell",
    "examples_of_cells",
    "has_universal",
    "listed_cells",
    "pretraining_sets",
    "together",
]

TRUNK = "trunk"
SHUFFLED = "trunk-shuffled"
_SETS = "cells/*/*/examples"


@dataclass(frozen=True)
class Cell:
    """Examples of a cell at one size and draw, where they lie and where its models go."""

    cell: str
    fraction: float
    draw: int
    folder: Path

    @property
    def examples(self) -> Path:
        return self.folder / "examples"


def _listed(source: Path) -> set[str]:
    """Names of the sets that were written together; other folders are leftovers."""
    path = source / "sets.tsv"
    if not path.exists():
        raise InputError(
            f"{source}: expected the folder of 'cistransfer accessibility sets', found no sets.tsv"
        )
    return set(pd.read_csv(path, sep="\t", dtype=str)["set"])


def listed_cells(source: Path) -> list[str]:
    """Names of the cells that have example sets."""
    found = sorted(name for name in _listed(source) if name.startswith("cells/"))
    cells = [open_examples(source / name).tasks[0] for name in found]
    if len(cells) < 2:
        raise InputError(f"{source}: expected sets of two cells or more, found {len(cells)}")
    return cells


def pretraining_sets(source: Path) -> dict[str, Path]:
    """Name of a trunk → its examples."""
    listed = _listed(source)
    if "pretraining" not in listed:
        raise InputError(
            f"{source}: expected a set 'pretraining', found none; or name a trunk (--trunk)"
        )
    names = {TRUNK: "pretraining", SHUFFLED: "pretraining-shuffled"}
    return {trunk: source / name for trunk, name in names.items() if name in listed}


def examples_of_cells(
    place: Path,
    source: Path,
    plan: Settings,
    cells: list[str],
    pretraining: dict[str, Path],
    architecture: str,
) -> tuple[dict[str, Cell], list[Cell]]:
    """The whole training set of each cell, and the shares; the plan is on record when all are
    there."""
    used = [*pretraining.values(), *(source / "cells" / folder_of(cell) for cell in cells)]
    contents = {
        path.relative_to(source).as_posix(): read_json(path / "dataset.json")["content"]
        for path in used
    }
    before = set(place.glob(_SETS))
    new = _keep_plan(place, asdict(plan) | {"architecture": architecture, "sets": contents})
    try:
        whole = {cell: _shrunk(source, place, cell, plan, 1.0, 0) for cell in cells}
        parts = [
            _shrunk(source, place, cell, plan, fraction, draw)
            for fraction in sorted(set(plan.fractions) - {1.0})
            for draw in range(plan.draws)
            for cell in cells
        ]
    except InputError:
        if new:
            for made in set(place.glob(_SETS)) - before:
                remove_folder(made, EXAMPLES)
                for folder in list(made.parents)[:3]:  # size, cell, cells
                    if folder.is_dir() and not any(folder.iterdir()):
                        folder.rmdir()
            (place / "study.json").unlink()
        raise
    return whole, parts


def _keep_plan(place: Path, facts: dict[str, Any]) -> bool:
    """Write down what the study is, or refuse a folder that holds another one; whether it is new.

    Other baselines are no other study: they are fitted when it is evaluated.
    """
    facts = {name: list(v) if isinstance(v, tuple) else v for name, v in facts.items()}
    path = place / "study.json"
    new = not path.exists()
    before = {} if new else read_json(path)
    for name, value in facts.items():
        if new or name == "baselines" or before.get(name) == value:
            continue
        if name == "sets":
            changed = sorted(
                key
                for key in {*value, *before["sets"]}
                if value.get(key) != before["sets"].get(key)
            )
            raise InputError(
                f"{place}: holds a study of other example sets ({', '.join(changed)} changed); "
                "choose another folder, or remove it"
            )
        raise InputError(
            f"{place}: holds a study with {name} = {before.get(name)!r}, asked for {value!r}; "
            "choose another folder, or remove it"
        )
    write_json(path, facts)
    return new


def _shrunk(
    source: Path, place: Path, cell: str, plan: Settings, fraction: float, draw: int
) -> Cell:
    """Examples of a cell at one size, kept in the study's folder."""
    size = f"{100 * fraction:g}"
    here = Cell(cell, fraction, draw, place / "cells" / folder_of(cell) / f"{size}-{draw}")
    if not here.examples.exists():
        cap = plan.max_positives
        most = {} if cap is None else {"train": cap, "valid": max(1, cap // 3)}
        if plan.max_test_positives is not None:
            most["test"] = plan.max_test_positives
        examples = open_examples(source / "cells" / folder_of(cell))
        # The cap is drawn once; the shares of each draw are drawn out of what it leaves.
        kept = subset(examples, max_positives=most, seed=plan.seed)
        if fraction < 1:
            kept = subset(kept, fraction=fraction, seed=plan.seed + 1 + draw)
        save_examples(here.examples, kept)
    return here


def together(place: Path, whole: dict[str, Cell], fair: bool) -> Path:
    """The multi-class examples of the cells' sets, kept beside the run."""
    path = place.parent / "sets" / place.name
    if not path.exists():
        sets = {cell: open_examples(each.examples) for cell, each in whole.items()}
        save_examples(path, _with_both_classes(multiclass_examples(sets, negatives=fair)))
    return path


def has_universal(examples: ExampleSet) -> bool:
    """Whether the examples hold the negatives on which the published multi-class model learns."""
    return bool((examples.regions["source"] == "universal").any())


def _with_both_classes(examples: ExampleSet) -> ExampleSet:
    table = counts(examples)
    for part in ("train", "valid"):
        for task in examples.tasks[:-1]:
            if not table[part][task]["bound"]:
                raise InputError(f"class {task!r} has no window in the {part} part")
    return examples
