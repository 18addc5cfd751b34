"""What all commands say of themselves, and how those that are not Hydra's read their words."""

import argparse
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from ablation.config import UserError


def version() -> str:
    """Returns what `--version` prints."""
    return f"ablation {metadata.version('ablation')}"


def guide() -> str:
    """Returns one page on how to plan, run, resume and read a study."""
    return (Path(__file__).parent / "guide.txt").read_text("utf-8")


class Parser(argparse.ArgumentParser):
    """Of a command that takes no keys of Hydra's; its errors are UserErrors, told in one line.

    Args:
        module: that is run, such as "ablation.report".
        description: what it does.
        epilog: its options and examples.
    """

    def __init__(self, module: str, description: str | None, epilog: str):
        super().__init__(
            prog=f"python -m {module}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument("--version", action="version", version=version())

    def error(self, message: str) -> NoReturn:
        """Raises UserError."""
        raise UserError(f"{message}. See {self.prog} --help.")
