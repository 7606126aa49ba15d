"""Codes: letters, case, IUPAC, reverse complement, GC."""

from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cistransfer.errors import InputError
from cistransfer.genome.codes import (
    decode,
    encode,
    encode_many,
    gc_fraction,
    has_n,
    reverse_complement,
    turned_words,
    words,
)

DNA = st.text(alphabet="ACGTN", max_size=40)
LETTERS = st.text(alphabet=string.ascii_letters + "*-", max_size=40)
PAIR = {"A": "T", "C": "G", "G": "C", "T": "A", "N": "N"}


def test_codes_of_letters() -> None:
    codes = encode("ACGTN")
    assert codes.dtype == np.uint8
    assert codes.tolist() == [0, 1, 2, 3, 4]
    assert encode("RYSWKMBDHVryswkmbdhv*-.").tolist() == [4] * 23
    assert encode("ACGUacgu").tolist() == [0, 1, 2, 3] * 2
    assert encode(b"acgtn").tolist() == [0, 1, 2, 3, 4]
    assert encode("").shape == (0,)


@given(LETTERS)
def test_lower_case_equals_upper_case(text: str) -> None:
    assert encode(text.lower()).tolist() == encode(text.upper()).tolist()


@given(LETTERS)
def test_decode_gives_acgt_and_n(text: str) -> None:
    read = text.upper().replace("U", "T")
    expected = "".join(letter if letter in "ACGT" else "N" for letter in read)
    assert decode(encode(text)) == expected


@given(DNA)
def test_reverse_complement(text: str) -> None:
    codes = encode(text)
    assert decode(reverse_complement(codes)) == "".join(PAIR[letter] for letter in text[::-1])
    assert reverse_complement(reverse_complement(codes)).tolist() == codes.tolist()


def test_reverse_complement_of_many_leaves_its_argument() -> None:
    codes = encode_many(["AACN", "GTTT"])
    before = codes.copy()
    assert [decode(row) for row in reverse_complement(codes)] == ["NGTT", "AAAC"]
    assert (codes == before).all()


@given(st.lists(st.text(alphabet="ACGTN", min_size=7, max_size=7), min_size=1, max_size=5))
def test_gc_and_n(sequences: list[str]) -> None:
    codes = encode_many(sequences)
    for sequence, gc, unknown in zip(sequences, gc_fraction(codes), has_n(codes), strict=True):
        known = sequence.replace("N", "")
        if known:
            assert gc == (known.count("G") + known.count("C")) / len(known)
        else:
            assert np.isnan(gc)
        assert unknown == ("N" in sequence)


def test_sequences_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="sequence 2 is 3 bp long; expected 4 bp"):
        encode_many(["ACGT", "ACG"])
    assert encode_many([]).shape == (0, 0)


@given(st.lists(DNA.filter(lambda text: len(text) >= 3), min_size=1, max_size=3))
def test_words_are_numbers_in_base_four(sequences: list[str]) -> None:
    length = min(map(len, sequences))
    rows = [text[:length] for text in sequences]
    number, known = words(encode_many(rows), 3)
    turned = turned_words(3)
    for row, text in enumerate(rows):
        for at in range(length - 2):
            word = text[at : at + 3]
            assert known[row, at] == ("N" not in word)
            if "N" not in word:
                digits = "".join(str("ACGT".index(letter)) for letter in word)
                assert number[row, at] == int(digits, 4)
                other = "".join(str("ACGT".index(PAIR[letter])) for letter in reversed(word))
                assert turned[number[row, at]] == int(other, 4)
