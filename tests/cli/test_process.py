"""The process around a verb: streams, signals, faults of the machine, odd environments."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cistransfer import cpus
from cistransfer.cli.command import run_app
from cistransfer.cli.main import app
from cistransfer.errors import InputError, MachineError
from cistransfer.progress import one

MAIN = "from cistransfer.cli.main import main; main()"


def _run(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command line of bash in which $C is cistransfer."""
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "C": f"{sys.executable} -m cistransfer", **environment},
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MachineError("a: cannot write: No space left"), "a: cannot write: No space left"),
        (OSError(5, "Input/output error", "/x/y"), "/x/y: Input/output error"),
        (OSError("Unable to read"), "Unable to read"),
        (MemoryError(), "out of memory"),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't "
                "allocate memory: you tried to allocate 37273600 bytes."
            ),
            "out of memory",
        ),
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
            "out of memory on the GPU (--device cpu needs none)",
        ),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "out of memory"),
        (SystemError("<f> returned NULL without setting an exception"), "out of memory"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_faults_of_the_machine_are_one_line_and_code_1(
    error: Exception, said: str, as_json: bool,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("cistransfer.training.check.check", fail)
    assert run_app(app, ["check", "x", *(["--json"] if as_json else [])]) == 1
    shown = capsys.readouterr()
    assert shown.err == f"cistransfer: {said}\n"
    assert shown.out == (json.dumps({"error": said}) + "\n" if as_json else "")


def test_a_limit_in_which_libraries_would_be_aborted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (720_000 << 10, -1))
    assert run_app(app, ["check", "x"]) == 1
    assert capsys.readouterr().err == (
        "cistransfer: out of memory: 703 MB of addresses are allowed (ulimit -v); the libraries "
        "alone take 1,024\n"
    )


def test_a_full_or_closed_stdout() -> None:
    done = _run("$C --version > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("cistransfer: ")
    assert done.stderr.endswith("No space left on device\n")
    assert done.stderr.count("\n") == 1
    for line in ("$C --version >&-", "$C --version <&- >&- 2>&-", "$C --version 2>&-"):
        assert _run(line).returncode == 0, line
    assert _run("$C rerun nowhere --out o 2>/dev/full").returncode == 2
    assert _run("$C rerun nowhere --out o 2>&-").returncode == 2
    broken = _run("$C --help | true; echo ${PIPESTATUS[0]}")
    assert broken.stdout.strip() in ("0", "1")
    assert broken.stderr == ""


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_letters_that_the_terminal_lacks(environment: dict[str, str], tmp_path: Path) -> None:
    name = tmp_path / "größe-\u4e2d"
    done = _run(f"$C rerun '{name}' --out o", **environment)
    assert done.returncode == 2
    assert "no such file" in done.stderr
    assert "Traceback" not in done.stderr
    assert _run("$C finetune --help", **environment).returncode == 0


def test_a_name_that_is_no_text() -> None:
    done = _run("$C rerun $'no-\\xff-text' --out o")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_an_empty_environment() -> None:
    assert _run("env -i $C --version").returncode == 0


def test_figures_where_nothing_is_set_as_it_should_be(world, trunk, tmp_path: Path) -> None:
    """Neither home nor place for temporary files, a backend that does not exist, ASCII."""
    region = world.matrix.regions.iloc[0]
    place = f"{region.chrom}:{region.start + 1}-{region.end}"
    words = f"locus {trunk.path} {place} --task ELF1 --shuffles 2"
    done = _run(
        f"env -i PATH=/usr/bin:/bin HOME=/nonexistent TMPDIR=/nonexistent MPLBACKEND=nonsense "
        f"PYTHONIOENCODING=ascii OMP_NUM_THREADS=1 CISTRANSFER_CACHE={tmp_path}/cache "
        f"$C {words} --genome {world.genome_path} --out {tmp_path}/gr\u00f6\u00dfe"
    )
    assert done.returncode == 0, done.stderr
    assert any((tmp_path / "gr\u00f6\u00dfe").glob("*.png"))


SLEEP = """
import sys, time
import cistransfer.training.check as whole
def check(*_, **__):
    print("ready", flush=True)
    time.sleep(30)
whole.check = check
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_signals_stop_as_ctrl_c_does(number: signal.Signals, code: int) -> None:
    """Whatever the shell of the tests ignores: under nohup SIGHUP would be heeded."""
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    with subprocess.Popen(
        [sys.executable, "-c", SLEEP + MAIN, "check", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, usual),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == code
    assert errors.startswith("stopped; nothing half-written was left")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_where_nothing_can_be_raised_is_sent_once_more(
    number: signal.Signals,
) -> None:
    class Ends:
        def __del__(self) -> None:
            signal.raise_signal(number)

    def works(**_: object) -> int:
        ends = Ends()
        del ends
        time.sleep(20)
        return 0

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hook = sys.unraisablehook
    try:
        began = time.monotonic()
        assert run_app(works, ["check"]) == 128 + number
        assert time.monotonic() - began < 10
    finally:
        signal.signal(signal.SIGINT, before)
    assert sys.unraisablehook is hook


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_a_library_makes_of_a_signal_is_a_stop(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    """An array that safetensors was reading has "no shape" then: the file is not damaged."""

    def works(**_: object) -> int:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise InputError("weights: damaged") from None
        return 0

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run_app(works, ["check"]) == 128 + number
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.startswith("stopped; ")


def test_nohup_is_heeded_and_handlers_are_put_back() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLEEP + MAIN, "check", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert process.poll() is None
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 143
    before = signal.getsignal(signal.SIGTERM)
    assert run_app(app, ["--version"]) == 0
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("files", "own", "n"),
    [
        ({}, "0::/\n", 8),
        ({"cpu.max": "max 100000"}, "0::/\n", 8),
        ({"cpu.max": "200000 100000"}, "0::/\n", 2),
        ({"cpu.max": "150000 100000"}, "0::/\n", 2),
        ({"cpu.max": "10000 100000"}, "0::/\n", 1),
        ({"cpu.max": "9900000 100000"}, "0::/\n", 8),
        ({"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b\n", 3),
        ({"a/cpu.max": "300000 100000", "a/b/cpu.max": "100000 100000"}, "0::/a/b\n", 1),
        (
            {"cpu/d/cpu.cfs_quota_us": "400000\n", "cpu/d/cpu.cfs_period_us": "100000\n"},
            "5:memory:/d\n4:cpu,cpuacct:/d\n",
            4,
        ),
        (
            {"cpu/d/cpu.cfs_quota_us": "-1\n", "cpu/d/cpu.cfs_period_us": "100000\n"},
            "4:cpu,cpuacct:/d\n",
            8,
        ),
    ],
)
def test_processors_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], own: str, n: int
) -> None:
    monkeypatch.setattr(cpus, "bound", lambda: 8)
    for name, text in files.items():
        (tmp_path / "cg" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cg" / name).write_text(text)
    (tmp_path / "own").write_text(own)
    assert cpus.allowed(tmp_path / "cg", tmp_path / "own") == n


def test_processors_of_the_affinity() -> None:
    code = "import os; from cistransfer import cpus; one = min(os.sched_getaffinity(0)); "
    code += "os.sched_setaffinity(0, {one}); print(cpus.bound(), cpus.allowed())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x.bed: 1 rows (BED), 1 with a summit", "x.bed: 1 row (BED), 1 with a summit"),
        ("11 rows, 1,001 windows, 0.1 sites", "11 rows, 1,001 windows, 0.1 sites"),
        ("chr1 regions; chr 1:1 rows; none of the 1 rows", None),
        ("reads 1 motifs and 1 regions", "reads 1 motif and 1 region"),
    ],
)
def test_one_is_no_plural(text: str, said: str | None) -> None:
    assert one(text) == (text if said is None else said)


def test_a_name_that_no_file_can_have(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, ["simulate", "--out", "a" * 300]) == 2
    said = capsys.readouterr().err
    assert said.endswith("…: File name too long\n")
    assert len(said) < 300
