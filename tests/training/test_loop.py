"""The loop: batches, schedules, stopping, determinism, resume."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toys import Tiny, phase, tiny, tiny_examples

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet
from cistransfer.genome.codes import reverse_complement
from cistransfer.models.bundle import weights_hash
from cistransfer.models.model import Model
from cistransfer.models.score import score_codes
from cistransfer.training.batches import shifted
from cistransfer.training.checkpoint import load_state
from cistransfer.training.loop import choose_precision, fit, validate
from cistransfer.training.loss import masked_loss

PHASES = [
    phase(name="head", train=["head"], epochs=2, steps_per_epoch=3, strands="random"),
    phase(name="all", epochs=3, steps_per_epoch=4, strands="random", schedule="one-cycle"),
]


@pytest.fixture(scope="module")
def examples() -> ExampleSet:
    return tiny_examples()


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The learning rates of each optimiser step."""
    seen: list[list[float]] = []
    real = torch.optim.AdamW.step

    def spy(self: torch.optim.AdamW, *arguments: Any) -> Any:
        seen.append([group["lr"] for group in self.param_groups])
        return real(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    return seen


class Reader(Tiny):
    """Writes down the codes of every batch that it is trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[bytes]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            codes = torch.where(x.sum(1) > 0, x.argmax(1), 4).to(torch.uint8).numpy()
            self.batches.append([row.tobytes() for row in codes])
        return super().forward(x)


def _read(examples: ExampleSet, **changes: object) -> list[list[tuple[int, bool]]]:
    """Row and strand of each example of each batch of a training."""
    model = Reader()
    fit(Model(model), examples, [phase(**changes)], run="x", seed=0)
    meaning = {codes.tobytes(): (row, False) for row, codes in enumerate(examples.codes)}
    other = {
        reverse_complement(codes).tobytes(): (row, True) for row, codes in enumerate(examples.codes)
    }
    assert not set(meaning) & set(other)
    return [[(meaning | other)[codes] for codes in batch] for batch in model.batches]


def test_an_epoch_on_both_strands_sees_each_example_twice(examples: ExampleSet) -> None:
    batches = _read(examples, epochs=2, strands="both")
    train = examples.rows("train").tolist()
    assert [len(batch) for batch in batches] == [8] * 20  # 80 copies an epoch
    for epoch in (batches[:10], batches[10:]):
        expected = sorted((row, flip) for row in train for flip in (False, True))
        assert sorted(pair for batch in epoch for pair in batch) == expected
    assert batches[0] != batches[10]


@pytest.mark.parametrize("strands", ["forward", "random"])
def test_an_epoch_on_one_strand_sees_each_example_once(examples: ExampleSet, strands: str) -> None:
    batches = _read(examples, epochs=4, strands=strands, batch_size=13)
    assert [len(batch) for batch in batches] == [13] * 12  # 40 = 3 × 13 + 1, which is left out
    train = set(examples.rows("train").tolist())
    for at in range(0, 12, 3):
        rows = {row for batch in batches[at : at + 3] for row, _ in batch}
        assert len(rows) == 39
        assert rows < train
    flips = [flip for batch in batches for _, flip in batch]
    assert (0.3 < np.mean(flips) < 0.7) if strands == "random" else not any(flips)


def test_steps_per_epoch_cross_the_end_of_the_examples(examples: ExampleSet) -> None:
    batches = _read(examples, epochs=1, steps_per_epoch=12, strands="forward")
    assert len(batches) == 12
    first = sorted(row for batch in batches[:5] for row, _ in batch)
    assert first == examples.rows("train").tolist()


def test_shifts(examples: ExampleSet) -> None:
    model = Reader()
    setting = phase(epochs=6, shift=2, strands="forward")
    fit(Model(model), examples, [setting], run="x", seed=0)
    possible: dict[bytes, int] = {}
    for row in examples.rows("train"):
        padded = np.r_[4, 4, examples.codes[row], 4, 4].astype(np.uint8)
        possible |= {padded[2 - s : 2 - s + 12].tobytes(): s for s in range(-2, 3)}
    found = [possible[codes] for batch in model.batches for codes in batch]
    assert set(found) == {-2, -1, 0, 1, 2}
    assert abs(np.mean(found)) < 0.4


@pytest.mark.parametrize("shift", [0, 1, -3, 12, -50])
def test_shifted_codes(shift: int) -> None:
    codes = np.arange(24, dtype=np.uint8).reshape(2, 12) % 4
    before = codes.copy()
    moved = shifted(codes, np.array([shift, 0]))
    for at in range(12):
        inside = 0 <= at - shift < 12
        assert moved[0, at] == (codes[0, at - shift] if inside else 4)
    assert (moved[1] == codes[1]).all()
    assert moved.dtype == np.uint8
    assert (codes == before).all()


def test_one_cycle_rates(examples: ExampleSet, rates: list[list[float]]) -> None:
    setting = phase(
        epochs=4, steps_per_epoch=5, schedule="one-cycle", learning_rate=0.1, rates={"head": 3.0}
    )
    fit(tiny(), examples, [setting], run="x", seed=0)
    body = np.array([step[0] for step in rates])
    head = np.array([step[1] for step in rates])
    assert body.argmax() == 5  # a quarter of twenty
    assert body.max() == pytest.approx(0.1, rel=1e-3)
    assert body[0] == pytest.approx(0.004)
    assert (np.diff(body[:6]) > 0).all()
    assert (np.diff(body[5:]) < 0).all()
    assert body[-1] < 0.003
    assert head == pytest.approx(3 * body)


def test_a_constant_rate(examples: ExampleSet, rates: list[list[float]]) -> None:
    fit(tiny(), examples, [phase(learning_rate=0.03)], run="x", seed=0)
    assert {tuple(step) for step in rates} == {(0.03,)}


@pytest.mark.parametrize("monitor", ["loss", "aucpr"])
def test_the_best_epoch_is_kept_and_patience_ends_a_phase(
    examples: ExampleSet, monitor: str
) -> None:
    model = tiny()
    setting = phase(epochs=60, patience=3, monitor=monitor, learning_rate=0.03)
    history = fit(Model(model), examples, [setting], run="x", seed=0)
    column = [row[f"valid_{monitor}"] for row in history]
    merit = [-value if monitor == "loss" else value for value in column]
    best = int(np.argmax(merit))
    assert len(history) == best + 1 + 3 < 60
    marked = [row["epoch"] for row in history if row["best"]]
    assert marked[-1] == best + 1
    assert marked == [at + 1 for at in range(len(merit)) if merit[at] > max([-9e9, *merit[:at]])]
    measured = dict(zip(("loss", "aucpr"), validate(model, examples), strict=True))
    assert measured[monitor] == pytest.approx(column[best], rel=1e-6)


def test_history_says_what_was_measured(examples: ExampleSet) -> None:
    model = tiny()
    history = fit(model, examples, [phase(epochs=1)], run="x", seed=0)
    rows = examples.rows("valid")
    logits = torch.from_numpy(score_codes(model, examples.codes[rows]))
    expected = float(masked_loss(logits, torch.from_numpy(examples.labels[rows])))
    assert history[0]["valid_loss"] == pytest.approx(expected)
    assert (history[0]["phase"], history[0]["epoch"], history[0]["best"]) == ("one", 1, True)
    assert 0 < history[0]["train_loss"] < 2
    assert 0 <= history[0]["valid_aucpr"] <= 1


def test_it_learns(examples: ExampleSet) -> None:
    history = fit(tiny(), tiny_examples(300), [phase(epochs=10)], run="x", seed=0)
    assert history[-1]["train_loss"] < 0.85 * history[0]["train_loss"]
    assert max(row["valid_aucpr"] for row in history) > 0.9


def test_equal_seeds_give_equal_weights_whatever_the_global_state(examples: ExampleSet) -> None:
    hashes = []
    for seed, disturb in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(disturb)
        np.random.seed(disturb)  # noqa: NPY002
        model = tiny()
        fit(model, examples, PHASES, run="x", seed=seed)
        hashes.append(weights_hash(model))
    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]


def test_the_global_random_state_and_the_examples_are_left_alone(examples: ExampleSet) -> None:
    torch_state = torch.random.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    content = examples.content_hash()
    fit(tiny(), examples, PHASES, run="x", seed=0)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert examples.content_hash() == content


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("at", [1, 3, 4, 6, 7, 11, 12, 17])
def test_resumed_equals_uninterrupted(
    examples: ExampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Killed at any step of either phase, and again one step after resuming."""
    options: dict[str, Any] = {"run": "x", "seed": 4, "checkpoint_seconds": 0.0}
    expected = tiny()
    whole = fit(expected, examples, PHASES, checkpoint=tmp_path / "other", **options)
    real, count = torch.optim.AdamW.step, 0

    def dies(self: torch.optim.AdamW, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count in (at, at + 1):
            raise KilledError
        return real(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", dies)
    checkpoint = tmp_path / "checkpoint.safetensors"
    for _ in range(2):
        with pytest.raises(KilledError):
            fit(tiny(), examples, PHASES, checkpoint=checkpoint, **options)
    model = tiny(seed=99 if checkpoint.exists() else 0)  # its weights come from the checkpoint
    history = fit(model, examples, PHASES, checkpoint=checkpoint, **options)
    assert weights_hash(model) == weights_hash(expected)
    drop = lambda rows: [{k: v for k, v in row.items() if k != "seconds"} for row in rows]  # noqa: E731
    assert drop(history) == drop(whole)
    assert count < 2 * 18  # it did not begin anew each time


def test_checkpoints(examples: ExampleSet, tmp_path: Path) -> None:
    checkpoint = tmp_path / "c.safetensors"
    told: list[int] = []
    options: dict[str, Any] = {"seed": 0, "checkpoint": checkpoint}
    fit(tiny(), examples, PHASES, run="x", **options)
    assert not checkpoint.exists()  # too short for one
    fit(
        tiny(), examples, PHASES, run="x", checkpoint_seconds=0,
        on_checkpoint=lambda rows: told.append(len(rows)), **options,
    )  # fmt: skip
    assert told == [1, 2, 2, 3, 4, 5, 5]
    assert set(load_file(checkpoint)) == {f"model/{name}" for name in tiny().state_dict()}
    with pytest.raises(InputError, match="unfinished run of another configuration"):
        fit(tiny(), examples, PHASES, run="y", **options)
    whole = checkpoint.read_bytes()
    for damaged in (
        whole[: len(whole) // 2],
        b"",
        b"x" * 100,
        whole.replace(b"best_merit", b"best_merxt"),
    ):
        checkpoint.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged checkpoint") as caught:
            fit(tiny(), examples, PHASES, run="x", **options)
        assert "remove it to start anew" in str(caught.value)
    rng = np.random.default_rng(0)
    for place in [len(whole) - 1, *rng.integers(0, len(whole), 60)]:
        checkpoint.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(InputError, match="damaged checkpoint"):
            load_state(checkpoint, "x")
    checkpoint.write_bytes(whole)
    assert load_state(checkpoint, "x") is not None


def test_a_loss_that_is_no_number_stops_with_a_reason(examples: ExampleSet) -> None:
    with pytest.raises(InputError) as caught:
        fit(tiny(), examples, [phase(name="wild", learning_rate=1e30)], run="x", seed=0)
    assert "loss is not a number in epoch 1 of phase 'wild'; try a lower" in str(caught.value)


def test_a_last_step_into_nan_is_not_kept(
    examples: ExampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training losses were fine; the weights after the last step are not."""
    real = torch.optim.AdamW.step

    def spoils(self: torch.optim.AdamW, *arguments: Any) -> None:
        real(self, *arguments)
        with torch.no_grad():
            self.param_groups[0]["params"][-1].fill_(math.nan)

    monkeypatch.setattr(torch.optim.AdamW, "step", spoils)
    with pytest.raises(InputError, match="the validation loss is not a number in epoch 1"):
        fit(tiny(), examples, [phase(steps_per_epoch=1)], run="x", seed=0)


def test_an_empty_part(examples: ExampleSet) -> None:
    import dataclasses

    none = dataclasses.replace(examples, regions=examples.regions.assign(part="train"))
    with pytest.raises(InputError, match="needs train and valid examples, found 60 and 0"):
        fit(tiny(), none, PHASES, run="x", seed=0)


def test_precision(examples: ExampleSet) -> None:
    model = tiny()
    fit(model, examples, PHASES, run="x", seed=0, precision="bf16")
    assert {t.dtype for t in model.state_dict().values()} == {torch.float32, torch.int64}
    exact = tiny()
    fit(exact, examples, PHASES, run="x", seed=0)
    assert weights_hash(model) != weights_hash(exact)
    cpu = torch.device("cpu")
    assert choose_precision("float32", cpu) == "float32"
    assert choose_precision("bf16", cpu) == "bf16"
    assert choose_precision("auto", cpu) in ("float32", "bf16")
    with pytest.raises(InputError, match="'auto', 'float32' or 'bf16', found 'half'"):
        choose_precision("half", cpu)
