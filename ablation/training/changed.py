"""Whether data and code are still those that a run was planned with. Loads no framework."""

from ablation import source
from ablation.config import UserError
from ablation.networks import registry
from ablation.records.store import Run


def changed(run: Run, fingerprint: str) -> str | None:
    """Returns in words what is no longer as a run was planned with it, None if nothing is.

    Args:
        run: as it was planned.
        fingerprint: of the data set as it is now.
    """
    if fingerprint != run.fingerprint:
        return "the data set"
    if run.network.source and not _is_same_network(run):
        return f"the code of arch={run.config.arch}"
    return None if _is_same_code(run) else f"the code of {', '.join(run.code)}"


def _is_same_network(run: Run) -> bool:
    try:
        return registry.record(run.config).source == run.network.source
    except UserError:  # It cannot be read now, such as half-way through an edit.
        return False


def _is_same_code(run: Run) -> bool:
    try:
        return source.codes(run.config) == run.code
    except UserError:
        return False
