"""Gapped k-mer support vector machine, by the programs of LS-GKM (Lee 2016)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cistransfer.baselines.fitted import training_rows
from cistransfer.errors import InputError
from cistransfer.genome.codes import N, decode
from cistransfer.genome.fasta import write_fasta

__all__ = ["GkmModel", "fit_lsgkm"]

_KERNEL = ("-t", "4", "-l", "11", "-k", "7", "-d", "3")


@dataclass(frozen=True)
class GkmModel:
    """The text of the model file that ``gkmtrain`` wrote."""

    model: str

    def score(self, codes: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Distance to the separating plane, shape (n,); an N is read as A."""
        if not len(codes):
            return np.empty(0)
        with tempfile.TemporaryDirectory(prefix="cistransfer-gkm-") as folder:
            model, result = Path(folder) / "model.txt", Path(folder) / "scores.txt"
            model.write_text(self.model, encoding="utf-8")
            _write(Path(folder) / "sequences.fa", codes)
            _run("gkmpredict", f"{folder}/sequences.fa", str(model), str(result))
            lines = result.read_text(encoding="utf-8").splitlines()
        return _read_scores(lines, len(codes))

    def describe(self) -> str:
        """Say how large the model is."""
        return f"gkm-SVM, {len(self.model.splitlines()):,} lines"


def fit_lsgkm(codes: NDArray[np.uint8], labels: NDArray[np.int8], seed: int = 0) -> GkmModel:
    """Train ``gkmtrain`` with its published defaults; `InputError` without it or when it fails.

    Centre-weighted gapped k-mers (``-t 4``, Lee 2016), named because later builds have another
    default; words of 11 with 7 letters fixed and at most 3 mismatches.
    """
    codes, positive = training_rows(codes, labels, "lsgkm")
    with tempfile.TemporaryDirectory(prefix="cistransfer-gkm-") as folder:
        _write(Path(folder) / "positive.fa", codes[positive])
        _write(Path(folder) / "negative.fa", codes[~positive])
        files = (f"{folder}/positive.fa", f"{folder}/negative.fa", f"{folder}/gkm")
        _run("gkmtrain", *_KERNEL, "-r", str(seed + 1), *files)
        return GkmModel((Path(folder) / "gkm.model.txt").read_text(encoding="utf-8"))


def _read_scores(lines: list[str], expected: int) -> NDArray[np.float64]:
    """Scores of ``s0``, ``s1`` … from lines of name, tab, score; whatever their order."""
    scores = np.full(expected, np.nan)
    for line in lines:
        name, _, value = line.partition("\t")
        try:
            scores[int(name.removeprefix("s"))] = float(value)
        except (ValueError, IndexError) as error:
            raise InputError(
                f"gkmpredict: expected lines of name, tab, score, found {line[:60]!r}"
            ) from error
    missing = int(np.isnan(scores).sum())
    if missing:
        raise InputError(f"gkmpredict scored {expected - missing} of {expected} sequences")
    return scores


def _write(path: Path, codes: NDArray[np.uint8]) -> None:
    plain = np.where(codes < N, codes, 0).astype(np.uint8)
    write_fasta(path, {f"s{at}": decode(row) for at, row in enumerate(plain)})


def _run(program: str, *arguments: str) -> None:
    found = shutil.which(program)
    if found is None:
        raise InputError(
            f"baseline lsgkm: {program} is not on PATH: install LS-GKM, or use the baseline kmer"
        )
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        complaint = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"baseline lsgkm: {program} failed: {complaint}")
