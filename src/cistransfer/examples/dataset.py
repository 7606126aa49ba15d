"""An example set: codes, labels, regions and a split, on disk as a folder."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.genome.codes import gc_fraction
from cistransfer.storage import Kind, read_json, whole_folder, write_json

__all__ = ["EXAMPLES", "PARTS", "ExampleSet", "counts", "open_examples", "save_examples", "subset"]

PARTS = ("train", "valid", "test")
FORMAT = "cistransfer-examples"
VERSION = 1
EXAMPLES = Kind("example set", "dataset.json", ("codes.npy", "labels.npy", "regions.parquet"))
_GC_BINS = 20


@dataclass(frozen=True)
class ExampleSet:
    """Windows with labels and a split.

    Attributes
    ----------
    codes : ndarray of uint8, shape (n, window)
        Memory-mapped when opened from disk.
    labels : ndarray of int8, shape (n, tasks)
        1 bound, 0 unbound, −1 unresolved (no weight in any loss or metric).
    regions : DataFrame
        Region table of n rows with ``part`` (train, valid, test).
    tasks : tuple of str
        Names of the columns of ``labels``.
    facts : dict
        How it was made: genome, negatives, seed, split, what was dropped (JSON-ready).
    """

    codes: NDArray[np.uint8]
    labels: NDArray[np.int8]
    regions: pd.DataFrame
    tasks: tuple[str, ...]
    facts: dict[str, Any]

    def __post_init__(self) -> None:
        if not (len(self.codes) == len(self.labels) == len(self.regions)):
            raise ValueError("codes, labels and regions must have one row per example")
        if self.labels.shape[1] != len(self.tasks):
            raise ValueError("labels must have one column per task")

    def __repr__(self) -> str:
        """Tasks and numbers, without the arrays."""
        tasks = ", ".join(self.tasks[:3]) + (", …" if len(self.tasks) > 3 else "")
        parts = ", ".join(f"{part} {len(self.rows(part)):,}" for part in PARTS)
        return f"<ExampleSet {tasks}: {len(self.codes):,} windows of {self.window} bp ({parts})>"

    @property
    def window(self) -> int:
        """Length of the windows in bp."""
        return int(self.codes.shape[1])

    def rows(self, part: str) -> NDArray[np.int64]:
        """Row numbers of a part (train, valid or test), ascending."""
        return np.flatnonzero(self.regions["part"].to_numpy() == part)

    def notes(self) -> list[str]:
        """What a person should know of how it was made: inputs, warnings, the guard."""
        lines = []
        for one in self.facts.get("inputs", ()):
            lines += [one[key] for key in ("read", "line") if key in one]
            lines += [f"warning: {text}" for text in one.get("warnings", ())]
        dropped = self.facts.get("dropped") or {}
        if self.facts.get("guard_compares_by") == "sequence":
            lines.append(
                "the places that the trunk has seen are not those of this genome: compared by "
                f"sequence, {dropped.get('seen_by_trunk', 0):,} windows left out"
            )
        elif dropped.get("seen_by_trunk"):
            lines.append(f"{dropped['seen_by_trunk']:,} windows left out: the trunk has seen them")
        return lines

    def content_hash(self) -> str:
        """``sha256:…`` over windows, labels, places, parts and tasks: equal means identical."""
        digest = hashlib.sha256("|".join(self.tasks).encode())
        for i in range(0, len(self.codes), 1 << 16):
            digest.update(np.ascontiguousarray(self.codes[i : i + (1 << 16)]).tobytes())
        digest.update(np.ascontiguousarray(self.labels).tobytes())
        for column in ("chrom", "part"):
            digest.update("\n".join(self.regions[column].astype(str)).encode())
        digest.update(self.regions[["start", "end"]].to_numpy(np.int64).tobytes())
        return "sha256:" + digest.hexdigest()


def counts(examples: ExampleSet) -> dict[str, dict[str, dict[str, int]]]:
    """Bound, unbound and unresolved examples of each task in each part."""
    table: dict[str, dict[str, dict[str, int]]] = {}
    for part in PARTS:
        labels = np.asarray(examples.labels[examples.rows(part)])
        table[part] = {
            task: {
                "bound": int((labels[:, column] == 1).sum()),
                "unbound": int((labels[:, column] == 0).sum()),
                "unresolved": int((labels[:, column] == -1).sum()),
            }
            for column, task in enumerate(examples.tasks)
        }
    return table


def subset(
    examples: ExampleSet,
    *,
    fraction: float = 1.0,
    max_positives: dict[str, int] | None = None,
    seed: int = 0,
) -> ExampleSet:
    """Keep a share of the training and validation examples, drawn within each class.

    The bootstrap of training sizes of Salvatore et al. 2023 (Table 1): the class ratio is kept.
    The validation part shrinks with the training part, because who has few examples has few to
    validate on; the test part does not depend on ``fraction``.

    Parameters
    ----------
    examples : ExampleSet
        Of one task.
    fraction : float
        Share of the training and validation examples, in (0, 1].
    max_positives : dict of part → int, optional
        Most positives of a part; its negatives shrink with them. Applied before ``fraction``.
    seed : int
        Of the draw; with different fractions of one seed the smaller set lies in the larger.

    Returns
    -------
    ExampleSet
        Rows in their old order.

    Raises
    ------
    InputError
        For a fraction out of range, several tasks, or when a class would be empty.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"expected a fraction above 0 and at most 1, found {fraction}")
    if len(examples.tasks) != 1:
        raise InputError(f"expected examples of one task, found {len(examples.tasks)}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(examples.codes))
    labels = np.asarray(examples.labels[:, 0])[order]
    parts = examples.regions["part"].to_numpy()[order]
    kept = []
    for part in PARTS:
        positives = int(((parts == part) & (labels == 1)).sum())
        share = min(1.0, (max_positives or {}).get(part, positives) / max(positives, 1))
        share *= fraction if part != "test" else 1.0
        for label in (0, 1):
            rows = order[(parts == part) & (labels == label)]
            wanted = round(share * len(rows))
            if len(rows) and not wanted:
                raise InputError(
                    f"{examples.tasks[0]}: {fraction:.3g} of the {part} part leaves no "
                    f"{'positive' if label else 'negative'} of {len(rows)}"
                )
            kept.append(rows[:wanted])
    take = np.sort(np.concatenate(kept))
    return ExampleSet(
        np.asarray(examples.codes[take]),
        np.asarray(examples.labels[take]),
        examples.regions.iloc[take].reset_index(drop=True),
        examples.tasks,
        {**examples.facts, "subset": {"fraction": fraction, "most": max_positives, "seed": seed}},
    )


def gc_histograms(examples: ExampleSet) -> dict[str, list[int]]:
    """Histograms of GC content (20 equal bins from 0 to 1) of bound and of unbound windows."""
    gc = np.empty(len(examples.codes))
    for i in range(0, len(gc), 1 << 16):
        gc[i : i + (1 << 16)] = gc_fraction(np.asarray(examples.codes[i : i + (1 << 16)]))
    edges = np.linspace(0, 1, _GC_BINS + 1)
    bound = (examples.labels == 1).any(axis=1)
    unbound = ~bound & (examples.labels == 0).any(axis=1)
    return {
        "bound": np.histogram(gc[bound], edges)[0].tolist(),
        "unbound": np.histogram(gc[unbound], edges)[0].tolist(),
    }


def save_examples(folder: str | os.PathLike[str], examples: ExampleSet) -> Path:
    """Write an example set as a folder, whole or not at all.

    ``codes.npy``, ``labels.npy``, ``regions.parquet`` and ``dataset.json``.
    """
    with whole_folder(folder, EXAMPLES) as temporary:
        np.save(temporary / "codes.npy", examples.codes)
        np.save(temporary / "labels.npy", examples.labels)
        regions = pd.DataFrame(examples.regions)  # without attrs: facts of reading are no JSON
        regions.to_parquet(temporary / "regions.parquet", index=False)
        write_json(
            temporary / "dataset.json",
            {
                "format": FORMAT,
                "version": VERSION,
                "tasks": list(examples.tasks),
                "window": examples.window,
                "examples": len(examples.codes),
                "content": examples.content_hash(),
                "counts": counts(examples),
                "gc": gc_histograms(examples),
                **examples.facts,
            },
        )
    return Path(folder)


def open_examples(folder: str | os.PathLike[str]) -> ExampleSet:
    """Open an example set (arrays are memory-mapped).

    Raises
    ------
    InputError
        When the folder is none or its files do not belong together.
    """
    path = Path(folder)
    facts = read_json(path / "dataset.json")
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise InputError(f"{path / 'dataset.json'}: expected the record of a {FORMAT} folder")
    if facts.get("version") != VERSION:
        raise InputError(
            f"{path}: example set format {facts.get('version')}; this cistransfer reads {VERSION}"
        )
    try:
        codes = np.load(path / "codes.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(path / "labels.npy", mmap_mode="r", allow_pickle=False)
        regions = pd.read_parquet(path / "regions.parquet")
    except (OSError, EOFError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: damaged example set: {reason}") from error
    lacking = {"chrom", "start", "end", "part"} - set(regions.columns)
    if lacking or codes.dtype != np.uint8 or labels.dtype != np.int8:
        what = f"regions.parquet lacks {sorted(lacking)}" if lacking else "wrong array types"
        raise InputError(f"{path}: damaged example set: {what}")
    shapes = (codes.shape, labels.shape, (len(regions),))
    rows = facts.get("examples")
    if shapes != ((rows, facts.get("window")), (rows, len(facts.get("tasks", []))), (rows,)):
        raise InputError(f"{path}: the files do not belong together (their sizes differ)")
    kept = {
        key: value
        for key, value in facts.items()
        if key
        not in ("format", "version", "tasks", "window", "examples", "content", "counts", "gc")
    }
    return ExampleSet(codes, labels, regions, tuple(facts["tasks"]), kept)
