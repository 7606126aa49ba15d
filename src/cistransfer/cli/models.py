"""``cistransfer models``: architectures and strategies."""

from __future__ import annotations

from dataclasses import dataclass

from cistransfer.cli.groups import is_python
from cistransfer.cli.verb import Done
from cistransfer.options import option

__all__ = ["models"]


@dataclass(frozen=True)
class Sizes:
    """Networks to count."""

    window: int = option(200, min=1, help="Window in bp.")
    n_tasks: int = option(1, min=1, help="Number of outputs.")
    architecture: tuple[str, ...] = option(
        (), repeat=True, path=is_python, help="Also your own network, FILE.py:CLASS (repeatable)."
    )


def models(sizes: Sizes) -> Done:
    """List architectures with their parameter counts, and training strategies."""
    from cistransfer.models.registry import list_architectures
    from cistransfer.training.strategy import shipped_strategies

    window, tasks = sizes.window, sizes.n_tasks
    counts = list_architectures(window=window, n_tasks=tasks, files=sizes.architecture)
    strategies = shipped_strategies()
    wide = max(map(len, [*counts, *strategies])) + 2
    lines = [f"architectures ({window} bp, {tasks} outputs):"]
    for name, count in counts.items():
        small = f"not for windows of {window} bp"
        lines.append(f"  {name:<{wide}}" + (f"{count:>12,} parameters" if count else small))
    lines += ["strategies:", *(f"  {name:<{wide}}{what}" for name, what in strategies.items())]
    return Done(
        {"window": window, "tasks": tasks, "architectures": counts, "strategies": strategies},
        lines,
    )
