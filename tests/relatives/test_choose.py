"""Every group on a toy matrix whose answers can be read off a table; what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cistransfer.binding.facts.cobinding import binding_vectors
from cistransfer.errors import InputError
from cistransfer.relatives.answer import Relatives, choice_lines, choice_values, groups_lines
from cistransfer.relatives.choose import choose_group
from cistransfer.relatives.figure import draw_choice, write_choice_figure
from cistransfer.relatives.groups import GROUPS, group_named
from cistransfer.relatives.modes import BindingModes, modes_from_pairs
from cistransfer.relatives.options import GroupOptions
from cistransfer.relatives.partners import Partners
from cistransfer.relatives.target import Known, find_target

TFS = ["T", "S1", "S2", "S3", "O1", "O2", "O3", "O4", "TWO", "NONE", "NIL"]
OF = {
    "T": "x,y", "S1": "x", "S2": "x", "S3": "y", "O1": "p", "O2": "p", "O3": "q", "O4": "r",
    "TWO": "x,q", "NONE": "", "NIL": "q",
}  # fmt: skip
ALIKE = {"S1": 9, "S2": 6, "S3": 2, "O1": 8, "O2": 5, "O3": 3, "O4": 1, "TWO": 4, "NONE": 7}
"""Of T's ten bound regions, how many each TF binds too (and nothing else)."""

CLOSED = {"S3": 8, "O4": 12, "O2": 5, "NONE": 2}
"""Trailing regions that are closed for a TF."""

SCORES = {"O2": 0.9, "S1": 0.8, "O1": 0.7, "O4": 0.6, "NONE": 0.99}


def states() -> list[list[int]]:
    table = np.zeros((40, len(TFS)), dtype=int)
    table[:10, 0] = 1
    for tf, count in ALIKE.items():
        table[:count, TFS.index(tf)] = 1
    for tf, count in CLOSED.items():
        table[40 - count :, TFS.index(tf)] = -1
    return table.tolist()


def toy_modes(wider: bool = False) -> BindingModes:
    pairs = [(tf, mode) for tf, modes in OF.items() for mode in modes.split(",") if mode]
    made = modes_from_pairs("toy modes", pairs)
    if not wider:
        return made
    larger = modes_from_pairs("toy classes", [(tf, "all") for tf in TFS if OF[tf]])
    return BindingModes(made.source, made.groups, wider=larger)


def toy_partners() -> Partners:
    scores = {"T": SCORES, **{tf: {"T": score} for tf, score in SCORES.items()}}
    return Partners("toy partners", scores, tuple(TFS[:-1]), ("NIL",), 0.4)


@pytest.fixture
def toy(make_matrix: Any) -> Any:
    """A function that chooses on the toy matrix with all sources."""
    matrix = make_matrix(states(), TFS)
    vectors = binding_vectors(matrix)

    def choose(group: str, n: int | None = None, with_target: bool = False, **options: Any) -> Any:
        modes = options.pop("modes", toy_modes())
        partners = options.pop("partners", toy_partners())
        target = options.pop("target", "T")
        seed = options.pop("seed", 0)
        if target is not None:
            target = find_target(matrix, vectors, target, modes=modes, partners=partners)
        known = Known(matrix, vectors, target, modes, partners)
        asked = GroupOptions(n=n, with_target=with_target, **options)
        return choose_group(known, group, asked, seed=seed)

    return choose


@pytest.mark.parametrize(
    ("group", "n", "without", "beside"),
    [
        # The nine that bind like T in order: S1 O1 NONE S2 O2 TWO O3 S3 O4; NIL binds nothing.
        ("cofactors", 3, "O1 O2 O3", "T O1 O2"),
        ("co-binders", 4, "S1 O1 NONE S2", "T S1 O1 NONE"),
        ("non-cofactors", 3, "S3 TWO S2", "T S3 TWO"),
        ("non-cofactors-published", 3, "S2 TWO S3", "T S2 TWO"),
        ("binding-mode-best", 3, "S1 S2 TWO", "T S1 S2"),
        ("partners", 3, "O2 O1 O4", "T O2 O1"),
        ("best-partners", 3, "NONE O2 S1", "T NONE O2"),
        # By resolved regions, ties by name: 40 but S3 32, O4 28, O2 35, NONE 38.
        ("most-resolved", 6, "O1 O3 S1 S2 TWO NONE", "T O1 O3 S1 S2 TWO"),
        ("most-resolved-published", 6, "NIL O1 O3 S1 S2 T", "T NIL O1 O3 S1 S2"),
        # One per mode: x S1, y S3, p O1, q TWO, r O4; with most bound regions first.
        ("general", None, "S1 O1 TWO S3 O4", "T S1 O1 TWO S3 O4"),
        ("general", 2, "S1 O1", "T S1"),
        ("buried-cofactors", 7, None, None),
    ],
)
def test_deterministic_groups(
    toy: Any, group: str, n: int | None, without: str | None, beside: str | None
) -> None:
    if without is None or beside is None:
        with pytest.raises(InputError, match="--n"):
            toy(group, n)
        return
    assert " ".join(toy(group, n).tfs) == without
    assert " ".join(toy(group, n, True).tfs) == beside


def test_drawn_groups(toy: Any) -> None:
    same = {tuple(sorted(toy("binding-mode", 2, seed=seed).tfs)) for seed in range(40)}
    assert same == set(itertools.combinations(sorted(["S1", "S2", "S3", "TWO"]), 2))
    other = {tf for seed in range(40) for tf in toy("random", 2, seed=seed).tfs}
    assert other == {"O1", "O2", "O3", "O4"}
    # The published pool holds TWO, which shares x, through its other mode.
    published = {tf for seed in range(40) for tf in toy("random-published", 2, seed=seed).tfs}
    assert published == {"O1", "O2", "O3", "O4", "TWO"}
    # The published draw is from one of T's modes, the larger one.
    one = {tf for seed in range(40) for tf in toy("binding-mode-published", 2, seed=seed).tfs}
    assert one == {"S1", "S2", "TWO"}
    named = {tf for seed in range(9) for tf in toy("binding-mode", 1, seed=seed, mode="y").tfs}
    assert named == {"S3"}
    assert toy("binding-mode", 3, True, seed=1).tfs[0] == "T"


def test_same_seed_same_group(toy: Any) -> None:
    for group in ("random", "binding-mode", "binding-mode-published", "random-published"):
        first, second = toy(group, 3, seed=7), toy(group, 3, seed=7)
        assert first.tfs == second.tfs
        pd.testing.assert_frame_equal(first.evidence, second.evidence)


def test_buried(toy: Any) -> None:
    # Relevant S1 S2 TWO S3 (mode), the others of other modes by resolved regions.
    with pytest.raises(InputError, match="wanted for 'buried-binding-mode'"):
        toy("buried-binding-mode", 9)
    found = toy("buried-co-binders", 7)
    assert found.tfs == ("S1", "O1", "NONE", "S2", "O2", "O3", "O4")
    assert found.evidence["role"].tolist() == ["relative"] * 5 + ["other"] * 2
    # The published others may share T's mode.
    assert toy("buried-co-binders-published", 7).tfs[5:] == ("O3", "TWO")
    beside = toy("buried-co-binders", 6, True)
    assert beside.tfs == ("T", "S1", "O1", "NONE", "S2", "O3")
    assert beside.evidence["role"].tolist() == ["target"] + ["relative"] * 4 + ["other"]
    with pytest.raises(
        InputError, match=r"only 2 other TFs to bury 5 among, and 4 .*take --n-tfs 7"
    ):
        toy("buried-co-binders", 9)


def test_published_buried_mode_counts_on_rank_one(toy: Any, make_matrix: Any) -> None:
    found = toy("buried-binding-mode-published", 4, modes=five_modes())
    assert found.tfs == ("S1", "O1", "S2", "O2")
    with pytest.raises(InputError, match=r"ranks 2 to 6 .*S1 being the first"):
        toy("buried-binding-mode-published", 4, target="S1", modes=five_modes())


def five_modes() -> BindingModes:
    return modes_from_pairs("five", [(tf, "x") for tf in ("T", "S1", "O1", "S2", "O2", "TWO")])


def test_evidence_says_what_speaks_for_each(toy: Any) -> None:
    found = toy("best-partners", 4, True)
    table = found.evidence.set_index("tf")
    assert table.index.tolist() == ["T", "NONE", "O2", "S1"]
    assert table.loc["S1", "shared"] == ("x",)
    assert table.loc["NONE", "modes"] == ()
    assert table.loc["O2", "partner"] == 0.9
    assert table.loc["S1", "cosine"] == pytest.approx(9 / np.sqrt(10 * 9))
    assert table["bound"].tolist() == [10, 7, 5, 9]
    assert table["resolved"].tolist() == [40, 38, 35, 40]
    assert table["resolved_with_target"].tolist() == [40, 38, 35, 40]
    assert found.common == 35
    # Without O2 the 38 of NONE are left.
    assert table["cost"].tolist() == [0, 0, 3, 0]
    assert any("names 10 of 11 TFs (91%)" in note for note in found.notes)
    assert any("few bound regions: NONE (7)" in note for note in found.notes)
    assert any("no binding mode" in note and "NONE" in note for note in toy("cofactors", 2).notes)


def test_min_common_says_what_to_drop(toy: Any) -> None:
    assert toy("co-binders", 5, min_common=35).common == 35
    with pytest.raises(InputError, match=r"only 35 .*38 are wanted: drop O2 .* 38 are left"):
        toy("co-binders", 5, min_common=38)
    with pytest.raises(InputError, match=r"drop NONE, O2|drop O2, NONE"):
        toy("co-binders", 5, min_common=40)
    with pytest.raises(InputError, match=r"no dropping helps \(even"):
        toy("co-binders", 5, min_common=41)
    drawn = {tuple(sorted(toy("binding-mode", 2, seed=s, min_common=40).tfs)) for s in range(20)}
    assert drawn == set(itertools.combinations(["S1", "S2", "TWO"], 2))
    with pytest.raises(InputError, match=r"none of .* draws .* has 41 regions resolved for all"):
        toy("binding-mode", 2, min_common=41)


def test_published_draws_need_their_share_in_common(make_matrix: Any) -> None:
    """70,000 of 1,817,918 regions: 3.85 % of the toy's 400, by default."""
    table = np.zeros((400, 4), dtype=int)
    table[:5] = 1
    table[15:, 1] = -1  # S1 has 15 regions, S2 16
    table[16:, 2] = -1
    matrix = make_matrix(table.tolist(), ["T", "S1", "S2", "O"])
    modes = modes_from_pairs("m", [("T", "x"), ("S1", "x"), ("S2", "x"), ("O", "o")])

    def choose(group: str) -> Any:
        vectors = binding_vectors(matrix)
        target = find_target(matrix, vectors, "T", modes=modes)
        known = Known(matrix, vectors, target, modes, None)
        return choose_group(known, group, GroupOptions(n=2))

    assert choose("binding-mode").common == 15
    assert choose("binding-mode-published").common == 15
    fewer = table.copy()
    fewer[14:, 1] = -1
    matrix = make_matrix(fewer.tolist(), ["T", "S1", "S2", "O"])
    with pytest.raises(InputError, match=r"has 15 regions resolved for all; the best has 14"):
        choose("binding-mode-published")


def test_excluded_and_poor_tfs(toy: Any) -> None:
    assert toy("cofactors", 2, exclude=("O1",)).tfs == ("O2", "O3")
    assert toy("cofactors", 2, min_bound=5).tfs == ("O1", "O2")
    with pytest.raises(InputError, match="no TF 'O9' to leave out; nearest: O"):
        toy("cofactors", 2, exclude=("O9",))


def test_too_few_members_offer_the_nearest_larger_group(toy: Any) -> None:
    with pytest.raises(InputError) as refused:
        toy("binding-mode", 5, modes=toy_modes(wider=True))
    message = str(refused.value)
    assert "share a binding mode with T and can be chosen: 4 (S1, S2, S3, TWO)" in message
    assert "5 are wanted" in message
    assert "--n-tfs 4, or --wider (toy classes: 8 TFs), or --group co-binders" in message
    wide = toy("binding-mode-best", 5, modes=toy_modes(wider=True), wider=True)
    assert wide.tfs == ("S1", "O1", "S2", "O2", "TWO")
    assert "taken instead: toy classes" in wide.notes[0]
    with pytest.raises(InputError, match="can be chosen: none, and 1 are wanted"):
        toy("binding-mode", 1, target="O4")
    with pytest.raises(InputError, match="or --group best-partners"):
        toy("partners", 5)


def test_what_cannot_be_asked(toy: Any) -> None:
    for group, options, message in [
        ("cofactor", {}, "no group 'cofactor'; nearest: cofactors"),
        ("cofactors", {"modes": None}, "needs binding modes"),
        ("partners", {"partners": None}, "needs protein partners"),
        ("cofactors", {"target": None}, "needs a target TF"),
        ("cofactors", {"target": "NONE"}, "no binding mode for NONE"),
        ("partners", {"target": "O3"}, "no partners of O3 among the TFs .*10 of 11 TFs mapped"),
        ("cofactors", {"target": "TX"}, "no TF 'TX' in this matrix.*nearest: T"),
        ("binding-mode", {"mode": "q"}, "T is not in binding mode 'q'; its modes are: x, y"),
        ("random-figure9", {}, "published for JUND, not for T"),
    ]:
        with pytest.raises(InputError, match=message):
            toy(group, 2, **options)
    with pytest.raises(InputError, match="expected at least 2 TFs, found 1"):
        toy("cofactors", 1, True)


def test_a_target_outside_the_matrix(toy: Any, make_matrix: Any) -> None:
    modes = modes_from_pairs("m", [*((tf, m) for tf in TFS for m in OF[tf].split(",") if m),
                                   ("NEW", "p")])  # fmt: skip
    # Its mode's O1 and O2 stand in, each without itself: 5 of √(8·5) for both.
    found = toy("co-binders", 3, target="NEW", modes=modes)
    assert found.tfs == ("NONE", "S2", "S1")
    table = found.candidates
    assert table["cosine"].isna().all()
    assert table.loc["O1", "kin_cosine"] == table.loc["O2", "kin_cosine"]
    assert table.loc["O1", "kin_cosine"] == pytest.approx(5 / np.sqrt(40))
    with_o1, with_o2 = 6 / np.sqrt(6 * 8), 5 / np.sqrt(6 * 5)
    assert table.loc["S2", "kin_cosine"] == pytest.approx((with_o1 + with_o2) / 2)
    assert toy("cofactors", 2, target="NEW", modes=modes).tfs == ("S2", "S1")
    with pytest.raises(InputError, match=r"NEW is not in .*cannot be one of the tasks"):
        toy("cofactors", 2, True, target="NEW", modes=modes)
    lonely = modes_from_pairs("m", [("NEW", "z"), ("T", "x")])
    with pytest.raises(InputError, match="needs to know where NEW binds"):
        toy("cofactors", 1, target="NEW", modes=lonely)
    assert toy("most-resolved", 2, target=None).tfs == ("O1", "O3")


def test_groups_have_one_word_each() -> None:
    assert group_named("buried").name == "buried-binding-mode"
    assert group_named("string").name == "partners"
    assert all(name == group.name and " " not in name for name, group in GROUPS.items())
    assert sum(group.published for group in GROUPS.values()) == 14


def relatives_of(make_matrix: Any) -> Relatives:
    matrix = make_matrix(states(), TFS)
    vectors = binding_vectors(matrix)
    modes, partners = toy_modes(), toy_partners()
    target = find_target(matrix, vectors, "T", modes=modes, partners=partners)
    return Relatives(Known(matrix, vectors, target, modes, partners))


def test_every_group_or_the_reason(make_matrix: Any) -> None:
    found = relatives_of(make_matrix).choose_all(3)
    assert set(found) == set(GROUPS)
    made = {name for name, choice in found.items() if not isinstance(choice, str)}
    assert {"cofactors", "binding-mode", "partners", "random", "general"} <= made
    lines = groups_lines(found)
    assert lines[0].split() == ["group", "common", "TFs"]
    assert any(line.startswith("cofactors ") and line.endswith("O1, O2, O3") for line in lines)
    assert any(line.startswith("random-figure9") for line in lines)


def test_words_and_values(make_matrix: Any) -> None:
    relatives = relatives_of(make_matrix)
    choice = relatives.choose("co-binders", n=3)
    values = choice_values(choice)
    assert values["tfs"] == ["S1", "O1", "NONE"]
    assert values["evidence"][0]["shared"] == ["x"]
    assert values["evidence"][0]["partner"] == 0.8
    assert values["evidence"][1]["cost"] == 0
    text = choice_lines(choice, relatives)
    assert text[0] == "T: 10 bound regions; binding mode x, y"
    assert text[3].split() == ["TF", "role", "why", "shared", "mode", "cosine", "odds", "partner",
                               "bound", "resolved", "cost"]  # fmt: skip
    assert "--tfs S1,O1,NONE" in text


@pytest.mark.parametrize("group", ["co-binders", "partners"])
def test_figure_shows_every_tf(make_matrix: Any, tmp_path: Any, group: str) -> None:
    relatives = relatives_of(make_matrix)
    choice = relatives.choose(group, n=3)
    made = draw_choice(choice, relatives.vectors)
    left, right = made.axes[:2]
    assert [label.get_text() for label in left.get_xticklabels()] == ["T", *choice.tfs]
    shown = np.ma.getdata(left.images[0].get_array())
    assert shown[0, 1] == pytest.approx(choice.evidence["cosine"][0])
    assert {text.get_text() for text in right.texts} == set(choice.tfs)
    # All but T and NIL, which binds nothing.
    dots = sum(len(points.get_offsets()) for points in right.collections[:2])
    assert dots == len(TFS) - 2
    write_choice_figure(tmp_path / "f.png", choice, relatives.vectors)
    assert (tmp_path / "f.png").stat().st_size > 5000
    with pytest.raises(InputError, match=r"expected a figure in .png, .svg, .pdf, found '.bmp'"):
        write_choice_figure(tmp_path / "f.bmp", choice, relatives.vectors)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["cofactors", "random", "binding-mode"]))
def test_members_belong(tmp_path_factory: Any, toy_writer: Any, seed: int, group: str) -> None:
    """Whatever the states and modes: no shared mode outside, a shared mode inside."""
    rng = np.random.default_rng(seed)
    tfs = [f"F{at}" for at in range(8)]
    table = rng.integers(-1, 2, (30, 8))
    table[0] = 1
    matrix = toy_writer(tmp_path_factory.mktemp("toy") / "m.h5", table.tolist(), tfs)
    pairs = [(tf, str(mode)) for tf in tfs for mode in rng.choice(4, rng.integers(1, 3), False)]
    modes = modes_from_pairs("m", pairs)
    vectors = binding_vectors(matrix)
    target = find_target(matrix, vectors, "F0", modes=modes)
    known = Known(matrix, vectors, target, modes, None)
    inside = group == "binding-mode"
    bound = matrix.states(tfs, "less-sparse").max(axis=0) == 1
    pool = [tf for tf, has in zip(tfs[1:], bound[1:], strict=True)
            if has and bool(modes.of(tf) & modes.of("F0")) == inside]  # fmt: skip
    if len(pool) < 2:
        with pytest.raises(InputError, match="2 are wanted"):
            choose_group(known, group, GroupOptions(n=2), seed=seed)
        return
    found = choose_group(known, group, GroupOptions(n=2), seed=seed)
    assert len(set(found.tfs)) == 2
    assert "F0" not in found.tfs
    assert all(bool(modes.of(tf) & modes.of("F0")) == inside for tf in found.tfs)
    assert found.common == int((matrix.states(list(found.tfs), "less-sparse") >= 0).all(1).sum())
