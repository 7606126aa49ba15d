"""What people have, as what the rooms take; anything else is refused in one sentence."""

from __future__ import annotations

import contextlib
import dataclasses
import numbers
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.binding.matrix import BindingMatrix, open_matrix
from cistransfer.errors import InputError, nearest
from cistransfer.examples.candidates import Placing
from cistransfer.examples.dataset import ExampleSet, open_examples
from cistransfer.genome.bed import as_regions, is_regions
from cistransfer.genome.fasta import Genome, Sequences, open_sequences, read_fasta
from cistransfer.genome.intervals import centre_windows
from cistransfer.motifs.files import read_motifs
from cistransfer.motifs.pwm import PWM
from cistransfer.options import options_of

if TYPE_CHECKING:  # a matrix opens without PyTorch
    import torch

    from cistransfer.models.bundle import Bundle

__all__ = [
    "as_bundle",
    "as_bundles",
    "as_chromosomes",
    "as_codes",
    "as_examples",
    "as_genome",
    "as_matrix",
    "as_motifs",
    "as_named_bundles",
    "as_path",
    "as_paths",
    "as_sequences",
    "as_table",
    "column_of",
    "fill",
    "found",
    "is_path",
    "is_place",
    "on_device",
    "placing_of",
    "refuse_others",
    "whole_number",
]

T = TypeVar("T")
_DNA = re.compile(r"[ACGTUNRYSWKMBDHV]+", re.IGNORECASE)
_PLACE = re.compile(r"\s*[^\s:]+:[\d,_]+(-|\.\.)[\d,_]+\s*")
_KINDS: dict[str, tuple[type, str]] = {
    "int": (numbers.Integral, "a whole number"),
    "float": (numbers.Real, "a number"),
    "str": (str, "a text"),
    "bool": (bool, "True or False"),
}


def found(value: object) -> str:
    """Word what was found in place of something else."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, shape {value.shape}"
    if isinstance(value, pd.DataFrame):
        return f"a table with the columns {', '.join(map(str, value.columns[:6]))}"
    text = " ".join(repr(value).split())
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:59] + '…'}"


def is_path(value: object) -> bool:
    """Whether something can name a file."""
    return isinstance(value, str | os.PathLike)


def as_path(value: Any, what: str) -> Path:
    """A path; ``what`` it is of, for the message."""
    if not is_path(value) or not str(value):
        raise InputError(f"{what}: expected a path, found {found(value)}")
    return Path(value)


def as_paths(value: Any, what: str) -> list[Path]:
    """One path or several."""
    if value is None:
        return []
    several = [value] if is_path(value) or not isinstance(value, Sequence) else value
    return [as_path(each, what) for each in several]


def whole_number(value: Any, what: str) -> int:
    """A whole number that is not below 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
        raise InputError(f"{what}: expected a whole number from 0, found {found(value)}")
    return int(value)


def as_bundle(model: Any, architecture: str | None = None) -> Bundle:
    """A model by its folder, its run's, a packed file, the name of a shipped trunk, or itself."""
    from cistransfer.models.bundle import Bundle, open_bundle

    if isinstance(model, Bundle):
        return model
    if is_path(model):
        return open_bundle(model, architecture)
    raise InputError(
        "model: expected a run folder, a bundle or the name of a trunk ('general'), found "
        + found(model)
    )


def as_bundles(models: Any) -> list[Bundle]:
    """One model or several (an ensemble)."""
    several = models if isinstance(models, list | tuple) else [models]
    if not several:
        raise InputError("model: expected at least one, found none")
    return [bundle for each in several for bundle in _each(each)]


def as_named_bundles(models: Any) -> tuple[list[str], list[Bundle]]:
    """Models and their names: keys of a mapping, or ``NAME`` of ``NAME=MODEL``; else empty."""
    if isinstance(models, Mapping):
        pairs = list(models.items())
    else:
        pairs = [_named(one) for one in (models if isinstance(models, list | tuple) else [models])]
    found = [(str(name), bundle) for name, each in pairs for bundle in as_bundles(each)]
    if not found:
        raise InputError("model: expected at least one, found none")
    return [name for name, _ in found], [bundle for _, bundle in found]


def _named(model: Any) -> tuple[str, Any]:
    if isinstance(model, str) and "=" in model and not os.path.exists(model):
        name, _, place = model.partition("=")
        return name, place
    return "", model


def _each(model: Any) -> list[Bundle]:
    """The model, or those of a packed file or a model of the hub."""
    from cistransfer.models.bundle import open_bundle, packed_bundles

    if is_path(model) and (packed := packed_bundles(model)):
        return [open_bundle(folder) for folder in packed.values()]
    return [as_bundle(model)]


def as_genome(genome: Any) -> Sequences:
    """A genome, or windows, by path or opened."""
    if genome is None:
        raise InputError("genome: regions need one; name a FASTA or 2bit file (genome='hg38.fa')")
    if is_path(genome):
        return open_sequences(genome)
    if hasattr(genome, "fetch") and hasattr(genome, "missing"):
        opened: Sequences = genome
        return opened
    raise InputError(
        f"genome: expected a FASTA or 2bit file, or what open_genome gives, found {found(genome)}"
    )


def as_chromosomes(genome: Any) -> Genome:
    """A genome of whole chromosomes."""
    opened = as_genome(genome)
    if isinstance(opened, Genome):
        return opened
    raise InputError(f"{opened.name}: expected a genome with whole chromosomes, found windows")


def as_matrix(matrix: Any) -> BindingMatrix:
    """A binding matrix by path or opened."""
    if isinstance(matrix, BindingMatrix):
        return matrix
    if is_path(matrix):
        return open_matrix(matrix)
    raise InputError(f"matrix: expected a matrix file (.h5), found {found(matrix)}")


def as_examples(examples: Any) -> ExampleSet:
    """An example set, or the folder of one or of a run."""
    if isinstance(examples, ExampleSet):
        return examples
    place = as_path(examples, "examples")
    if not (place / "dataset.json").exists() and (place / "examples" / "dataset.json").is_file():
        place = place / "examples"
    return open_examples(place)


def as_motifs(motifs: Any) -> Sequence[PWM]:
    """Motifs by file, ``"jaspar"``, one or several PWMs; none for None."""
    if motifs is None:
        return ()
    if isinstance(motifs, PWM):
        return (motifs,)
    if is_path(motifs):
        return read_motifs(motifs)
    if isinstance(motifs, Sequence) and all(isinstance(each, PWM) for each in motifs):
        return motifs
    raise InputError(f"motifs: expected a motif file, 'jaspar', or PWMs, found {found(motifs)}")


def is_place(value: object) -> bool:
    """Whether something is a text like ``chr1:100-300``."""
    return isinstance(value, str) and _PLACE.fullmatch(value) is not None


def as_table(regions: Any, columns: Any = None) -> pd.DataFrame:
    """A region table (`cistransfer.genome.bed.as_regions`); one that was read is as it is."""
    if isinstance(regions, pd.DataFrame) and "read" in regions.attrs and is_regions(regions):
        return regions
    return as_regions(regions, columns)


def as_sequences(sequences: Any) -> tuple[list[str], list[str]] | NDArray[np.uint8]:
    """Names and texts of sequences, or codes.

    Texts, a list (also an array or a column) of them, a FASTA file, codes ``uint8 (n, length)`` or
    one-hot ``(n, 4, length)``.
    """
    if isinstance(sequences, pd.DataFrame) or is_place(sequences):
        raise InputError("genome: regions need one; name a FASTA or 2bit file (genome='hg38.fa')")
    if isinstance(sequences, np.ndarray) and sequences.dtype.kind not in "OUS":
        return _codes_of(sequences)
    if isinstance(sequences, os.PathLike) or (
        isinstance(sequences, str) and not _DNA.fullmatch(sequences.strip())
    ):
        if isinstance(sequences, str) and not os.path.exists(sequences):
            raise InputError(
                "sequences: expected DNA letters or a FASTA file that exists, found "
                + found(sequences)
            )
        names, texts = map(list, zip(*read_fasta(sequences), strict=True))
        return names, texts
    several = [sequences] if isinstance(sequences, str) else sequences
    if isinstance(several, str | bytes | Mapping) or not hasattr(several, "__iter__"):
        raise InputError(
            "sequences: expected a text of DNA letters, a list of them, a FASTA file or codes, "
            f"found {found(sequences)}"
        )
    texts = list(several)
    if not texts:
        raise InputError("sequences: expected at least one, found none")
    for number, text in enumerate(texts, start=1):
        if isinstance(text, str) and is_place(text):
            raise InputError(
                f"sequences, item {number}: {text!r} is a place, and regions need a genome "
                "(genome='hg38.fa')"
            )
        if not isinstance(text, str) or not _DNA.fullmatch(text):
            raise InputError(f"sequences, item {number}: expected DNA letters, found {found(text)}")
    return [f"sequence {number}" for number in range(1, len(texts) + 1)], texts


def _codes_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Codes of an array of codes or of one-hot columns."""
    if array.ndim == 3 and array.shape[1] == 4 and np.isin(array, (0, 1)).all():
        codes = np.where(array.any(axis=1), array.argmax(axis=1), 4).astype(np.uint8)
        if (array.sum(axis=1) <= 1).all():
            return codes
    if array.ndim == 1 and array.dtype == np.uint8:
        array = array[None]
    if array.ndim != 2 or array.dtype != np.uint8 or (array.size and array.max() > 4):
        raise InputError(
            "sequences: expected codes, uint8 (n, length) from 0 to 4, or one-hot (n, 4, length), "
            f"found {found(array)}"
        )
    return array


def as_codes(bundle: Bundle, what: Any, genome: Any = None) -> NDArray[np.uint8]:
    """Codes of the sequences that a model is to read: sequences, or regions of a genome."""
    if genome is not None:
        return as_genome(genome).fetch(centre_windows(as_table(what), bundle.window))
    sequences = as_sequences(what)
    return bundle.codes(sequences if isinstance(sequences, np.ndarray) else sequences[1])


def column_of(bundle: Bundle, task: Any) -> int:
    """Number of a task, which may be left out where there is one."""
    tasks = bundle.tasks
    if task is None or isinstance(task, str):
        return bundle.column(task)
    if isinstance(task, bool) or not isinstance(task, numbers.Integral):
        raise InputError(f"task: expected a name, found {found(task)}")
    column = int(task)
    if not 0 <= column < len(tasks):
        raise InputError(f"{bundle.path}: the model has {len(tasks)} tasks, no task {column}")
    return column


def placing_of(bundles: Sequence[Bundle], sequences: Sequences) -> Placing:
    """Places inputs on a genome; warns where a model is of another assembly."""
    placing = Placing(sequences)
    for bundle in bundles:
        placing.compare(bundle.card.assembly, f"{bundle.path}")
    return placing


@contextlib.contextmanager
def on_device(bundles: Sequence[Bundle], device: str) -> Iterator[torch.device]:
    """Have models on a device for a while; they are handed back where they were."""
    from cistransfer.models.score import choose_device

    if not isinstance(device, str):
        raise InputError(f"device: expected auto, cpu or cuda, found {found(device)}")
    where = choose_device(device)
    before = [next(bundle.model.parameters()).device for bundle in bundles]
    try:
        for bundle in bundles:
            bundle.model.to(where)
        yield where
    finally:
        for bundle, own in zip(bundles, before, strict=True):
            bundle.model.to(own)


def fill(group: type[T], options: Mapping[str, Any], what: str) -> T:
    """A group of options out of keyword arguments; those of other names are left alone.

    Raises
    ------
    InputError
        When one lacks or is of another type.
    """
    described = {field.name: each.help for field, each in options_of(group)}
    values: dict[str, Any] = {}
    for field in dataclasses.fields(group):  # type: ignore[arg-type]
        value = options.get(field.name)
        if value is None:
            if field.default is MISSING and field.default_factory is MISSING:
                help_text = described.get(field.name, "").rstrip(".")
                raise InputError(f"with {what}, {field.name} is needed: {help_text}")
            continue
        kind = str(field.type).removesuffix(" | None")
        if kind.startswith("tuple["):
            value = tuple(value.split(",")) if isinstance(value, str) else tuple(value)
        elif kind in _KINDS:
            wanted, word = _KINDS[kind]
            if not isinstance(value, wanted) or (kind != "bool" and isinstance(value, bool)):
                raise InputError(f"{field.name}: expected {word}, found {found(value)}")
        elif "PathLike" in kind and isinstance(value, str) and not value:
            raise InputError(f"{field.name}: expected a path, found an empty text")
        values[field.name] = value
    return group(**values)


def refuse_others(options: Mapping[str, Any], groups: Sequence[type], what: str) -> None:
    """Refuse keyword arguments that are no option of any of the groups."""
    known = {field.name for group in groups for field in dataclasses.fields(group)}
    for name in options:
        if name not in known:
            raise InputError(f"{what}: no option {name!r}; {nearest(name, known)}")
