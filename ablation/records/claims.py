"""The claims of a study, and since when each is on record: `claims.yaml` and `study.json`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation import claims
from ablation.records import asked, durable, store

FILE = "claims.yaml"
_KEY = "claims"


@dataclass(frozen=True)
class Version:
    """A file of claims as a command found it.

    Attributes:
        time: when, ISO 8601, UTC.
        digest: SHA-256 of the file.
        first: whether the study had no run then.
        metric: that the command's report compares, and the claims speak of.
        sentences: its claims.
    """

    time: str
    digest: str
    first: bool
    metric: str
    sentences: tuple[str, ...]


def register(study: Path, file: claims.File | None, metric: str) -> None:
    """Puts the claims of a study on record, unless these are already the last ones there.

    Args:
        study: its directory, which is there.
        file: the claims, None to leave the record as it is.
        metric: that they speak of.

    Raises:
        OSError: the study's folder cannot be written.
        UserError: the record is damaged.
    """
    if file is None:
        return
    path = study / FILE
    if not path.exists() or path.read_bytes() != file.content:
        durable.write_bytes(path, file.content)
    first = not store.run_directories(study)
    sentences = tuple(claim.text for claim in file.claims)
    version = Version(store.now(), file.digest, first, metric, sentences)

    def added(stored: Any) -> list[dict[str, Any]]:
        known = _read(stored)
        if not known or known[-1].digest != version.digest:
            known.append(version)
        return [vars(one) | {"sentences": list(one.sentences)} for one in known]

    asked.update(study, _KEY, added)


def versions(study: Path) -> list[Version]:
    """Returns every version of its claims that a command has found, the last one last.

    What is damaged of them is left out, and counts as never recorded.
    """
    return _read(asked.get(study, _KEY))


def _read(stored: Any) -> list[Version]:
    found = []
    for one in stored or []:
        try:
            said: Sequence[str] = [claims.parsed(text).text for text in one["sentences"]]
            facts = str(one["time"]), str(one["digest"]), one["first"] is True, str(one["metric"])
            found.append(Version(*facts, tuple(said)))
        except (KeyError, TypeError, AttributeError, claims.UserError):
            continue
    return found
