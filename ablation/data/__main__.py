"""The child process that prepares one data set: `python -m ablation.data`.

Standard input is the order, a JSON object with `dataset` and `cache_dir`; progress goes to
standard error. A process of its own, because TensorFlow Datasets imports TensorFlow.
"""

import json
import sys
import warnings

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from ablation.config import UserError
from ablation.data import cache

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def main() -> int:
    """Prepares the ordered data set; returns the exit code."""
    order = json.loads(sys.stdin.read())
    warnings.simplefilter("ignore")  # Pillow's remarks about odd files.
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
            tasks = {}

            def show(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bars.add_task(f"preparing {what}", total=total)
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
        print(f"Preparing the data set in {order['cache_dir']} failed: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    if prepared.meta["skipped"] and tasks:
        count, names = prepared.meta["skipped"], prepared.meta["skipped_names"]
        more = " and others" if count > len(names) else ""
        print(f"{count} broken images are left out: {', '.join(names)}{more}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
