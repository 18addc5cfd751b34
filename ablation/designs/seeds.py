"""Seeds until decided: how `seed=until(20)` is written."""

import re

from ablation.config import UserError

AT_LEAST, AT_MOST = 6, 1000
"""Seeds that until() takes: no question can be decided with fewer, and nobody trains more."""

_UNTIL = re.compile(r"until\s*\(\s*(\d+)\s*\)")


def until(value: str) -> int | None:
    """Returns how many seeds `until(20)` names, None if a value of `seed` is something else.

    Raises:
        UserError: it is until(), but not written so or with a number that is of no use.
    """
    text = value.strip()
    if "until" not in text:
        return None
    match = _UNTIL.fullmatch(text)
    if not match:
        raise UserError(
            f"seed={value} cannot be read; it is written seed=until(20), with the most seeds that "
            "may be trained and nothing beside it."
        )
    count = int(match[1])
    if not AT_LEAST <= count <= AT_MOST:
        reason = f"no question is decided with fewer than {AT_LEAST} seeds"
        if count > AT_MOST:
            reason = f"at most {AT_MOST} seeds can be trained so"
        raise UserError(
            f"seed={text}: {reason}; name {AT_LEAST} to {AT_MOST}, such as seed=until(20)."
        )
    return count
