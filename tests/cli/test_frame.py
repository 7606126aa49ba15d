"""The frame of the command line: help, imports, exit codes, --json, Ctrl-C."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cistransfer
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError
from cistransfer.models.bundle import Bundle

MAIN = "from cistransfer.cli.main import main; main()"


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_is_fast() -> None:
    """A fifth of a second of a quiet processor, in the best of three (the machine may be busy)."""
    spent = []
    for _ in range(3):
        before = _cpu()
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "--help"], capture_output=True, text=True, check=False
        )
        spent.append(_cpu() - before)
        assert done.returncode == 0
        assert "Usage: cistransfer" in done.stdout
    assert min(spent) < 0.4


@pytest.mark.parametrize("words", [[], ["matrix"]])
def test_without_a_verb_there_is_the_help(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(app, words) == 2
    said = capsys.readouterr().err
    assert said.startswith("Usage: cistransfer")
    assert said.count("\n") > 10


@pytest.mark.parametrize(
    ("given", "expected"), [(None, ["PASSIVE", "2000"]), ("ACTIVE", ["ACTIVE", "None"])]
)
def test_waiting_threads_sleep_unless_the_user_says_otherwise(
    given: str | None, expected: list[str]
) -> None:
    """OpenMP reads the variables when PyTorch is loaded: they are set before that."""
    code = "import os, sys, cistransfer.cli.main; "
    code += "print('torch' in sys.modules, *map(os.environ.get, "
    code += "('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT')))"
    ours = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == ["False", *expected]


HELPS = """
import contextlib, io, sys
from cistransfer.cli.command import run_app
from cistransfer.cli.main import VERBS, app
verbs = [app.commands[verb] for verb in VERBS if " " not in verb]
for words in ([], *(verb.split() for verb in VERBS)):
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        assert run_app(app, [*words, "--help"]) == 0, words
    assert "Usage: " in text.getvalue(), words
    assert words or not any("params" in vars(verb) for verb in verbs)  # only the one that is asked
assert all("params" in vars(verb) for verb in verbs)
heavy = ("torch", "pandas", "sklearn", "scipy", "matplotlib", "h5py", "numpy", "pyarrow")
print([name for name in heavy if name in sys.modules])
"""


def test_the_help_of_every_verb_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELPS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
    assert done.stderr == ""


PREDICTS = """
import sys
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
assert run_app(app, ["predict", sys.argv[1], "--fasta", sys.argv[2], "--out", sys.argv[3]]) == 0
print([name for name in ("scipy", "matplotlib", "sklearn") if name in sys.modules])
"""


def test_a_prediction_imports_no_more_than_it_needs(trunk: Bundle, tmp_path: Path) -> None:
    fasta, out = tmp_path / "s.fa", tmp_path / "s.tsv"
    fasta.write_text(">a\n" + "ACGTT" * 20 + "\n")
    done = subprocess.run(
        [sys.executable, "-c", PREDICTS, trunk.path, fasta, out],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_and_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["--version"]) == 0
    assert capsys.readouterr().out == f"cistransfer {cistransfer.__version__}\n"
    assert run_app(app, ["-h"]) == 0
    assert "finetune" in capsys.readouterr().out


WRONG = {
    "unknown verb": (["finetun"], "No such command 'finetun'"),
    "unknown option": (["models", "--windw", "3"], "No such option: --windw"),
    "no number": (["models", "--window", "x"], "'--window': Input should be a valid integer"),
    "out of range": (
        ["models", "--window", "0"],
        "'--window': Input should be greater than or equal to 1",
    ),
    "missing option": (["pretrain", "--genome", "g.fa", "--matrix", "m"], "Missing option '--out'"),
    "nothing to learn from": (["pretrain", "--out", "o"], "name one source of examples"),
    "missing argument": (["check"], "Missing argument"),
    "no bundle": (["check", "nowhere"], "expected a bundle"),
    "no matrix": (
        ["matrix", "info", "none.h5"],
        "none.h5: expected a binding matrix, no such file",
    ),
    "no config": (["rerun", "none.json", "--out", "o"], "none.json: no such file"),
    "two inputs": (
        ["predict", "b", "--out", "o", "--regions", "r", "--fasta", "f"],
        "name one input: --regions with --genome, or --fasta (found --regions, --fasta)",
    ),
    "no source of examples": (
        ["finetune", "--trunk", "scratch", "--out", "o"],
        "name one source of",
    ),
}


@pytest.mark.parametrize(
    ("case", "as_json"),
    [(case, False) for case in WRONG]
    + [(case, True) for case in WRONG if case not in ("unknown verb", "no config")],
)
def test_wrong_input_is_one_line_and_code_2(
    case: str, as_json: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    words, message = WRONG[case]
    assert run_app(app, [*words, *(["--json"] if as_json else [])]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.startswith("cistransfer: ")
    assert shown.err.count("\n") == 1
    assert "Traceback" not in shown.err
    if as_json:
        assert set(json.loads(shown.out)) == {"error"}
        assert message in json.loads(shown.out)["error"]
    else:
        assert shown.out == ""
    assert list(tmp_path.iterdir()) == []


def test_our_own_faults_are_not_hidden(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("cistransfer.training.check.check", broken)
    with pytest.raises(ZeroDivisionError):  # Python then prints a traceback and leaves with 1
        run_app(app, ["check", "x"])
    assert capsys.readouterr().out == ""


def test_ctrl_c_within_a_rerun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cistransfer.api.results.evaluate", stop)
    config = tmp_path / "config.json"
    arguments = {"runs": ["a"], "out": "b", "allow_seen": False}
    config.write_text(json.dumps({"command": ["evaluate"], "arguments": arguments}))
    assert run_app(app, ["rerun", str(config), "--out", str(tmp_path / "x")]) == 130
    assert capsys.readouterr().err.startswith("stopped; nothing half-written was left")


@pytest.mark.parametrize(
    ("error", "code", "last"),
    [
        ("InputError('bad\\nfile')", 2, "cistransfer: bad file"),
        ("ZeroDivisionError('ours')", 1, "ZeroDivisionError: ours"),
        ("KeyboardInterrupt", 130, "stopped; nothing half-written was left, run the same command"),
    ],
)
def test_the_process_leaves_with_these_codes(error: str, code: int, last: str) -> None:
    script = (
        "import cistransfer.cli.rerun as verb\n"
        "from cistransfer.errors import InputError\n"
        f"def fails(*_): raise {error}\n"
        f"verb.Config = fails\n{MAIN}"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "rerun", "x", "--out", "o"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.splitlines()[-1].startswith(last)
    assert ("Traceback" in done.stderr) == (code == 1)


def test_a_message_of_several_lines_becomes_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise InputError("one\n  two\nthree")

    monkeypatch.setattr("cistransfer.training.check.check", refuse)
    assert run_app(app, ["check", "x"]) == 2
    assert capsys.readouterr().err == "cistransfer: one two three\n"


def test_models_lists_the_published_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["models", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["architectures"]["cnn"] == 2_316_101
    assert {"published", "finetune", "scratch"} <= set(shown["strategies"])
    assert run_app(app, ["models", "--window", "500", "--n-tasks", "50"]) == 0
    assert "4,565,150 parameters" in capsys.readouterr().out


def test_ctrl_c_leaves_with_130_and_nothing_half_written(
    world, target_examples, tmp_path: Path, short_strategy
) -> None:
    from cistransfer.examples.dataset import save_examples
    from cistransfer.models.bundle import find_bundle

    examples = save_examples(tmp_path / "set", target_examples)
    out = tmp_path / "run"
    long = short_strategy(epochs=10_000, steps=50)
    process = subprocess.Popen(
        [
            sys.executable, "-c", MAIN, "finetune", "--trunk", "scratch",
            "--examples", str(examples), "--out", str(out), "--strategy", long, "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (out / "examples").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert output == ""
    assert errors.splitlines()[-1].startswith("stopped; nothing half-written was left")
    assert "Traceback" not in errors
    assert not [path for path in tmp_path.rglob("*") if ".part" in path.name]
    with pytest.raises(InputError):
        find_bundle(out)
