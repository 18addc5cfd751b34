"""What the user's code raises, and where in it."""

import ast
import os
import re
import traceback
from collections.abc import Collection
from pathlib import Path

from ablation.source.syntax import at, parsed

RAISED = (Exception, SystemExit)
"""What a user's code may raise: a script that is written to be run calls sys.exit()."""


def is_raised_in(error: BaseException, files: Collection[Path]) -> bool:
    """Returns whether a user's own code raised an error by `raise`.

    Neither did a library that it called, nor Python itself, such as for a tuple that is too short.
    """
    frames = traceback.extract_tb(error.__traceback__)
    known = {os.path.realpath(file) for file in files}
    if not frames or os.path.realpath(frames[-1].filename) not in known:
        return False
    line = frames[-1].lineno or 0
    return any(
        isinstance(node, ast.Raise) and node.lineno <= line <= (node.end_lineno or node.lineno)
        for node in ast.walk(parsed(Path(frames[-1].filename)))
    )


def user_error(error: BaseException, files: Collection[Path]) -> str:
    """Says in one line where in a user's files an error arose.

    Args:
        error: what importing or building the network raised.
        files: the user's files, see `local_modules`.

    Returns:
        "my_nets.py, line 12: NameError: name 'x' is not defined", of the innermost call that
        stands in one of the files; without a place if there is none.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{at(Path(error.filename), error.lineno)}{type(error).__name__}: {error.msg}"
    known = {os.path.realpath(file) for file in files}
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if os.path.realpath(frame.filename) in known]
    place = at(Path(inside[-1].filename), inside[-1].lineno) if inside else ""
    # What a layer raised, Keras puts in bold among what it adds of its own.
    own = re.search(r"\x1b\[1m(.*?)\x1b\[0m", str(error), re.DOTALL)
    message = " ".join((own[1] if own else str(error)).split())
    return f"{place}{type(error).__name__}{': ' if message else ''}{message}"
