"""Work kept beside an output until that is written: a run that was killed goes on where it was."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.models.bundle import Bundle
from cistransfer.storage import open_npy, read_json, whole_file, write_json

__all__ = ["Parts", "identity", "table_digest"]


_RECORD = "run.json"


def table_digest(table: pd.DataFrame) -> str:
    """A hash of the rows of a table."""
    hashes: NDArray[np.uint64] = pd.util.hash_pandas_object(table, index=False).to_numpy()
    return hashlib.sha256(hashes.tobytes()).hexdigest()


def identity(bundles: Sequence[Bundle], sequences: Any, **asked: Any) -> dict[str, Any]:
    """What two runs have in common whose work may be joined: models, sequences, what was asked."""
    path = getattr(sequences, "path", None)
    found = os.stat(path) if path is not None and os.path.isfile(path) else None
    return {
        "models": [[bundle.card.weights, *map(float, bundle.temperatures)] for bundle in bundles],
        "file": None if found is None else [str(path), found.st_size, found.st_mtime_ns],
        **asked,
    }


class Parts:
    """Arrays in a hidden folder beside an output, emptied where another run left it.

    Parameters
    ----------
    out : path
        What will be written; the folder is ``.OUT.parts``.
    identity : mapping
        Of the run (`identity`): parts of another one are not taken.
    """

    def __init__(self, out: str | os.PathLike[str], identity: Mapping[str, Any]) -> None:
        out = Path(out)
        self.folder, self.prefix = out.with_name(f".{out.name}.parts"), ""
        self.identity = json.loads(json.dumps(identity))
        if self.folder.exists():
            try:
                same = read_json(self.folder / _RECORD) == self.identity
            except InputError:
                same = False
            if not same:
                self.remove()

    def of(self, number: int) -> Parts:
        """The parts of one of several models."""
        mine = copy.copy(self)
        mine.prefix = f"{number}."
        return mine

    def get(
        self, name: str, dtype: type[np.generic], shape: tuple[int, ...]
    ) -> NDArray[Any] | None:
        """A part that was kept, if it was."""
        path = self._path(name)
        return np.array(open_npy(path, dtype, shape)) if path.exists() else None

    def put(self, name: str, values: NDArray[Any]) -> None:
        """Keep a part."""
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            write_json(self.folder / _RECORD, self.identity)
        content = io.BytesIO()  # numpy says of a full disk how many items fit, and nothing else
        np.save(content, values)
        with whole_file(self._path(name)) as temporary:
            temporary.write_bytes(content.getbuffer())

    def remove(self) -> None:
        """Remove all of it."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _path(self, name: str) -> Path:
        return self.folder / f"{self.prefix}{name}.npy"
