"""Where a result comes from: code, versions, hardware, command."""

import hashlib
import json
import os
import platform
import socket
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from ablation import backends, environment, machine, source
from ablation.config import Config

CONFOUNDS = {
    "source_sha256": "the code of this program",
    "python": "sums and order of its own",
    "packages": "kernels and defaults of the libraries",
    "platform": "mathematical functions of the C library",
    "processor": "the name of what computes",
    "instructions": "which kernels the libraries choose, and with them the rounding",
    "devices": "a GPU adds in another order than a processor",
    "threads": "they part a sum, and so its rounding",
    "environment": "variables that a run is given or inherits",
}
"""What can change a result although the configuration is the same, and cannot be fixed, with the
way in which it does. What can be fixed is in `environment`."""

_PACKAGE = Path(__file__).resolve().parents[1]
_PACKAGES = (
    "ablation",
    "keras",
    "tensorflow-datasets",
    "numpy",
    "hydra-core",
    "pillow",
)


def collect(config: Config, command: str) -> dict[str, Any]:
    """Returns the content of `provenance.json`, the same for every run of one sweep but for times.

    Args:
        config: the resolved configuration.
        command: the command line that asked for the run.
    """
    backend = backends.current()
    packages = {name: _version(name) for name in (*_PACKAGES, *backend.PACKAGES)}
    return {
        "command": command,
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--", str(_PACKAGE))),
        "source_sha256": source_digest(),
        "python": platform.python_version(),
        "packages": packages,
        "libraries": {
            name: version for name, version in _libraries(config).items() if name not in packages
        },
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "processor": machine.processor(),
        "instructions": machine.instructions(),
        "cores": os.cpu_count(),
        "threads": config.threads,
        "environment": environment.recorded(),
        "allocator": environment.allocator(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "devices": backend.devices(),
    }


def earlier(path: Path, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns under what else a resumed run was trained before, if that differs.

    Args:
        path: of the provenance that the attempts before have left.
        facts: of the attempt that goes on.
    """
    try:
        before = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    known = before.get("earlier", [])
    then, now = ({key: one.get(key) for key in CONFOUNDS} for one in (before, facts))
    return known if then == now else [*known, then]


def source_digest() -> str:
    """Returns the SHA-256 over every Python file of the package, names and contents."""
    digest = hashlib.sha256()
    for file in sorted(_PACKAGE.rglob("*.py")):
        digest.update(file.relative_to(_PACKAGE).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _libraries(config: Config) -> dict[str, str | None]:
    """Returns the versions of what the user's own code imports, by the name of the distribution."""
    located = source.own_code(config).values()
    names = {name for one in located for name in source.libraries(one)}
    known = metadata.packages_distributions() if names else {}
    found = {distribution for name in names for distribution in known.get(name, ())}
    return {distribution: _version(distribution) for distribution in sorted(found)}


def _git(*arguments: str) -> str | None:
    """Returns what git says of the checkout that holds the package, None if there is none."""
    if not (_PACKAGE.parent / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(_PACKAGE.parent), *arguments], capture_output=True, text=True
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
