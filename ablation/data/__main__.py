"""The child process that prepares one data set: `python -m ablation.data`.

Standard input is a `PrepareOrder`; progress goes to
standard error. A process of its own, because TensorFlow Datasets imports TensorFlow.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ablation import targets
from ablation.config import UserError
from ablation.data import cache, sources
from ablation.data.facts import shared_inputs
from ablation.orders import read_prepare_order
from ablation.terminal import EXIT_INTERRUPTED, EXIT_USER_ERROR, accept_any_text, open_console
from ablation.text import named, visible

_NAMED_AT_MOST = 5


def main() -> int:
    """Prepares the ordered data set; returns the exit code."""
    accept_any_text()
    ordered = "" if sys.stdin.isatty() else sys.stdin.read()
    if not ordered:
        print("ablation.data is not run by hand: python -m ablation starts it.", file=sys.stderr)
        return EXIT_USER_ERROR
    order = read_prepare_order(ordered)
    warnings.simplefilter("ignore")  # Pillow's remarks about odd files.
    console = open_console(stderr=True)
    task = TextColumn("preparing {task.description}", markup=False)
    columns = (task, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
            tasks = {}

            def show(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(visible(what), total=total)
                    if not console.is_terminal:
                        console.print(f"preparing {what}: {total}")
                bars.update(tasks[what], completed=done)

            prepared = cache.prepare(order.dataset, order.cache_dir, show)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except UserError as error:
        print(error, file=sys.stderr)
        return EXIT_USER_ERROR
    except OSError as error:
        print(
            f"Preparing the data set in cache_dir={order.cache_dir} failed: {error}. "
            "cache_dir=FOLDER puts it elsewhere.",
            file=sys.stderr,
        )
        return EXIT_USER_ERROR
    _tell(prepared, console, getattr(order.dataset, "unit", ""))
    return 0


def _tell(prepared: cache.Cache, console: Console, unit: str) -> None:
    """Prints what a user should know of a set that was prepared just now."""
    meta, kind = prepared.meta, prepared.kind
    target = targets.of(prepared.facts_of_target, meta["classes"], unit)
    train, val = (prepared.count(split) for split in sources.SPLITS)
    console.print(
        f"prepared {meta['name']}: {train:,} {kind.noun.many} to train and {val:,} to validate, "
        f"{target.counted}",
        soft_wrap=True,
        highlight=False,
    )
    header, rows = target.table(meta["splits"])
    table = Table(header, box=None, pad_edge=False)
    for split in ("to train", "to validate"):
        table.add_column(split, justify="right")
    for name, *cells in rows:
        table.add_row(Text(name, overflow="fold"), *cells)
    console.print(table)
    for line in _left_out(prepared.left_out):
        console.print(line, soft_wrap=True)
    for line in target.warnings(meta, kind.noun):
        console.print(line, soft_wrap=True)
    if meta["shared"]:
        shared = shared_inputs(meta["shared"], val, kind.noun)
        console.print(f"warning: {shared}, {kind.alike}", soft_wrap=True)
    if meta.get("brightest", 255) <= 1:
        console.print(
            "warning: no pixel is above 1 of 255, so pictures are black, and what a network gets "
            "is too unless dataset.normalisation=standard; multiply the pixels by 255",
            soft_wrap=True,
        )
    if meta.get("unseen"):
        console.print(
            f"warning: {meta['unseen']:,} of {val:,} validation {kind.noun.many} hold tokens that "
            f"no training {kind.noun.one} has",
            soft_wrap=True,
        )


def _left_out(groups: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yields what is there and not used, a line for each reason."""
    for group in groups:
        names = named(group["names"], group["count"], _NAMED_AT_MOST)
        yield f"{group['count']:,} left out ({group['reason']}): {names}"


if __name__ == "__main__":
    sys.exit(main())
