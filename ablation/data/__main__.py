"""The child process that prepares one data set: `python -m ablation.data`.

Standard input is the order, a JSON object with `dataset` and `cache_dir`; progress goes to
standard error. A process of its own, because TensorFlow Datasets imports TensorFlow.
"""

import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ablation.config import UserError
from ablation.data import cache, sources
from ablation.data.cache import VERY_UNEQUAL, skipped_names
from ablation.terminal import EXIT_INTERRUPTED, EXIT_USER_ERROR, accept_any_text, open_console
from ablation.text import visible


def main() -> int:
    """Prepares the ordered data set; returns the exit code."""
    accept_any_text()
    order = json.loads(sys.stdin.read())
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
                        console.print(f"preparing {what}: {total} images")
                bars.update(tasks[what], completed=done)

            prepared = cache.prepare(order["dataset"], order["cache_dir"], show)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except UserError as error:
        print(error, file=sys.stderr)
        return EXIT_USER_ERROR
    except OSError as error:
        print(
            f"Preparing the data set in cache_dir={order['cache_dir']} failed: {error}. "
            "cache_dir=FOLDER puts it elsewhere.",
            file=sys.stderr,
        )
        return EXIT_USER_ERROR
    if tasks:
        print("\n".join(map(visible, _told(prepared.meta))), file=sys.stderr)
    return 0


def _told(meta: dict[str, Any]) -> Iterator[str]:
    """Yields what a user should know of a set that was prepared just now, a line each."""
    classes = meta["classes"]
    train, val = (meta["splits"][split]["per_class"] for split in sources.SPLITS)
    yield (
        f"prepared {meta['name']}: {sum(train):,} images to train and {sum(val):,} to validate, "
        f"{len(classes)} classes"
    )
    if meta["skipped"]:
        yield f"{meta['skipped']:,} broken images are left out: {skipped_names(meta)}"
    if max(train) >= VERY_UNEQUAL * min(train):
        most, least = train.index(max(train)), train.index(min(train))
        yield (
            f"the classes are very unequal: {train[most]:,} training images of {classes[most]}, "
            f"{train[least]:,} of {classes[least]}; always answering "
            f"{classes[val.index(max(val))]} would score {max(val) / sum(val):.2%}"
        )


if __name__ == "__main__":
    sys.exit(main())
