"""A trained model on disk: a folder without a pickle in it.

``weights.safetensors``, ``card.json`` (what the model is and where it comes from),
``regions.parquet`` and ``seen.parquet`` (where it was trained and validated, and fingerprints of
the sequence there; the leakage guard reads both) and ``example.json`` (a few sequences and their
scores; `check_bundle` proves that a copy works).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import save as save_tensors
from torch import Tensor

import cistransfer
from cistransfer.errors import InputError, nearest
from cistransfer.genome.codes import decode, encode_many
from cistransfer.models.card import FORMAT, VERSION, Architecture, Card, wrappers_of
from cistransfer.models.hub import is_hub, open_hub
from cistransfer.models.model import Model, MotifFeatures
from cistransfer.models.packed import is_packed, open_packed
from cistransfer.models.registry import (
    build_model,
    check_architecture,
    register_architecture,
    tensor_shapes,
)
from cistransfer.models.score import score_codes
from cistransfer.models.tensors import read_shapes, read_tensors, tensors_hash
from cistransfer.storage import (
    Kind,
    fingerprint,
    read_json,
    read_table,
    shaped,
    whole_folder,
    write_json,
)

__all__ = [
    "BUNDLE",
    "Bundle",
    "check_bundle",
    "find_bundle",
    "find_bundles",
    "open_bundle",
    "packed_bundles",
    "save_bundle",
    "shipped_trunks",
    "weights_hash",
    "write_bundle",
]

_HASHED = ("regions.parquet", "example.json")
_SEEN = "seen.parquet"
BUNDLE = Kind("bundle", "card.json", ("weights.safetensors", *_HASHED, _SEEN, "config.json"))
TOLERANCE = 1e-3
"""How far a re-scored example may lie from the recorded logits (other machines round otherwise)."""


@dataclass(frozen=True, repr=False)
class Bundle:
    """A trained model and what is known about it.

    Attributes
    ----------
    path : Path
        The bundle's folder.
    model : Model
        In evaluation mode, on the CPU.
    card : Card
        The content of ``card.json``.
    """

    path: Path
    model: Model
    card: Card

    def __repr__(self) -> str:
        tasks = ", ".join(self.tasks[:3]) + ", …" * (len(self.tasks) > 3)
        kind = self.card.architecture.name + " with motifs" * (self.card.motifs is not None)
        return f"<Bundle {self.path}: {kind}, {self.window} bp, {len(self.tasks)} tasks ({tasks})>"

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return self.card.tasks

    @property
    def window(self) -> int:
        """Length of the input in bp."""
        return self.card.window

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Logit from which each task is called positive (fitted on validation); 0 where unknown."""
        return _known(self.card.threshold, len(self.tasks), 0.0)

    @property
    def temperatures(self) -> NDArray[np.float64]:
        """Temperature by which each task's logit is divided; 1 where unknown."""
        return _known(self.card.temperature, len(self.tasks), 1.0)

    def column(self, task: str | None = None) -> int:
        """Column of a task by name, which may be left out where there is one."""
        if task is None and len(self.tasks) == 1:
            return 0
        if task is None:
            some = ", ".join(self.tasks[:5]) + (", …" if len(self.tasks) > 5 else "")
            raise InputError(
                f"{self.path}: the model has {len(self.tasks)} tasks; name one (--task): {some}"
            )
        if task not in self.tasks:
            raise InputError(f"{self.path}: no task {task!r}; {nearest(task, self.tasks)}")
        return self.tasks.index(task)

    @property
    def prevalences(self) -> NDArray[np.float64]:
        """Share of bound among the validation examples of each task; NaN where unknown.

        On these the calibration was fitted.
        """
        if self.card.prevalence is not None:
            return _known(self.card.prevalence, len(self.tasks), np.nan)
        counted = self.card.counts if isinstance(self.card.counts, Mapping) else {}
        known = [counted.get("valid", {}).get(task, {}) for task in self.tasks]
        both = [(each.get("bound", 0), each.get("unbound", 0)) for each in known]
        return np.array([b / (b + u) if b and u else np.nan for b, u in both])

    def probabilities(
        self, logits: NDArray[np.float32], prevalence: float | None = None
    ) -> NDArray[np.float64]:
        """Calibrated probabilities of logits ``(n, tasks)``.

        Parameters
        ----------
        logits : ndarray
        prevalence : float, optional
            Share of bound regions among those that are scored, between 0 and 1: the prior odds
            of the validation examples are exchanged for these (Saerens 2002, doi
            10.1162/089976602753284446). By default they stay.

        Raises
        ------
        InputError
            When the bundle does not say which share its validation examples had.
        """
        scaled: NDArray[np.float64] = np.asarray(logits, dtype=np.float64) / self.temperatures
        if prevalence is not None:
            if not 0 < prevalence < 1:
                raise InputError(
                    f"prevalence: expected a share between 0 and 1, found {prevalence}"
                )
            own = self.prevalences
            if np.isnan(own).all():
                raise InputError(
                    f"{self.path}: it does not say which share of its validation examples was "
                    "bound, so its probabilities cannot be brought to another"
                )
            with np.errstate(divide="ignore"):
                scaled = scaled + np.log(prevalence / (1 - prevalence)) - np.log(own / (1 - own))
        return np.asarray(np.exp(-np.logaddexp(0.0, -scaled)))  # scipy's takes long to import

    def score(
        self,
        sequences: Sequence[str] | NDArray[np.uint8],
        *,
        strands: str = "both",
        batch_size: int = 512,
    ) -> NDArray[np.float32]:
        """Logits of sequences.

        Parameters
        ----------
        sequences : sequence of str, or codes
            Each as long as the model's window; codes are ``uint8 (n, window)``.
        strands : {"both", "forward"}
            ``both`` averages the logits of a sequence and its reverse complement.
        batch_size : int
            Sequences at a time, on the device where the model lies.

        Returns
        -------
        ndarray of float32, shape (n, tasks)

        Raises
        ------
        InputError
            When a sequence is not as long as the window, or the codes are none.
        """
        codes = self.codes(sequences)
        return score_codes(self.model, codes, strands=strands, batch_size=batch_size)

    def predict(
        self,
        sequences: Sequence[str] | NDArray[np.uint8],
        *,
        strands: str = "both",
        batch_size: int = 512,
    ) -> NDArray[np.float64]:
        """Calibrated probabilities of sequences, shape (n, tasks); see `score`."""
        return self.probabilities(self.score(sequences, strands=strands, batch_size=batch_size))

    def codes(self, sequences: Sequence[str] | NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Codes of sequences, each as long as the model's window; `InputError` where one is not."""
        if isinstance(sequences, str):
            raise InputError("expected a list of sequences, found one text; write [sequence]")
        if isinstance(sequences, np.ndarray) and sequences.dtype.kind not in "OUS":
            codes = sequences
            if codes.ndim != 2 or codes.dtype != np.uint8 or (codes.size and codes.max() > 4):
                raise InputError(
                    "expected codes, uint8 (n, window) from 0 to 4, found "
                    f"{codes.dtype} of shape {codes.shape}"
                )
            lengths = {codes.shape[1]}
        else:
            lengths = {len(sequence) for sequence in sequences}
            if lengths <= {self.window}:
                codes = encode_many(list(sequences)).reshape(-1, self.window)
        if not lengths <= {self.window}:
            raise InputError(
                f"{self.path}: the model reads {self.window} bp, found sequences of "
                f"{', '.join(str(length) for length in sorted(lengths - {self.window})[:3])} bp"
            )
        return codes

    def regions(self) -> pd.DataFrame:
        """Regions the model was trained and validated on; ``part`` is train or valid."""
        return read_table(self.path / "regions.parquet", ("chrom", "start", "end", "part"))

    def seen(self) -> dict[str, NDArray[np.uint64]]:
        """Fingerprints of the sequences it was trained and validated on.

        Part (train, valid) → sorted hashes (`cistransfer.genome.seen.fingerprints`); empty for a
        bundle made before there were any.
        """
        path = self.path / _SEEN
        if not path.exists() and _SEEN not in self.card.files:
            return {}
        table = read_table(path, ("hash", "part"))
        return {
            str(part): np.sort(rows["hash"].to_numpy(np.uint64))
            for part, rows in table.groupby("part", sort=True)
        }


def _known(
    values: tuple[float | None, ...] | None, count: int, default: float
) -> NDArray[np.float64]:
    return np.array([default if value is None else value for value in values or [None] * count])


def weights_hash(model: torch.nn.Module) -> str:
    """``sha256:…`` over every tensor's name, shape, type and values, buffers included."""
    return tensors_hash(model.state_dict())


def save_bundle(
    folder: str | os.PathLike[str],
    model: Model,
    *,
    architecture: Architecture,
    tasks: Sequence[str],
    window: int,
    regions: pd.DataFrame,
    example: NDArray[np.uint8],
    facts: Mapping[str, Any],
    motifs: Sequence[Mapping[str, Any]] = (),
    seen: Mapping[str, NDArray[np.uint64]] | None = None,
) -> Path:
    """Write a bundle, whole or not at all.

    Parameters
    ----------
    folder : path
        The bundle's folder; replaced if it exists.
    model : Model
    architecture : Architecture
        Of the model's network, for `build_model`.
    tasks : sequence of str
        Names of the outputs.
    window : int
        Input length in bp.
    regions : DataFrame
        Region table with ``part`` (train or valid) of the examples used.
    example : ndarray of uint8, shape (k, window)
        A few sequences to record with their scores.
    facts : mapping
        Further entries of the card (strategy, split, thresholds, metrics …), JSON-ready.
    motifs : sequence of mappings, optional
        ``name``, ``consensus`` and ``sha256`` of the motifs that the head reads.
    seen : mapping, optional
        Part → fingerprints of the sequences of these regions.
    """
    beside = None
    if model.motifs is not None:
        known = motifs or [{}] * len(model.motifs.widths)
        beside = {
            "known": [
                {"width": width, **fact}
                for width, fact in zip(model.motifs.widths, known, strict=True)
            ],
            "bags": model.motifs.bags,
            "folds": model.motifs.folds,
        }
    card = Card.from_json(
        {
            "format": FORMAT,
            "version": VERSION,
            "architecture": architecture.to_json(),
            "motifs": beside,
            "link": model.link,
            "tasks": list(tasks),
            "window": window,
            "alphabet": "ACGT",
            **facts,
            "versions": {
                "cistransfer": cistransfer.__version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
        },
        str(folder),
    )
    logits = score_codes(model, example) if len(example) else np.zeros((0, len(tasks)))
    content = {
        "sequences": [decode(row) for row in example],
        "logits": logits.astype(float).tolist(),
        "strands": "both",
    }
    return write_bundle(
        folder,
        model.state_dict(),
        card,
        weights_hash(model),
        regions[["chrom", "start", "end", "part"]],
        content,
        seen,
    )


def write_bundle(
    folder: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    card: Card,
    weights: str,
    regions: pd.DataFrame,
    example: Mapping[str, Any],
    seen: Mapping[str, NDArray[np.uint64]] | None = None,
) -> Path:
    """Write the files of a bundle; the card names the hashes of the others.

    Parameters
    ----------
    tensors : mapping
        As they are stored; ``weights`` is the hash of the model that they are read into.
    """
    with whole_folder(folder, BUNDLE) as temporary:
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        (temporary / "weights.safetensors").write_bytes(save_tensors(state))
        _write_table(temporary / "regions.parquet", pd.DataFrame(regions), ("start", "end"))
        write_json(temporary / "example.json", dict(example))
        names = list(_HASHED)
        if seen:
            _write_seen(temporary / _SEEN, seen)
            names.append(_SEEN)
        files = {name: fingerprint(temporary / name) for name in names}
        done = card.model_copy(update={"version": VERSION, "weights": weights, "files": files})
        write_json(temporary / "card.json", done.to_json())
    return Path(folder)


def _write_seen(path: Path, seen: Mapping[str, NDArray[np.uint64]]) -> None:
    hashes = np.concatenate([np.sort(seen[part]) for part in sorted(seen)]).astype(np.int64)
    parts = np.repeat(sorted(seen), [len(seen[part]) for part in sorted(seen)])
    _write_table(path, pd.DataFrame({"hash": hashes, "part": parts}), ("hash",))


def _write_table(path: Path, table: pd.DataFrame, rising: Sequence[str]) -> None:
    """Write a table whose ``rising`` columns are kept as differences, two bytes each."""
    table.to_parquet(
        path,
        index=False,
        compression="zstd",
        use_dictionary=[name for name in table if name not in rising],
        column_encoding=dict.fromkeys(rising, "DELTA_BINARY_PACKED"),
    )


def find_bundles(path: str | os.PathLike[str]) -> dict[str, Path]:
    """The bundle folders meant by a path, by name: several where one file holds several."""
    if packed := packed_bundles(path):
        return packed
    folder = find_bundle(path)
    named = folder.absolute()
    return {named.parent.name if named.name == "bundle" else named.name: folder}


def packed_bundles(path: str | os.PathLike[str]) -> dict[str, Path]:
    """Bundles of a packed file or a model of the hub (``hf:…``), by name; {} of all else."""
    if is_hub(path):
        return open_hub(os.fspath(path))
    return open_packed(path) if is_packed(path) else {}


def find_bundle(path: str | os.PathLike[str]) -> Path:
    """The bundle folder meant by a path.

    The folder itself, ``bundle/`` in a run folder, the folder in the cache of a packed file
    (`cistransfer.models.packed`) or a model of the hub (`cistransfer.models.hub`), or, when there
    is no such path, the shipped trunk of that name.
    """
    if not Path(path).exists() and str(path) in shipped_trunks():
        return _trunks() / str(path)
    if found := packed_bundles(path):
        if len(found) > 1:
            names = ", ".join(list(found)[:5]) + ", …" * (len(found) > 5)
            raise InputError(
                f"{path}: holds {len(found)} models, and one is needed: {names}; take it out with "
                f"'cistransfer bundle unpack'"
            )
        return next(iter(found.values()))
    for candidate in (Path(path), Path(path) / "bundle"):
        if (candidate / "card.json").is_file():
            return candidate
    if (Path(path) / "checkpoint.safetensors").exists():
        raise InputError(
            f"{path}: this run is not finished; run its command again to go on where it stopped"
        )
    raise InputError(
        f"{path}: expected a bundle (a folder with card.json), found none"
        + (f"; shipped trunks: {', '.join(shipped_trunks())}" if shipped_trunks() else "")
    )


def shipped_trunks() -> tuple[str, ...]:
    """Names of the trunks that come with the package."""
    folder = _trunks()
    found = folder.iterdir() if folder.is_dir() else ()
    return tuple(sorted(entry.name for entry in found if (entry / "card.json").is_file()))


def _trunks() -> Path:
    return Path(str(resources.files("cistransfer.models") / "trunks"))


def open_bundle(path: str | os.PathLike[str], architecture: str | None = None) -> Bundle:
    """Open a bundle or the run folder that holds one.

    Parameters
    ----------
    path : path
    architecture : str, optional
        ``FILE.py:CLASS`` of a bundle whose network is the user's own. A bundle holds no code and
        none is run because a card names it: without the file such a bundle is refused.

    Raises
    ------
    InputError
        When it is no bundle, of a newer format, damaged or altered, its weights do not fit the
        architecture that its card names, or that one needs a file which is not given or differs.
        Nothing is built before the sizes on the card fit those of the weights.
    """
    folder = find_bundle(path)
    content = read_json(folder / "card.json")
    card = Card.from_json(content, str(folder / "card.json"))
    if architecture is not None:
        register_architecture(architecture)
    check_architecture(card.architecture, str(folder))
    weights = folder / "weights.safetensors"
    old = read_shapes(weights)
    names = {name: name for name in old}
    for _ in range(wrappers_of(content)):
        names = {name: new.removeprefix("base.") for name, new in names.items()}
    layout = card.motifs
    sizes = {"window": card.window, "n_tasks": len(card.tasks)}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Initializing zero-element tensors")
            expected = tensor_shapes(
                card.architecture,
                widths=layout.widths if layout else (),
                bags=layout.bags if layout else 0,
                folds=layout.folds if layout else 0,
                **sizes,
            )
    except InputError as error:
        raise InputError(f"{folder}: {error}") from error
    except UserWarning as error:
        raise InputError(f"{folder}: the network on its card has a layer of size 0") from error
    found = {names[name]: shape for name, shape in old.items()}
    if expected is not None:
        _compare(weights, card, expected, found)
    model = build_model(
        card.architecture.name,
        seed=0,
        motifs=MotifFeatures(layout.widths, layout.bags, layout.folds) if layout else None,
        link=card.link,
        **sizes,
        **card.architecture.arguments,
    )
    _compare(weights, card, {k: tuple(t.shape) for k, t in model.state_dict().items()}, found)
    state, _ = read_tensors(weights)
    model.load_state_dict({names[name]: tensor for name, tensor in state.items()})
    loaded = model.state_dict()
    if tensors_hash({name: loaded[new] for name, new in names.items()}) != card.weights:
        raise InputError(f"{weights}: not the weights that card.json describes (hashes differ)")
    optional = [_SEEN] if _SEEN in card.files or (folder / _SEEN).exists() else []
    for name in (*_HASHED, *optional) if card.version > 1 else ():
        if fingerprint(folder / name) != card.files.get(name):
            raise InputError(
                f"{folder / name}: not the file that card.json describes (hashes differ)"
            )
    return Bundle(folder, model.eval(), card)


def _compare(
    weights: Path,
    card: Card,
    expected: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
) -> None:
    """Refuse weights whose names or shapes are not those of the model on the card."""
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise InputError(
                f"{weights}: not the weights of architecture {card.architecture.name!r} with "
                f"window {card.window} and {len(card.tasks)} tasks: {name} should be "
                f"{expected.get(name, 'absent')}, found {found.get(name, 'absent')}"
            )


def check_bundle(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read all of a bundle, score its example again and compare with the recorded scores.

    Returns
    -------
    dict
        ``bundle``, ``sequences``, ``largest_difference`` (in logits).

    Raises
    ------
    InputError
        When the bundle cannot be opened, or a logit differs by more than 0.001 or is missing.
    """
    bundle = open_bundle(path)
    bundle.regions()
    bundle.seen()
    example = read_json(bundle.path / "example.json")
    with shaped(bundle.path / "example.json", "sequences, logits and strands"):
        codes = encode_many(example["sequences"])
        recorded = np.array(example["logits"], dtype=np.float64)
        strands = str(example["strands"])
    difference = 0.0
    if len(codes):
        if codes.shape[1] != bundle.window:
            raise InputError(
                f"{bundle.path / 'example.json'}: expected sequences of {bundle.window} bp, "
                f"found {codes.shape[1]}"
            )
        scored = score_codes(bundle.model, codes, strands=strands)
        if scored.shape != recorded.shape:
            raise InputError(
                f"{bundle.path / 'example.json'}: expected scores of shape {scored.shape}, "
                f"found {recorded.shape}"
            )
        difference = float(np.abs(scored - recorded).max())
    if not difference <= TOLERANCE:  # a NaN is no match either
        raise InputError(
            f"{bundle.path}: the example scores differ from the recorded ones by {difference:.3g}; "
            "this copy does not work"
        )
    return {
        "bundle": str(bundle.path),
        "sequences": len(codes),
        "largest_difference": difference,
    }
