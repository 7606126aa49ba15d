"""Runs: transfer, resume after kill -9, idempotence, refusals."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from toys import phase, tiny, tiny_examples

from cistransfer.errors import InputError
from cistransfer.examples.dataset import ExampleSet, save_examples
from cistransfer.genome.intervals import overlaps_any
from cistransfer.genome.seen import distinct_fingerprints
from cistransfer.models.bundle import Bundle, check_bundle, open_bundle, weights_hash
from cistransfer.models.registry import build_model
from cistransfer.models.score import score_codes
from cistransfer.training import run as run_module
from cistransfer.training.finetune import finetune
from cistransfer.training.loop import fit
from cistransfer.training.pretrain import pretrain
from cistransfer.training.run import keep_examples, train_run
from cistransfer.training.strategy import Strategy, load_strategy

Short = Callable[..., str]
CPU: dict[str, Any] = {"device": "cpu", "precision": "float32"}


def _phase(**changes: object) -> dict[str, object]:
    return {
        "name": "one", "learning_rate": 1e-3, "batch_size": 16, "epochs": 1, "steps_per_epoch": 2,
        **changes,
    }  # fmt: skip


def _strategy(start: str, *phases: dict[str, object], **changes: object) -> Strategy:
    facts = {"name": "toy", "summary": "", "start": start, "phases": phases, **changes}
    return Strategy.model_validate(facts)


def test_a_trunk(trunk: Bundle, trunk_examples: ExampleSet) -> None:
    card = trunk.card
    assert card.tasks == ("ELF1", "SPI1", "MAX")
    assert card.window == 100
    assert card.architecture.to_json() == {"name": "cnn", "arguments": {}}
    assert card.examples == trunk_examples.content_hash()
    assert card.split == trunk_examples.facts["split"]
    assert card.genome == "genome.fa"
    assert card.parent is None
    assert len(card.threshold) == len(card.temperature) == 3
    seen = trunk_examples.regions.query("part != 'test'")
    assert len(trunk.regions()) == len(seen)
    assert not (trunk.regions()["part"] == "test").any()
    assert check_bundle(trunk.path)["sequences"] == 8
    run = trunk.path.parent
    assert {path.name for path in run.iterdir()} == {"bundle", "examples", "history.tsv"}
    history = pd.read_csv(run / "history.tsv", sep="\t")
    assert history["epoch"].tolist() == [1, 2]
    rows = trunk_examples.rows("valid")
    assert card.validation.keys() >= {"aucpr", "auroc"}
    assert np.isfinite(score_codes(trunk.model, trunk_examples.codes[rows])).all()


def test_everything_but_the_head_is_transferred(
    trunk: Bundle, target_examples: ExampleSet, tmp_path: Path
) -> None:
    """With a rate of zero and frozen statistics the start of fine-tuning is what comes out."""
    still = _strategy("trunk", _phase(rates={"*": 0.0}, frozen_statistics=["*"]))
    bundle = train_run(tmp_path, target_examples, still, trunk=trunk, seed=5, **CPU)
    fresh = build_model("cnn", window=100, n_tasks=1, seed=5).state_dict()
    parent = trunk.model.state_dict()
    for name, tensor in bundle.model.state_dict().items():
        expected = fresh[name] if name.startswith("head") else parent[name]
        assert torch.equal(tensor, expected), name
    assert bundle.card.parent == weights_hash(trunk.model)
    assert bundle.card.trunk.tasks == ("ELF1", "SPI1", "MAX")


def test_transfer_of_some_blocks(
    trunk: Bundle, target_examples: ExampleSet, tmp_path: Path
) -> None:
    partly = _strategy(
        "trunk", _phase(rates={"*": 0.0}, frozen_statistics=["*"]), transfer=["conv1", "conv2"]
    )
    bundle = train_run(tmp_path, target_examples, partly, trunk=trunk, seed=5, **CPU)
    fresh = build_model("cnn", window=100, n_tasks=1, seed=5).state_dict()
    parent = trunk.model.state_dict()
    for name, tensor in bundle.model.state_dict().items():
        moved = name.startswith(("conv1.", "conv2."))
        assert torch.equal(tensor, parent[name] if moved else fresh[name]), name


@pytest.mark.parametrize("drifting", [False, True])
def test_frozen_convolutions_in_the_published_network(
    trunk: Bundle, target_examples: ExampleSet, tmp_path: Path, drifting: bool
) -> None:
    setting = _phase(train=["dense*", "head"], drifting_statistics=["conv*"] if drifting else [])
    strategy = _strategy("trunk", setting)
    before = weights_hash(trunk.model)
    bundle = train_run(tmp_path, target_examples, strategy, trunk=trunk, **CPU)
    assert weights_hash(trunk.model) == before  # the caller's trunk is not touched
    parent = trunk.model.state_dict()
    for name, tensor in bundle.model.state_dict().items():
        if name.startswith("conv"):
            statistic = "running" in name or "tracked" in name
            assert torch.equal(tensor, parent[name]) != (drifting and statistic), name
        elif not name.startswith("head"):
            assert not torch.equal(tensor, parent[name]), name


def test_finetune_and_its_control(
    trunk: Bundle, target_examples: ExampleSet, short_strategy: Short, tmp_path: Path
) -> None:
    tuned = finetune(
        tmp_path / "t", target_examples, trunk, strategy=short_strategy("trunk"), **CPU
    )
    scratch = finetune(
        tmp_path / "s", target_examples, None, strategy=short_strategy("scratch"), **CPU
    )
    assert tuned.card.examples == scratch.card.examples
    assert scratch.card.trunk is None
    assert scratch.card.parent is None
    assert tuned.tasks == scratch.tasks == ("GABPA",)
    own = target_examples.regions.query("part != 'test'")
    assert len(scratch.regions()) == len(own)
    assert overlaps_any(trunk.regions(), tuned.regions()).all()  # what the trunk saw counts too
    assert overlaps_any(own, tuned.regions()).all()
    assert not tuned.regions().duplicated(["chrom", "start", "end"]).any()
    test = target_examples.regions.query("part == 'test'")
    assert len(test)
    assert not overlaps_any(test, tuned.regions()).any()


def test_equal_seeds_give_equal_bundles(
    target_examples: ExampleSet, short_strategy: Short, tmp_path: Path
) -> None:
    hashes = [
        finetune(
            tmp_path / name, target_examples, None, strategy=short_strategy(), seed=seed, **CPU
        ).card.weights
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert hashes[0] == hashes[1] != hashes[2]


KILLED = """
import os, signal, sys
import torch
from cistransfer.examples.dataset import open_examples
from cistransfer.models.bundle import open_bundle
from cistransfer.training import loop
from cistransfer.training.finetune import finetune

folder, examples, trunk, strategy, at = sys.argv[1:]
loop.fit.__kwdefaults__["checkpoint_seconds"] = 0.0
real, count = torch.optim.AdamW.step, 0

def step(self, *arguments):
    global count
    count += 1
    if count == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *arguments)

torch.optim.AdamW.step = step
finetune(folder, open_examples(examples), open_bundle(trunk), strategy=strategy,
         seed=3, device="cpu", precision="float32")
"""


def test_resume_after_kill_9(trunk: Bundle, target_examples: ExampleSet, tmp_path: Path) -> None:
    """Killed in the first phase, and again in the second; the end is that of one quiet run."""
    strategy = tmp_path / "two.toml"
    strategy.write_text(
        'name = "two"\nsummary = ""\nstart = "trunk"\n'
        '[[phases]]\nname = "head"\ntrain = ["head"]\nlearning_rate = 1e-3\nbatch_size = 16\n'
        'epochs = 3\nsteps_per_epoch = 2\nstrands = "random"\n'
        '[[phases]]\nname = "all"\nlearning_rate = 1e-4\nbatch_size = 16\nepochs = 3\n'
        'steps_per_epoch = 2\nstrands = "random"\nschedule = "one-cycle"\n'
    )
    options: dict[str, Any] = {"strategy": str(strategy), "seed": 3, **CPU}
    quiet = finetune(tmp_path / "quiet", target_examples, trunk, **options)
    examples = save_examples(tmp_path / "set", target_examples)
    folder = tmp_path / "killed"
    for at in (4, 7):  # step 4 of the first phase; after resuming at step 3, step 3 of the second
        words = [str(folder), str(examples), str(trunk.path), str(strategy), str(at)]
        done = subprocess.run(
            [sys.executable, "-c", KILLED, *words], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert (folder / "checkpoint.safetensors").exists()
        assert not (folder / "bundle").exists()
        with pytest.raises(InputError, match="not finished; run its command again"):
            open_bundle(folder)
    history = pd.read_csv(folder / "history.tsv", sep="\t")
    assert history["phase"].tolist() == ["head"] * 3 + ["all"]
    resumed = finetune(folder, target_examples, trunk, **options)
    assert weights_hash(resumed.model) == weights_hash(quiet.model)
    ignore = {"versions"}
    assert {k: v for k, v in resumed.card if k not in ignore} == {
        k: v for k, v in quiet.card if k not in ignore
    }
    tables = [
        pd.read_csv(path.parent / "history.tsv", sep="\t").drop(columns="seconds")
        for path in (resumed.path, quiet.path)
    ]
    pd.testing.assert_frame_equal(*tables)
    assert not (folder / "checkpoint.safetensors").exists()


def test_a_finished_run_is_not_repeated(
    target_examples: ExampleSet,
    short_strategy: Short,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options: dict[str, Any] = {"strategy": short_strategy(), **CPU}
    first = finetune(tmp_path / "run", target_examples, None, **options)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*") if p.is_file()}

    def never(*_: object, **__: object) -> None:
        pytest.fail("trained again")

    for step in ("fit", "choose_motifs", "choose_filters"):
        monkeypatch.setattr(run_module, step, never)
    again = finetune(tmp_path / "run", target_examples, None, **options)
    assert again.card == first.card
    assert files == {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*") if p.is_file()}
    with pytest.raises(InputError, match="holds a finished run of another configuration"):
        finetune(tmp_path / "run", target_examples, None, seed=1, **options)
    other = short_strategy(learning_rate=2e-3)
    with pytest.raises(InputError, match="holds a finished run of another configuration"):
        finetune(tmp_path / "run", target_examples, None, **{**options, "strategy": other})


def test_a_folder_called_bundle_that_is_none_is_refused_before_the_training(
    target_examples: ExampleSet,
    short_strategy: Short,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "run" / "bundle").mkdir(parents=True)
    (tmp_path / "run" / "bundle" / "notes.txt").write_text("mine")
    monkeypatch.setattr(run_module, "fit", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(InputError, match=r"an earlier bundle .*found notes\.txt"):
        finetune(tmp_path / "run", target_examples, None, strategy=short_strategy(), **CPU)
    assert (tmp_path / "run" / "bundle" / "notes.txt").read_text() == "mine"


def test_other_examples_in_the_same_folder(target_examples: ExampleSet, tmp_path: Path) -> None:
    kept = keep_examples(tmp_path / "run", target_examples)
    assert isinstance(kept.codes, np.memmap)
    assert keep_examples(tmp_path / "run", target_examples).content_hash() == kept.content_hash()
    other = dataclasses.replace(target_examples, tasks=("X",))
    with pytest.raises(InputError, match="holds a run on other examples"):
        keep_examples(tmp_path / "run", other)


def _one_class(examples: ExampleSet, part: str, label: int) -> ExampleSet:
    labels = examples.labels.copy()
    labels[examples.rows(part)] = label
    return dataclasses.replace(examples, labels=labels)


@pytest.mark.parametrize("part", ["train", "valid"])
@pytest.mark.parametrize("label", [0, 1, -1])
def test_a_single_class_is_refused(
    target_examples: ExampleSet, short_strategy: Short, tmp_path: Path, part: str, label: int
) -> None:
    n = len(target_examples.rows(part))
    bound, unbound = (n if label == 1 else 0), (n if label == 0 else 0)
    with pytest.raises(InputError) as caught:
        finetune(
            tmp_path / "run",
            _one_class(target_examples, part, label),
            None,
            strategy=short_strategy(),
            **CPU,
        )
    assert f"the {part} part holds {bound} bound and {unbound} unbound" in str(caught.value)
    assert not (tmp_path / "run").exists()  # so that other chromosomes can be tried in its place


def test_refusals(
    trunk: Bundle, target_examples: ExampleSet, short_strategy: Short, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="starts from a trunk; name its bundle"):
        finetune(tmp_path / "a", target_examples, None, strategy=short_strategy("trunk"), **CPU)
    narrow = dataclasses.replace(target_examples, codes=target_examples.codes[:, :-4])
    with pytest.raises(InputError, match="windows of 100 bp, the examples are 96 bp long"):
        finetune(tmp_path / "b", narrow, trunk, strategy=short_strategy("trunk"), **CPU)
    unknown = _strategy("trunk", _phase(train=["heads"]))
    with pytest.raises(InputError, match="no module fits 'heads'"):
        train_run(tmp_path / "c", target_examples, unknown, trunk=trunk, **CPU)
    strategy = _strategy("trunk", _phase(), transfer=["convs"])
    with pytest.raises(InputError, match="no module fits 'convs'"):
        train_run(tmp_path / "d", target_examples, strategy, trunk=trunk, **CPU)
    wild = short_strategy(learning_rate=1e30)
    with pytest.raises(InputError, match="loss is not a number"):
        finetune(tmp_path / "e", target_examples, None, strategy=wild, **CPU)
    assert not (tmp_path / "e" / "bundle").exists()


def test_epochs_and_architecture_of_a_trunk(
    trunk_examples: ExampleSet, short_strategy: Short, tmp_path: Path
) -> None:
    bundle = pretrain(
        tmp_path / "run",
        trunk_examples,
        strategy=short_strategy(epochs=9),
        arguments={"order": "relu-bn"},
        epochs=1,
        **CPU,
    )
    assert bundle.card.epochs == 1
    assert bundle.card.architecture.arguments == {"order": "relu-bn"}
    names = [name for name, _ in bundle.model.conv1.named_children()]
    assert names == ["conv", "relu", "norm", "pool"]


def test_thresholds_are_fitted_on_validation(trunk: Bundle, trunk_examples: ExampleSet) -> None:
    from cistransfer.metrics.calibration import fit_temperature
    from cistransfer.metrics.curves import rank_metrics
    from cistransfer.metrics.thresholded import best_threshold

    rows = trunk_examples.rows("valid")
    labels = trunk_examples.labels[rows]
    logits = score_codes(trunk.model, trunk_examples.codes[rows])
    for column in range(3):
        expected = best_threshold(labels[:, column], logits[:, column])
        assert trunk.thresholds[column] == pytest.approx(expected, abs=1e-5)
        expected = fit_temperature(labels[:, column], logits[:, column])
        assert trunk.temperatures[column] == pytest.approx(expected, rel=1e-3)
    expected = rank_metrics(labels, logits)["aucpr"]
    assert trunk.card.validation["aucpr"] == pytest.approx(tuple(expected.tolist()), abs=1e-6)


def test_shipped_strategies_start_to_train(
    trunk: Bundle, target_examples: ExampleSet, tmp_path: Path
) -> None:
    """The first epoch of every phase of `finetune` and `published`, as they are shipped."""
    for name in ("finetune", "published"):
        plan = load_strategy(name)
        phases = tuple(
            p.model_copy(update={"epochs": 1, "steps_per_epoch": 1}) for p in plan.phases
        )
        short = plan.model_copy(update={"phases": phases})
        bundle = train_run(tmp_path / name, target_examples, short, trunk=trunk, **CPU)
        assert bundle.card.strategy.name == name
        assert bundle.card.epochs == len(phases)


HASHED = """
import sys
sys.path.insert(0, sys.argv[1])
from toys import phase, tiny, tiny_examples
from cistransfer.models.bundle import weights_hash
from cistransfer.training.loop import fit
model = tiny()
fit(model, tiny_examples(), [phase(rates={"conv*": 0.5, "head": 2.0})], run="x", seed=0)
print(weights_hash(model))
"""


def test_weights_do_not_depend_on_the_process(tmp_path: Path) -> None:
    """Neither PYTHONHASHSEED nor what ran before leaks into start weights or draws."""
    done = subprocess.run(
        [sys.executable, "-c", HASHED, str(Path(__file__).parent)],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    model = tiny()
    fit(model, tiny_examples(), [phase(rates={"conv*": 0.5, "head": 2.0})], run="x", seed=0)
    assert done.stdout.strip() == weights_hash(model)


def test_a_trunk_that_has_seen_what_is_held_out_is_refused(
    trunk: Bundle, target_examples: ExampleSet, tmp_path: Path
) -> None:
    """Examples of another split: the trunk learned from their test and validation regions."""
    parts = target_examples.regions["part"].map(
        {"train": "test", "test": "train", "valid": "valid", "extra": "extra"}
    )
    other = dataclasses.replace(target_examples, regions=target_examples.regions.assign(part=parts))
    seen = overlaps_any(other.regions, trunk.regions())
    lost = int((seen & (parts == "test")).sum())
    held = int((parts == "test").sum())
    assert lost
    with pytest.raises(
        InputError, match=rf"has learned from {lost:,} of the {held:,} test regions"
    ):
        finetune(tmp_path / "run", other, trunk, strategy="probe", device="cpu")
    assert not (tmp_path / "run").exists()
    finetune(tmp_path / "run", other, trunk, strategy="probe", guard="off", device="cpu")
    made_so = dataclasses.replace(other, facts={**other.facts, "guard": "off"})
    finetune(tmp_path / "again", made_so, trunk, strategy="probe", device="cpu")


def test_a_model_has_seen_what_it_learned_from_beside_the_training_part(
    trunk: Bundle, target_examples: ExampleSet, tmp_path: Path
) -> None:
    """By place and by sequence, as training; its card says what probabilities refer to."""
    data = target_examples
    assert len(data.rows("extra"))
    bundle = finetune(tmp_path / "run", data, trunk, strategy="probe", device="cpu")
    place = ["chrom", "start", "end"]
    seen = bundle.regions()
    mine = data.regions.iloc[data.learned_rows()][place]
    found = mine.merge(seen, on=place)
    assert len(found) == len(mine)
    assert set(found["part"]) == {"train"}
    hashes = distinct_fingerprints(data.codes[data.rows("extra")])
    assert np.isin(hashes, bundle.seen()["train"]).all()
    valid = data.labels[data.rows("valid"), 0]
    assert bundle.card.prevalence == ((valid == 1).mean(),)
    assert set(bundle.card.evidence) == {"trunk", "motifs", "both", "chance"}
    history = pd.read_csv(tmp_path / "run" / "history.tsv", sep="\t")
    assert history["auroc_trunk"].tolist() == pytest.approx([bundle.card.evidence["trunk"]])
