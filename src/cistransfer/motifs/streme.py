"""Run STREME (MEME suite) with the options of the published baseline."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError
from cistransfer.genome.codes import decode
from cistransfer.genome.fasta import write_fasta
from cistransfer.motifs.meme import read_meme
from cistransfer.motifs.pwm import PWM

__all__ = ["run_streme"]


def run_streme(
    codes: NDArray[np.uint8],
    positive: NDArray[np.bool_],
    *,
    n_motifs: int = 5,
    max_width: int = 21,
) -> list[PWM]:
    """Find motifs with the program ``streme``: no hold-out, as published (protocol D3).

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    positive : ndarray of bool, shape (n,)
        The others are the control sequences.
    n_motifs, max_width : int
        ``--nmotifs`` and ``--maxw``.

    Raises
    ------
    InputError
        When the program is not on PATH or fails (with its last line of complaint).
    """
    program = shutil.which("streme")
    if program is None:
        raise InputError(
            "streme is not on PATH: install the MEME suite, or choose our own finder ('own')"
        )
    with tempfile.TemporaryDirectory(prefix="cistransfer-streme-") as folder:
        for name, rows in (("positive", positive), ("negative", ~positive)):
            records = {f"{name}{at}": decode(row) for at, row in enumerate(codes[rows])}
            write_fasta(Path(folder) / f"{name}.fa", records)
        command = [
            program,
            *("--p", f"{folder}/positive.fa", "--n", f"{folder}/negative.fa", "--dna"),
            *("--hofract", "0", "--maxw", str(max_width), "--nmotifs", str(n_motifs)),
            *("--oc", f"{folder}/out"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        result = Path(folder) / "out" / "streme.txt"
        if done.returncode != 0 or not result.exists():
            complaint = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise InputError(f"streme failed (exit {done.returncode}): {complaint}")
        if "letter-probability matrix" not in result.read_text(encoding="utf-8"):
            return []
        return read_meme(result)
