"""What this installation and machine can do, and what is wrong (``cistransfer doctor``)."""

from __future__ import annotations

import importlib.util
import locale
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from cistransfer import __version__, cpus

__all__ = ["EXTRAS", "PROGRAMS", "Finding", "examine"]

EXTRAS = {
    "motifs": ("memelite", "names for filters and found motifs"),
    "jaspar": ("pyjaspar", "--motifs jaspar, binding modes of JASPAR's clusters"),
    "explain": ("tangermeme", "attributions by another library, to compare with"),
    "modisco": ("modiscolite", "TF-MoDISco in interpret"),
    "bigbed": ("pybigtools", "bigWig tracks, sites from bigBed"),
    "anndata": ("anndata", "matrices as AnnData"),
    "ray": ("ray", "studies on a Ray cluster"),
    "hub": ("huggingface_hub", "models of the Hugging Face hub (hf:owner/name)"),
    "onnx": ("onnxruntime", "bundle export --to onnx"),
}
"""Of each extra the module, and what it is for."""

PROGRAMS = {"streme": "strategies with engine = 'streme'", "gkmtrain": "the baseline lsgkm"}
"""Programs that are called where they are on PATH."""

_MIN_DISK, _LITTLE_DISK = 100 << 20, 2 << 30
_MIN_MEMORY = 2 << 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    part : str
        Heading in the output.
    name, said : str
        What it is, and how it is.
    wrong : str
        What will not work and what helps; empty where all is well.
    remark : str
        What works, but not as well as it could.
    """

    part: str
    name: str
    said: str
    wrong: str = ""
    remark: str = ""


def examine() -> list[Finding]:
    """Look at everything, in the order of the output."""
    with_torch = (_processor, _gpu, _threads, _trunk) if importlib.util.find_spec("torch") else ()
    parts = (_packages, _extras, *with_torch, _places, _surroundings)
    return [finding for part in parts for finding in part()]


def _packages() -> Iterator[Finding]:
    part = "versions"
    yield Finding(part, "cistransfer", __version__)
    python = platform.python_version()
    old = sys.version_info < (3, 11)
    wrong = f"Python {python} is too old: cistransfer needs 3.11" if old else ""
    yield Finding(part, "python", f"{python}, {sys.executable}", wrong)
    yield Finding(part, "system", f"{platform.system()} {platform.release()}, {platform.machine()}")
    for name, asked in _required():
        try:
            have = version(name)
        except PackageNotFoundError:
            wrong = f"{name} is not installed: pip install 'cistransfer'"
            yield Finding(part, name, "missing", wrong)
            continue
        outside = _outside(have, asked)
        yield Finding(
            part, name, have, f"{name} {have} does not fit: expected {asked}" if outside else ""
        )


def _required() -> Iterator[tuple[str, str]]:
    """Packages that are always needed, and their versions; none where pip did not install us."""
    try:
        told = requires("cistransfer") or []
    except PackageNotFoundError:
        return
    for line in told:
        if ";" not in line:
            name = re.split(r"[<>=!~ \[(]", line, maxsplit=1)[0]
            yield name, line[len(name) :].strip()


def _outside(have: str, asked: str) -> bool:
    """Whether a version breaks one of the bounds ``>=`` and ``<``."""

    def numbers(text: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3]]

    for bound in filter(None, asked.split(",")):
        low, high = bound.partition(">=")[2], bound.partition("<")[2]
        if low and numbers(have) < numbers(low):
            return True
        if high and "=" not in high and numbers(have) >= numbers(high):
            return True
    return False


def _extras() -> Iterator[Finding]:
    for extra, (module, purpose) in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        how = "" if there else f"; pip install 'cistransfer[{extra}]'"
        yield Finding("extras", extra, f"{'there' if there else 'missing'} ({purpose}){how}")
    for program, purpose in PROGRAMS.items():
        place = shutil.which(program)
        yield Finding("extras", program, f"{place or 'not on PATH'} ({purpose})")


def _processor() -> Iterator[Finding]:
    import torch

    from cistransfer.models.kernels.processor import (
        gains_from_fourier,
        gains_from_integer_pooling,
    )
    from cistransfer.training.loop import choose_precision

    told = torch.backends.cpu.get_cpu_capability()
    has = {name for name, there in torch.cpu.get_capabilities().items() if there is True}
    shown = [name for name in ("avx2", "avx512_f", "avx512_bf16", "amx_bf16") if name in has]
    yield Finding("processor", "instructions", ", ".join(shown) or told)
    if choose_precision("auto", torch.device("cpu")) == "bf16":
        yield Finding("processor", "trains in", "bf16, with our kernels for it")
    elif "avx512_bf16" in has:
        yield Finding("processor", "trains in", "float32 (its bf16 is slower: Intel without AMX)")
    else:
        yield Finding("processor", "trains in", "float32 (it has no bf16)")
    how = "integer arithmetic" if gains_from_integer_pooling() else "PyTorch's own"
    yield Finding("processor", "gradient of max-pooling", how)
    when = "" if gains_from_fourier() else "in training "
    how = f"{when}by Fourier transforms where that is less work (float32)"
    yield Finding("processor", "convolutions", how)


def _gpu() -> Iterator[Finding]:
    import torch

    build = f"torch {torch.__version__}"
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(number)
            yield Finding(
                "GPU", f"cuda:{number}", f"{about.name}, {about.total_memory / 2**30:.0f} GiB"
            )
        return
    driver = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")
    remark = ""
    if driver and torch.version.cuda is None:
        remark = (
            f"there is an NVIDIA driver, but {build} is built without CUDA: install PyTorch as "
            "pytorch.org says for your CUDA version"
        )
    elif driver:
        remark = (
            f"{build} is built for CUDA {torch.version.cuda}, but finds no GPU: look at nvidia-smi "
            "and CUDA_VISIBLE_DEVICES"
        )
    yield Finding("GPU", "none", f"everything runs on the processor ({build})", remark=remark)


def _threads() -> Iterator[Finding]:
    import torch

    there, may = os.cpu_count() or 1, cpus.allowed()
    yield Finding("threads", "processors", f"{may} allowed of {there} present")
    told = os.environ.get("OMP_NUM_THREADS")
    used = f"{torch.get_num_threads()} by PyTorch, {cpus.n_workers()} by our own pools"
    set_by = f" (OMP_NUM_THREADS={told})" if told else ""
    remark = ""
    if torch.get_num_threads() > may:
        remark = (
            f"PyTorch would start {torch.get_num_threads()} threads on {may} processors, which is "
            f"slower than {may}: export OMP_NUM_THREADS={may}"
        )
    yield Finding("threads", "used", used + set_by, remark=remark)


def _places() -> Iterator[Finding]:
    from cistransfer.genome.faidx import cache_folder

    cache = cache_folder()
    needs = {
        "cache": (
            cache,
            "genomes cannot be unpacked: set CISTRANSFER_CACHE to a folder",
        ),
        "temporary": (Path(tempfile.gettempdir()), "set TMPDIR to a folder"),
        "here": (Path.cwd(), "outputs need another --out, in a folder"),
    }
    for name, (folder, help_) in needs.items():
        place = next(each for each in (folder, *folder.parents) if each.exists())
        may = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
        free = shutil.disk_usage(place).free
        wrong = remark = ""
        if not may:
            wrong = f"{place} may not be written: {help_} that may"
        elif free < _MIN_DISK:
            wrong = f"{place} has {free >> 20} MiB left: {help_} with room"
        elif free < _LITTLE_DISK:
            remark = f"{place} has only {free / 2**30:.1f} GiB left"
        said = f"{folder}{'' if folder == place else ' (made when needed)'}"
        yield Finding("places", name, f"{said}, {free / 2**30:.0f} GiB free", wrong, remark)


def _surroundings() -> Iterator[Finding]:
    encoding = locale.getpreferredencoding(False)
    remark = ""
    if encoding.lower().replace("-", "") != "utf8":
        remark = (
            f"text is {encoding} here, and names with accents may be mangled: export LC_ALL=C.UTF-8"
        )
    yield Finding("surroundings", "encoding", encoding, remark=remark)
    memory = _memory()
    if memory:
        little = memory < _MIN_MEMORY
        yield Finding(
            "surroundings",
            "memory",
            f"{memory / 2**30:.1f} GiB",
            remark="less than 2 GiB of memory: a training may be killed" if little else "",
        )


def _memory() -> int:
    """Bytes of memory, 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _trunk() -> Iterator[Finding]:
    """Whether the trunk in the box is whole: an incomplete installation lacks it."""
    from cistransfer.errors import InputError
    from cistransfer.models.bundle import open_bundle

    try:
        trunk = open_bundle("general")
    except (InputError, OSError) as error:
        wrong = f"the trunk in the box is broken, install cistransfer anew: {error}"
        yield Finding("trunk", "general", "broken", wrong)
    else:
        yield Finding("trunk", "general", f"{len(trunk.tasks)} TFs, windows of {trunk.window} bp")
