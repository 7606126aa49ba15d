"""Filters as motifs, their names and their influence, against naive loops and planted truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from toynets import OTHER, SITE, Motifs, random_codes, with_sites

from cistransfer.errors import InputError
from cistransfer.genome.codes import decode, reverse_complement
from cistransfer.interpretation.filters import (
    FilterMotifs,
    annotate_filters,
    correct_sequences,
    filter_motifs,
)
from cistransfer.interpretation.influence import filter_influence
from cistransfer.models.blocks import one_hot
from cistransfer.motifs.pwm import consensus, from_counts


def naive_counts(
    model: nn.Module, codes: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """The published loops: all activations in memory, then one window at a time."""
    both = np.concatenate([codes, reverse_complement(codes)])
    with torch.no_grad():
        x = one_hot(torch.from_numpy(both)).unsqueeze(2)
        active = model.conv1.relu(model.conv1.norm(model.conv1.conv(x)))[:, :, 0].numpy()
    kernel = model.conv1.conv.weight.shape[2]
    counts = np.zeros((active.shape[1], kernel, 4), int)
    for number in range(active.shape[1]):
        threshold = share * active[:, number].max()
        for row in range(len(both)):
            for position in range(active.shape[2]):
                if active[row, number, position] > threshold:
                    for offset in range(kernel):
                        code = both[row, position + offset]
                        if code < 4:
                            counts[number, offset, code] += 1
    return counts, active.max(axis=(0, 2))


def test_filter_motifs_equal_the_naive_loops(small_cnn: nn.Module) -> None:
    codes = random_codes(30, 68, seed=1)
    codes[3, 10:14] = 4
    expected, maxima = naive_counts(small_cnn, codes, 0.6)
    for batch_size in (7, 64):
        found = filter_motifs(small_cnn, codes, share=0.6, batch_size=batch_size)
        assert (found.counts == expected).all()
        np.testing.assert_allclose(found.maxima, maxima, atol=1e-6)
        assert found.sequences == 30
    assert expected.sum() > 1000
    for number, pwm in zip(found.filters, found.pwms, strict=True):
        assert pwm.name == f"filter{number}"
        counts = expected[number]
        np.testing.assert_allclose(
            pwm.probabilities, counts / counts.sum(axis=1, keepdims=True), atol=1e-12
        )


def test_planted_filters_give_back_their_motifs() -> None:
    model = Motifs([SITE, OTHER, "GGGGGGGGGGGG"], 60).eval()
    codes, _ = with_sites(random_codes(200, 60, seed=2), SITE, both=True)
    codes[::2] = with_sites(codes[::2], OTHER, seed=3)[0]
    found = filter_motifs(model, codes)
    texts = [consensus(pwm) for pwm in found.pwms]
    assert SITE in texts[0]
    assert OTHER in texts[1]
    assert found.filters.tolist() == [0, 1]  # the third never fires and has no motif
    assert found.sites[2] == 0
    single = filter_motifs(model, codes, both_strands=False)
    assert 0 < single.sites[0] < found.sites[0]


def test_correct_sequences() -> None:
    logits = np.array([[1, -1], [1, 1], [-1, 1], [2, 2]], np.float32)
    labels = np.array([[1, 0], [1, 0], [0, -1], [-1, -1]], np.int8)
    assert correct_sequences(logits, labels).tolist() == [True, False, True, False]
    assert correct_sequences(logits, labels, np.array([0, 1.5])).tolist() == [
        True, True, True, False,
    ]  # fmt: skip


def test_annotation_names_planted_filters_and_sets_flat_ones_aside() -> None:
    pytest.importorskip("memelite")
    model = Motifs([SITE, OTHER], 60).eval()
    codes, _ = with_sites(random_codes(150, 60, seed=2), SITE)
    codes[::2] = with_sites(codes[::2], reverse_complement_text(OTHER), seed=3)[0]
    found = filter_motifs(model, codes)
    rng = np.random.default_rng(0)
    targets = [
        from_counts(f"T{number}", 20 * rng.dirichlet([0.3] * 4, size=10), pseudocount=0.5)
        for number in range(40)
    ]
    for name, text in (("GATA", SITE), ("CCAAT", reverse_complement_text(OTHER))):
        letters = np.eye(4)[["ACGT".index(letter) for letter in text]]
        targets.append(from_counts(name, 50 * letters, pseudocount=1.0, alt_name=name.lower()))
    table = annotate_filters(found, targets)
    assert table["match"].tolist() == ["GATA", "CCAAT"]
    assert table["match_name"].tolist() == ["gata", "ccaat"]
    assert table["strand"].tolist() == ["+", "-"]
    assert table["significant"].all()
    flat = Motifs([SITE, "A"], 60).eval()
    table = annotate_filters(filter_motifs(flat, codes), targets)
    assert table["match"].tolist()[1] == ""
    assert not table["significant"][1]
    assert pd.isna(table["q"][1])


def test_a_filter_without_a_position_above_0_4_bits_has_no_name() -> None:
    pytest.importorskip("memelite")
    rows = np.array([[0.45, 0.25, 0.2, 0.1]] * 19)  # 3.6 bits in all, 0.2 in each
    steep = np.eye(4)[["ACGT".index(letter) for letter in SITE]]
    pwms = (from_counts("filter0", 100 * rows), from_counts("filter1", 50 * steep, pseudocount=1.0))
    found = FilterMotifs(
        pwms, np.array([0, 1]), np.ones((2, 19, 4), np.int64), np.array([9, 9]),
        np.ones(2, np.float32), 9,
    )  # fmt: skip
    table = annotate_filters(found, [from_counts("same", 100 * rows), pwms[1]])
    assert table["flat"].tolist() == [True, False]
    assert table["match"].tolist() == ["", "filter1"]
    assert table["highest"][0] < 0.4 < table["highest"][1]


def reverse_complement_text(text: str) -> str:
    return text[::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_influence_equals_editing_the_weights(small_cnn: nn.Module) -> None:
    """Silencing filter f is the network whose second layer sees a constant in its place."""
    codes = random_codes(20, 68, seed=3)
    found = filter_influence(small_cnn, codes, batch_size=6)
    x = one_hot(torch.from_numpy(codes))
    with torch.no_grad():
        full = torch.sigmoid(small_cnn(x))
        active = nn.Sequential(*list(small_cnn.conv1)[:-1])(x.unsqueeze(2))
        for number in range(12):
            changed = active.clone()
            changed[:, number] = 0
            y = small_cnn.conv2(small_cnn.conv1.pool(changed))
            out = torch.sigmoid(small_cnn.head(small_cnn.dense1(torch.flatten(y, 1))))
            expected = (out - full).square().mean(dim=0).numpy()
            np.testing.assert_allclose(found[number], expected, atol=1e-8)
    assert found.shape == (12, 3)
    assert found.max() > 1e-5
    assert not small_cnn.conv1.relu._forward_hooks


def test_influence_ranks_the_planted_filter_first() -> None:
    model = Motifs([OTHER, SITE], 60).eval()
    codes, _ = with_sites(random_codes(50, 60, seed=2), SITE)
    influence = filter_influence(model, codes)
    assert influence[1, 1] > 0.03
    assert influence[1, 1] > 20 * influence[0].max()
    assert influence[1, 0] == 0


def test_refusals(motif_net: nn.Module) -> None:
    codes = random_codes(3, 60)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(240, 2))
    with pytest.raises(InputError, match="convolution over the sequence, found Flatten"):
        filter_motifs(dense, codes)
    with pytest.raises(InputError, match="convolution over the sequence, found Flatten"):
        filter_influence(dense, codes)
    with pytest.raises(InputError, match="at least one sequence"):
        filter_motifs(motif_net, codes[:0])
    with pytest.raises(InputError, match="at least one sequence"):
        filter_influence(motif_net, codes[:0])


def test_motifs_of_long_data_do_not_depend_on_batches(motif_net: nn.Module) -> None:
    codes, _ = with_sites(random_codes(100, 60, seed=9), SITE)
    a = filter_motifs(motif_net, codes, batch_size=100)
    b = filter_motifs(motif_net, codes[::-1], batch_size=9)
    assert (a.counts == b.counts).all()
    assert decode(a.counts[0].argmax(axis=1).astype(np.uint8))[2:-2] == SITE
