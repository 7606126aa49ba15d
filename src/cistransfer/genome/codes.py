"""DNA as ``uint8`` codes: A 0, C 1, G 2, T 3, anything else 4."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cistransfer.errors import InputError

__all__ = [
    "IUPAC",
    "N",
    "decode",
    "encode",
    "encode_many",
    "gc_fraction",
    "has_n",
    "reverse_complement",
    "turned_words",
    "words",
]

Codes = NDArray[np.uint8]

N = 4
"""The code of every letter that is not A, C, G, T or U (in either case)."""

_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, 4], dtype=np.uint8)
_CODE = np.full(256, N, dtype=np.uint8)
for _code, _letter in enumerate("ACGT"):
    _CODE[ord(_letter)] = _CODE[ord(_letter.lower())] = _code
_CODE[ord("U")] = _CODE[ord("u")] = _CODE[ord("T")]
_TABLE = _CODE.tobytes()

IUPAC = b"ACGTUNRYKMSWBDHVXacgtunrykmswbdhvx-.*"
"""What a sequence may be written with: what is not A, C, G, T or U is N."""


def encode(sequence: str | bytes) -> Codes:
    """Encode one sequence; upper and lower case are equal, IUPAC letters become N (4).

    Parameters
    ----------
    sequence : str or bytes
        DNA letters; U, as RNA is written, is T.

    Returns
    -------
    ndarray of uint8, shape (length,)
    """
    raw = sequence.encode("ascii") if isinstance(sequence, str) else sequence
    return np.frombuffer(bytearray(raw).translate(_TABLE), dtype=np.uint8)


def encode_many(sequences: Sequence[str]) -> Codes:
    """Encode sequences of one length.

    Returns
    -------
    ndarray of uint8, shape (n, length)

    Raises
    ------
    InputError
        When the lengths differ (names the first that does).
    """
    if not sequences:
        return np.empty((0, 0), dtype=np.uint8)
    length = len(sequences[0])
    for row, sequence in enumerate(sequences):
        if len(sequence) != length:
            raise InputError(
                f"sequence {row + 1} is {len(sequence)} bp long; expected {length} bp "
                "like the first one"
            )
    return encode("".join(sequences)).reshape(len(sequences), length)


def decode(codes: Codes) -> str:
    """Turn one row of codes into upper-case letters (4 becomes N)."""
    return _LETTERS[codes].tobytes().decode("ascii")


def reverse_complement(codes: Codes) -> Codes:
    """Reverse-complement along the last axis; N stays N."""
    return _COMPLEMENT[codes[..., ::-1]]


def gc_fraction(codes: Codes) -> NDArray[np.float64]:
    """Share of G and C among the A, C, G, T of each sequence (last axis); NaN where all is N."""
    known = (codes < N).sum(axis=-1)
    gc = ((codes == 1) | (codes == 2)).sum(axis=-1)
    return np.where(known > 0, gc / np.maximum(known, 1), np.nan)


def has_n(codes: Codes) -> NDArray[np.bool_]:
    """Whether each sequence (last axis) holds at least one N."""
    return np.asarray((codes >= N).any(axis=-1))


def words(codes: Codes, k: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Number in base 4 of the word of ``k`` letters at each place, and whether it is free of N.

    Parameters
    ----------
    codes : ndarray of uint8, shape (n, length)
    k : int
        At most 15.

    Returns
    -------
    ndarray of int32, ndarray of bool, shape (n, length − k + 1)

    Examples
    --------
    >>> words(encode_many(["ACGNA"]), 2)
    (array([[1, 6, 8, 0]], dtype=int32), array([[ True,  True, False, False]]))
    """
    last = max(codes.shape[1] - k + 1, 0)
    number = np.zeros((len(codes), last), dtype=np.int32)
    known = np.ones((len(codes), last), dtype=bool)
    for offset in range(k):
        letters = codes[:, offset : offset + last]
        number = number << 2 | (letters & 3)
        known &= letters < N
    return number, known


def turned_words(k: int) -> NDArray[np.int64]:
    """Reverse complement of each of the 4^k words of ``k`` letters, as numbers in base 4.

    >>> turned_words(1)
    array([3, 2, 1, 0])
    """
    every = np.arange(4**k)
    turned = np.zeros_like(every)
    for at in range(k):
        turned = turned << 2 | (3 - (every >> (2 * at) & 3))
    return turned
