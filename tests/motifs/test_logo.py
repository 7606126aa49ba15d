"""Logos: where the letters stand, not how they look."""

from __future__ import annotations

import numpy as np
import pytest

from cistransfer.errors import InputError
from cistransfer.motifs.logo import draw_letters, draw_logo, logo_heights
from cistransfer.motifs.pwm import PWM


@pytest.fixture
def ax():
    from matplotlib.figure import Figure

    return Figure(figsize=(4, 2)).add_subplot()


def boxes(ax):
    return [patch.get_path().get_extents() for patch in ax.patches]


def test_heights_literal():
    pwm = PWM("m", np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4]))
    np.testing.assert_allclose(logo_heights(pwm), [[2, 0, 0, 0], [0.5, 0.5, 0, 0], [0] * 4])


def test_letters_stack_and_hang(ax):
    draw_letters(ax, np.array([[1.0, 2.0, -0.5, 0.0], [0, 0, 0, 3.0]]), first=10)
    placed = [(b.x0, b.x1, b.y0, b.y1) for b in boxes(ax)]
    expected = [
        (9.525, 10.475, -0.5, 0.0),  # G hangs
        (9.525, 10.475, 0.0, 1.0),  # A, the smaller, nearer to zero
        (9.525, 10.475, 1.0, 3.0),
        (10.525, 11.475, 0.0, 3.0),
    ]
    np.testing.assert_allclose(placed, expected, atol=1e-9)
    assert ax.get_xlim() == (9.5, 11.5)
    assert ax.get_ylim()[0] < -0.5


def test_logo_axis_and_svg(ax, tmp_path):
    draw_logo(ax, PWM("m", np.array([[1.0, 0, 0, 0], [0.25] * 4])))
    assert ax.get_ylim() == (0, 2)
    assert len(ax.patches) == 1
    ax.figure.savefig(tmp_path / "logo.svg")


def test_bad_heights(ax):
    with pytest.raises(InputError, match="shape"):
        draw_letters(ax, np.zeros((4, 9)))
