"""Every group of TFs to learn from first, by name, and who its members may be.

Novakovsky et al. 2021 (Figs. 6–8 and 10): the five groups of Fig. 6, the two "regardless of mode"
lists, the five relevant TFs buried among 45 others, and the 50 most resolved TFs. Where the code
does something else than the paper says (`-published`), both are here.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from cistransfer.errors import InputError, nearest

__all__ = ["GROUPS", "PENTAD", "PUBLISHED_COMMON", "TRIOS", "Group", "group_named"]

PUBLISHED_COMMON = 70_000 / 1_817_918
"""Share of the regions that the published random draws had to have in common (70,000)."""

PENTAD = ("JUND", "MAX", "SPI1", "SP1", "HNF4A")
"""The five targets of the published group experiments (EGR1 is the sixth of the code)."""

TRIOS = MappingProxyType(
    {
        "HNF4A": ("HNF4A", "NR2C2", "VDR"),
        "JUND": ("JUND", "ATF7", "NFE2L1"),
        "MAX": ("MAX", "MNT", "SREBF2"),
        "SPI1": ("SPI1", "ETV4", "ERG"),
        "SP1": ("SP1", "KLF9", "ZNF740"),
    }
)
"""The published 15 targets: one with many, one with 1,000 to 10,000, one with few bound regions.

ERG has 1,162, not fewer than 1,000 as the paper says.
"""


@dataclass(frozen=True)
class Group:
    """A way to choose TFs.

    Attributes
    ----------
    name : str
    rule : str
        The rule in `cistransfer.relatives.choose` that it follows.
    what : str
        One line for people.
    size : int
        How many TFs by default, the target included where it is asked for; 0 for all there are.
    needs : tuple of str
        ``modes``, ``cosine``, ``partners``.
    needs_target : bool
    drawn : bool
        Whether it is drawn at random.
    published : bool
        Whether it follows the published code where that differs from the paper.
    literal : tuple of str
        The TFs themselves, for a set that was published as a list.
    """

    name: str
    rule: str
    what: str
    size: int = 5
    needs: tuple[str, ...] = ()
    needs_target: bool = True
    drawn: bool = False
    published: bool = False
    literal: tuple[str, ...] = ()


_BURIED = {
    "binding-mode": ("binding-mode-best", "share a mode with the target", ("modes",)),
    "cofactors": ("cofactors", "are its cofactors", ("modes", "cosine")),
    "partners": ("partners", "are its partners of other modes", ("modes", "partners")),
    "co-binders": ("co-binders", "bind most alike", ("modes", "cosine")),
    "best-partners": ("best-partners", "are its best partners", ("modes", "partners")),
}

_FIGURE_9 = "JUND's random TFs of Fig. 9C, as the {} names them"

_ALL = [
    Group("binding-mode", "binding-mode", "drawn from the TFs that share a binding mode with the "
          "target", needs=("modes",), drawn=True),
    Group("binding-mode-best", "binding-mode-best", "of the TFs that share a mode, those with most "
          "bound regions", needs=("modes",)),
    Group("cofactors", "cofactors", "TFs of other modes that bind most alike (cosine)",
          needs=("modes", "cosine")),
    Group("non-cofactors", "non-cofactors", "TFs of the same mode that bind least alike",
          needs=("modes", "cosine")),
    Group("partners", "partners", "best protein partners (STRING) of other modes",
          needs=("modes", "partners")),
    Group("co-binders", "co-binders", "TFs that bind most alike, whatever their mode",
          needs=("cosine",)),
    Group("best-partners", "best-partners", "best protein partners, whatever their mode",
          needs=("partners",)),
    Group("random", "random", "drawn from the TFs that share no mode with the target",
          needs=("modes",), drawn=True),
    Group("most-resolved", "most-resolved", "TFs with most resolved regions", size=50,
          needs_target=False),
    Group("general", "general", "of every binding mode the TF with most bound regions", size=0,
          needs=("modes",), needs_target=False),
    Group("binding-mode-published", "binding-mode", "as the code: one of the target's modes, drawn "
          "again until the common regions suffice", needs=("modes",), drawn=True, published=True),
    Group("random-published", "random", "as the code: a TF with two modes slips in through the "
          "other one", needs=("modes",), drawn=True, published=True),
    Group("non-cofactors-published", "non-cofactors", "as the code: beside the target the least "
          "similar one is dropped", needs=("modes", "cosine"), published=True),
    Group("most-resolved-published", "most-resolved", "as the code: the target counts like any "
          "other", size=50, needs_target=False, published=True),
    Group("random-figure9", "literal", _FIGURE_9.format("paper"),
          literal=("CTCF", "EBF1", "MXI1", "NFYA", "TCF3")),
    Group("random-figure9-notebook", "literal", _FIGURE_9.format("notebook"),
          literal=("ZNF143", "TP63", "GATA3", "ELK1", "RXRA")),
]  # fmt: skip
for _name, (_rule, _what, _needs) in _BURIED.items():
    _ALL += [
        Group(f"buried-{_name}", _rule, f"five that {_what}, buried among 45 others of other "
              "modes (the most resolved)", size=50, needs=_needs),
        Group(f"buried-{_name}-published", _rule, f"as the code: five that {_what} among the 45 "
              "most resolved others, whatever their mode", size=50,
              needs=_needs if _name in ("binding-mode", "cofactors", "partners") else _needs[1:],
              published=True),
    ]  # fmt: skip

GROUPS = MappingProxyType({group.name: group for group in _ALL})
"""All groups by name. ``buried`` and ``mode`` stand for the first of their kind."""

_SHORT = {"buried": "buried-binding-mode", "mode": "binding-mode", "string": "partners"}


def group_named(name: str) -> Group:
    """Return a group by its name; `InputError` with the nearest names when there is none."""
    found = GROUPS.get(_SHORT.get(name, name))
    if found is None:
        raise InputError(f"no group {name!r}; {nearest(name, GROUPS)}")
    return found
