"""At each write of one run a branch of it, in which that write fails; then the run goes on.

So each failed operation costs the rest of a run that failed, not a whole run. The folder is put
back in between as the run left it, in the same files (inodes), since it has some of them open.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hard_verbs import Begun

Ask = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_long)
MAX_SECONDS = 300
"""Of a branch; it is ended then, and the operation tried in a run of its own."""


@dataclass
class Held:
    """A folder as it is: its folders, its files with their inodes and content, open places."""

    place: Path
    aside: Path
    folders: list[Path] = field(default_factory=list)
    files: dict[Path, Path] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)

    def take(self) -> None:
        """Take it down."""
        self.folders = [path for path in sorted(self.place.rglob("*")) if path.is_dir()]
        for number, path in enumerate(self.place.rglob("*")):
            if path.is_file():
                kept = self.aside / str(number)
                os.link(path, kept)
                shutil.copyfile(path, kept.with_suffix(".copy"))
                self.files[path] = kept
        for name in os.listdir("/proc/self/fd"):
            try:
                where = os.readlink(f"/proc/self/fd/{name}")
                if where.startswith(f"{self.place}{os.sep}"):
                    self.offsets[int(name)] = os.lseek(int(name), 0, os.SEEK_CUR)
            except OSError:  # that of the listing itself
                continue

    def put_back(self) -> None:
        """Have it as it was."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(exist_ok=True)
        for path in self.folders:
            path.mkdir()
        for path, kept in self.files.items():
            os.link(kept, path)
            with open(path, "r+b") as handle:
                handle.write(kept.with_suffix(".copy").read_bytes())
                handle.truncate()
        for number, offset in self.offsets.items():
            os.lseek(number, offset, os.SEEK_SET)


def branches(
    begin: Callable[[Callable[[], object]], Begun],
    place: Path,
    library: ctypes.CDLL,
    full: bool,
    wanted: Collection[int],
) -> Iterator[tuple[int, int, str]]:
    """Number of each operation of a run that failed in a branch, the branch's exit code and words.

    While the caller looks, the place is as the branch left it. Operations of another thread than
    the first have no branch.
    """
    told, tell = os.pipe()
    wait, go_on = os.pipe()

    def ask(number: int) -> int:
        first = threading.current_thread() is threading.main_thread()
        alone = first and threading.active_count() == 1
        if number not in wanted or not alone:
            return 0
        aside = Path(tempfile.mkdtemp(dir=place.parent, prefix="held-"))
        held = Held(place, aside)
        held.take()
        words = aside / "words"
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            handle = os.open(words, os.O_WRONLY | os.O_CREAT)
            for each in (1, 2, sys.stdout.fileno(), sys.stderr.fileno()):
                os.dup2(handle, each)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(MAX_SECONDS)
            return 1
        _, status, _ = os.wait4(pid, 0)
        said = words.read_text(encoding="utf-8", errors="replace")
        code = os.waitstatus_to_exitcode(status)
        os.write(tell, f"{number}\0{code}\0{said[-3000:]}\1".encode())
        os.read(wait, 1)
        held.put_back()
        shutil.rmtree(aside)
        return 0

    asked = Ask(ask)

    def before() -> None:
        library.arm(str(place).encode(), ctypes.c_long(0), int(full))
        library.meet(asked)

    begun = begin(before)
    os.close(tell)
    os.close(wait)
    rest = b""
    while chunk := os.read(told, 1 << 16):
        rest += chunk
        while b"\1" in rest:
            one, _, rest = rest.partition(b"\1")
            number, code, said = one.decode(errors="replace").split("\0", 2)
            yield int(number), int(code), said
            os.write(go_on, b".")
    os.close(told)
    os.close(go_on)
    ran = begun.end()
    if ran.code:
        raise SystemExit(f"the run from which branches went off ended with {ran.code}\n{ran.err}")
