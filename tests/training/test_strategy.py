"""Strategies as data: the shipped ones, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from cistransfer.errors import InputError
from cistransfer.models.registry import build_model
from cistransfer.training.freeze import apply_phase, parameter_groups
from cistransfer.training.strategy import Phase, load_strategy, shipped_strategies, with_phases

HEAD = 'name = "a"\nsummary = "b"\nstart = "scratch"\n'
PHASE = '[[phases]]\nname = "x"\nlearning_rate = 1e-3\nbatch_size = 2\nepochs = 1\n'


def test_every_shipped_file_loads_and_fits_the_network() -> None:
    shipped = shipped_strategies()
    assert {"published", "published-scratch", "finetune", "scratch", "pretrain"} <= set(shipped)
    for name, summary in shipped.items():
        strategy = load_strategy(name)
        architecture = "chromtransfer" if name.startswith("chromtransfer") else "cnn"
        model = build_model(architecture, window=100, n_tasks=1, seed=0, **strategy.arguments)
        assert strategy.name == name
        assert summary == strategy.summary
        for phase in strategy.phases:
            if isinstance(phase, Phase):
                apply_phase(model, phase)
                assert parameter_groups(model, phase)


def test_the_published_recipe() -> None:
    (pretrain,) = load_strategy("pretrain-published").phases
    (scratch,) = load_strategy("published-scratch").phases
    (transfer,) = load_strategy("published").phases
    for phase, rate, epochs in ((pretrain, 3e-3, 15), (scratch, 3e-3, 10), (transfer, 3e-4, 10)):
        assert isinstance(phase, Phase)
        assert (phase.learning_rate, phase.epochs, phase.batch_size) == (rate, epochs, 100)
        assert (phase.train, phase.strands, phase.weight_decay) == (("*",), "both", 0)
        assert (phase.schedule, phase.patience, phase.monitor) == ("constant", None, "loss")
        assert phase.steps_per_epoch is None
        assert (phase.frozen_statistics, phase.drifting_statistics, phase.rates) == ((), (), {})
        assert phase.shift == 0
    assert load_strategy("published").transfer == ("*",)
    assert load_strategy("published").start == "trunk"


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(HEAD + PHASE + "rates = {conv1 = 0.5}\n")
    strategy = load_strategy(str(path))
    (phase,) = strategy.phases
    assert isinstance(phase, Phase)
    assert phase.rates == {"conv1": 0.5}
    with pytest.raises(ValidationError):
        strategy.name = "c"  # frozen


BAD = {
    "unknown key": (HEAD + "sumary = 1\n" + PHASE, "unknown entry 'sumary'; nearest: summary"),
    "unknown key of a phase": (HEAD + PHASE + "epoch = 3\n", "epoch'; nearest: epochs"),
    "missing key": (
        HEAD + PHASE.replace("epochs = 1", ""),
        "lacks the entry 'phases.0.gradient.epo",
    ),
    "no phase": (HEAD, "lacks the entry 'phases'"),
    "no phases": (HEAD + "phases = []\n", "phases: Tuple should have at least 1 item"),
    "wrong start": (
        HEAD.replace("scratch", "moon") + PHASE,
        "start: Input should be 'trunk' or 's",
    ),
    "negative rate": (HEAD + PHASE.replace("1e-3", "-1"), "learning_rate: Input should be greater"),
    "infinite rate": (
        HEAD + PHASE.replace("1e-3", "inf"),
        "learning_rate: Input should be a finite",
    ),
    "negative factor": (HEAD + PHASE + "rates = {a = -1}\n", "rates.a: Input should be greater"),
    "nothing trained": (HEAD + PHASE + "train = []\n", "train: Tuple should have at least 1 item"),
    "batch of one": (
        HEAD + PHASE.replace("size = 2", "size = 1"),
        "batch_size: Input should be gr",
    ),
    "unknown kind": (HEAD + PHASE + 'kind = "x"\n', "'x'"),
    "no TOML": ("a =", "not valid TOML"),
    "a key twice": (HEAD + 'name = "c"\n' + PHASE, "not valid TOML"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_files(tmp_path: Path, case: str) -> None:
    text, message = BAD[case]
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_strategy(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no strategy 'finetun'; nearest: finetune .*or a TOML"):
        load_strategy("finetun")
    with pytest.raises(InputError, match="no such file"):
        load_strategy(str(tmp_path / "none.toml"))
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not valid TOML"):
        load_strategy(str(tmp_path / "b.toml"))


def test_other_settings_of_every_gradient_phase() -> None:
    """A probe among the phases stays as it is; wrong settings are named."""
    plain = load_strategy("tune-whole")
    changed = with_phases(plain, {"learning_rate": 1e-5, "batch_size": 16})
    assert load_strategy(changed) is changed
    assert changed.phases[0] == plain.phases[0]
    assert changed.phases[1].model_dump() == {
        **plain.phases[1].model_dump(), "learning_rate": 1e-5, "batch_size": 16
    }  # fmt: skip
    with pytest.raises(InputError, match=r"tune-whole: unknown entry .*; nearest: batch_size"):
        with_phases(plain, {"batch_sise": 16})
    with pytest.raises(InputError, match=r"tune-whole: .*batch_size"):
        with_phases(plain, {"batch_size": 1})
