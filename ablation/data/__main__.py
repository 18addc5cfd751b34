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

from ablation.config import UserError
from ablation.data import cache, sources
from ablation.data.cache import VERY_UNEQUAL
from ablation.data.facts import caveats, named, shared_inputs, span
from ablation.data.kinds import Kind
from ablation.orders import read_prepare_order
from ablation.terminal import EXIT_INTERRUPTED, EXIT_USER_ERROR, accept_any_text, open_console
from ablation.text import readable, visible

_ROWS_AT_MOST = 20
_NAMED_AT_MOST = 5


def main() -> int:
    """Prepares the ordered data set; returns the exit code."""
    accept_any_text()
    order = read_prepare_order(sys.stdin.read())
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
    _tell(prepared, console)
    return 0


def _tell(prepared: cache.Cache, console: Console) -> None:
    """Prints what a user should know of a set that was prepared just now."""
    meta, noun = prepared.meta, prepared.kind.noun
    train, val = (meta["splits"][split]["per_class"] for split in sources.SPLITS)
    console.print(
        f"prepared {meta['name']}: {sum(train):,} {noun.many} to train and {sum(val):,} to "
        f"validate, {len(meta['classes'])} classes",
        soft_wrap=True,
    )
    console.print(_table(meta["classes"], train, val))
    for line in (*_left_out(prepared.left_out), *_warnings(meta, train, val, prepared.kind)):
        console.print(line, soft_wrap=True)


def _table(classes: Sequence[str], train: Sequence[int], val: Sequence[int]) -> Table:
    """Returns the images by class and split, of the first classes if there are many."""
    table = Table("class", box=None, pad_edge=False)
    for split in ("to train", "to validate"):
        table.add_column(split, justify="right")
    rows = list(zip(classes, train, val, strict=True))
    shown = rows if len(rows) <= _ROWS_AT_MOST else rows[: _ROWS_AT_MOST - 1]
    for name, *counts in shown:
        table.add_row(Text(readable(name), overflow="fold"), *(f"{n:,}" for n in counts))
    rest = rows[len(shown) :]
    if rest:
        spans = (span(column) for column in list(zip(*rest, strict=True))[1:])
        table.add_row(f"and {len(rest):,} more, each", *spans)
    return table


def _left_out(groups: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yields what is there and not used, a line for each reason."""
    for group in groups:
        names = named(group["names"], group["count"], _NAMED_AT_MOST)
        yield f"{group['count']:,} left out ({group['reason']}): {names}"


def _warnings(
    meta: dict[str, Any], train: Sequence[int], val: Sequence[int], kind: Kind
) -> Iterator[str]:
    """Yields what an accuracy on this data set must be read with, a line each."""
    noun = kind.noun
    classes = meta["classes"]
    caveat = caveats(classes, val, meta["lost"], noun)
    if caveat:
        yield f"warning: {caveat}"
    if meta["shared"]:
        yield f"warning: {shared_inputs(meta['shared'], sum(val), noun)}, {kind.alike}"
    if meta.get("unseen"):
        yield (
            f"warning: {meta['unseen']:,} of {sum(val):,} validation {noun.many} hold tokens that "
            f"no training {noun.one} has"
        )
    if max(train) >= VERY_UNEQUAL * min(train):
        most, least = train.index(max(train)), train.index(min(train))
        yield (
            f"the classes are very unequal: {train[most]:,} training {noun.many} of "
            f"{readable(classes[most])}, {train[least]:,} of {readable(classes[least])}; always "
            f"answering {readable(classes[val.index(max(val))])} would score "
            f"{max(val) / sum(val):.2%}"
        )


if __name__ == "__main__":
    sys.exit(main())
