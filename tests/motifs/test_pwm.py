"""PWMs and their verbs: literal values and invariances."""

from __future__ import annotations

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.motifs.pwm import (
    PWM,
    consensus,
    from_counts,
    information_content,
    log_odds,
    reverse_complement_pwm,
    trim,
)

FLAT = [0.25] * 4
PURE = [1.0, 0, 0, 0]


def test_pwm_is_frozen_and_copied():
    matrix = np.array([FLAT, PURE])
    pwm = PWM("m", matrix)
    matrix[0] = 0
    assert pwm.probabilities[0].tolist() == FLAT
    assert pwm.width == 2
    with pytest.raises(ValueError, match="read-only"):
        pwm.probabilities[0, 0] = 1


def test_a_pwm_is_shown_in_short():
    assert repr(PWM("MA1", np.array([PURE, FLAT]), "TF")) == "PWM(MA1 TF: AN, 2 bp)"
    assert repr(PWM("m", np.array([PURE]))) == "PWM(m: A, 1 bp)"


def test_a_threshold_is_of_the_whole_motif():
    pwm = PWM("m", np.array([FLAT, PURE]), threshold=1.5)
    assert reverse_complement_pwm(pwm).threshold == 1.5
    assert trim(pwm).threshold is None


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.full((4, 7), 0.25), "shape (4, 7); is it transposed?"),
        (np.empty((0, 4)), "shape (0, 4)"),
        ([0.25] * 4, "shape (4,)"),
        ([FLAT, [0.5, 0.5, 0.5, 0]], "position 2: expected four probabilities that sum to 1"),
        ([[1.5, -0.5, 0, 0]], "position 1"),
        ([[np.nan] * 4], "position 1"),
    ],
)
def test_bad_matrices(matrix, words):
    with pytest.raises(InputError) as error:
        PWM("m", np.array(matrix))
    assert words in str(error.value)


def test_from_counts_literal():
    pwm = from_counts("m", [[8, 0, 0, 0], [1, 1, 1, 1]], pseudocount=4, alt_name="TF")
    np.testing.assert_allclose(pwm.probabilities, [[0.75, 1 / 12, 1 / 12, 1 / 12], FLAT])
    assert (pwm.sites, pwm.alt_name) == (8.0, "TF")


@pytest.mark.parametrize("counts", [[[0, 0, 0, 0]], [[1, -1, 1, 1]], [1, 2, 3, 4], [[np.nan] * 4]])
def test_from_counts_refuses(counts):
    with pytest.raises(InputError, match="motif 'm'"):
        from_counts("m", counts)


def test_information_content_literal():
    pwm = PWM("m", np.array([FLAT, PURE, [0.5, 0.5, 0, 0]]))
    np.testing.assert_allclose(information_content(pwm), [0, 2, 1])
    background = (0.5, 0.25, 0.125, 0.125)
    np.testing.assert_allclose(information_content(pwm, background)[1:], [1, 0.5])


def test_log_odds_literal():
    pwm = PWM("m", np.array([PURE]))
    assert log_odds(pwm, pseudocount=0).tolist() == [[2, -np.inf, -np.inf, -np.inf]]
    np.testing.assert_allclose(log_odds(pwm, pseudocount=0.5)[0], np.log2([2.5, 0.5, 0.5, 0.5]))
    with pytest.raises(InputError, match="background"):
        log_odds(pwm, (0.5, 0.5, 0, 0))
    with pytest.raises(InputError, match="sum to 1"):
        log_odds(pwm, (0.5, 0.5, 0.5, 0.5))


def test_reverse_complement_twice_is_the_same():
    pwm = PWM("m", np.random.default_rng(0).dirichlet([1] * 4, size=9), "alt", 3.0)
    flipped = reverse_complement_pwm(pwm)
    assert flipped.probabilities[0].tolist() == pwm.probabilities[-1][::-1].tolist()
    back = reverse_complement_pwm(flipped)
    np.testing.assert_array_equal(back.probabilities, pwm.probabilities)
    assert (back.name, back.alt_name, back.sites) == ("m", "alt", 3.0)


def test_consensus_literal():
    rows = [
        PURE,
        [0.5, 0.5, 0, 0],
        [0.1, 0.4, 0.1, 0.4],
        FLAT,
        [0.34, 0.33, 0.33, 0],
        [0.1, 0.1, 0.6, 0.2],
    ]
    assert consensus(PWM("m", np.array(rows))) == "AMYNVG"


def test_trim_keeps_the_inside():
    pwm = PWM("m", np.array([FLAT, FLAT, PURE, FLAT, PURE, FLAT]))
    assert consensus(trim(pwm)) == "ANA"
    assert trim(PWM("m", np.array([FLAT, [0.3, 0.3, 0.2, 0.2]])), 1.0).width == 1
