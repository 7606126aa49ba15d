"""A split whose test chromosomes are given."""

from __future__ import annotations

from collections.abc import Iterable

from cistransfer.examples.split import Split, choose_chromosomes, settle_split

__all__ = ["PUBLISHED_TEST", "hold_out"]

PUBLISHED_TEST = ("chr2", "chr3")
"""Test chromosomes of Salvatore et al. 2023."""


def hold_out(
    wanted: Split | None, chroms: Iterable[str], test: tuple[str, ...] = PUBLISHED_TEST
) -> Split | None:
    """Complete a wanted split with test chromosomes, as far as it leaves them open.

    Parameters
    ----------
    wanted : Split or None
        One that names its chromosomes, or is not by chromosome, is returned as it is. A fold is
        made of the chromosomes outside the test part (`settle_split`).
    chroms : iterable of str
        Chromosome of each region that examples may be made of.
    test : tuple of str

    Returns
    -------
    Split or None
        The validation chromosome is the one that holds about 10 % of the regions that are not for
        testing. What was wanted when there are no regions on one of the test chromosomes, and
        when too few others are left to train and validate on (three, or one for every fold).
    """
    if wanted is not None and (wanted.by != "chromosome" or wanted.valid):
        return wanted
    regions = list(chroms)
    test = (wanted.test if wanted is not None else ()) or test
    least = int(wanted.fold.partition("/")[2]) if wanted is not None and wanted.fold else 3
    if not test or not set(test) <= set(regions) or len(set(regions) - set(test)) < least:
        return wanted
    if wanted is not None:
        return settle_split(Split(test=test, fold=wanted.fold), regions)
    return Split(valid=choose_chromosomes(c for c in regions if c not in test).test, test=test)
