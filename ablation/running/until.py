"""Seeds until decided: which runs a command with `seed=until(20)` trains next, and what it says."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ablation.config import ReportConfig, UserError
from ablation.designs.seeds import AT_LEAST
from ablation.records import asked, store
from ablation.records.store import Run
from ablation.terminal import counted

if TYPE_CHECKING:  # pandas would delay every error.
    from ablation.analysis.effects import Effect
    from ablation.analysis.looking import Look

_NAMED_AT_MOST = 3


class Buying:
    """The seeds of a command that are trained until its questions are decided.

    Args:
        directory: of the study.
        options: what the report compares.
        design: whose questions are to be decided.
        runs: of the command, all arms of one seed before the next.
        at_most: seeds.

    Attributes:
        at_most: seeds.
    """

    def __init__(
        self,
        directory: Path,
        options: ReportConfig,
        design: str,
        runs: Sequence[Run],
        at_most: int,
    ):
        self._directory = directory
        self._options = options
        self._design = design
        self.at_most = at_most
        self._by_seed: dict[int, list[Run]] = {}
        for run in runs:
            self._by_seed.setdefault(run.config.seed, []).append(run)
        begun = {
            seed
            for seed, of_seed in self._by_seed.items()
            if any(store.read_status(run.directory).state != store.PENDING for run in of_seed)
        }
        # Whoever stopped a seed half-way had decided to train it.
        self._bought = [seed for seed in self._by_seed if seed in begun]

    @property
    def bought(self) -> list[Run]:
        """The runs of the seeds that were decided to be trained."""
        return [run for seed in self._bought for run in self._by_seed[seed]]

    def record(self) -> None:
        """Puts on record, before they are trained, which seeds are bought by looking.

        Raises:
            OSError: the study's folder cannot be written.
        """
        # What other commands have trained was there to be looked at too.
        there = sorted(store.seeds(self._directory))
        asked.look(self._directory, self.at_most, [*there, *self._bought])

    def buy(self, workers: int) -> bool:
        """Decides to train another seed, or as many as there are workers for.

        Args:
            workers: runs that are trained at a time.

        Returns:
            Whether there was one left.
        """
        left = [seed for seed in self._by_seed if seed not in self._bought]
        if not left:
            return False
        arms = len(self._by_seed[left[0]])
        several = -(-workers // arms)
        if workers > 1:
            # Before these nothing can be decided, so that there is nothing to look for.
            several = max(several, AT_LEAST - len(self._bought))
        self._bought += left[:several]
        return True

    def look(self) -> tuple[bool, str]:
        """Looks at the results.

        Returns:
            Whether another seed could decide something, and what is to be said.
        """
        # Imported here, because pandas would delay every error.
        from ablation.analysis.looking import look

        found = look(
            self._directory, self._options, self._design, [run.name for run in self.bought]
        )
        after = f"after {counted(len(self._bought), 'seed')}"
        if not (found.asked or found.claims):
            return False, f"{after}: these runs leave no question to decide"
        said = [f"{len(found.decided)} of {counted(found.asked, 'question')} decided"]
        if found.waiting:
            said.append(_waiting(found.waiting, len(self._bought), self.at_most))
        if found.given_up:
            said.append(f"given up, since an arm always fails: {len(found.given_up)}")
        said += [*_claims(found), *_missing(found)]
        if len(self._bought) == len(self._by_seed):
            said += [f"all {self.at_most} seeds are spent"] if found.goes_on else []
        elif not found.goes_on:
            said.append("no further seed is trained")
        return found.goes_on, f"{after}: {'; '.join(said)}"

    def expected(self) -> int:
        """Returns about how many seeds will do, from those there are.

        It is more than may be trained if those will not do, and 0 if nobody can say.
        """
        from ablation.analysis.looking import look

        try:
            found = look(
                self._directory, self._options, self._design, [run.name for run in self.bought]
            )
        except UserError:  # There is no run yet.
            return 0
        if (found.asked or found.claims) and not found.goes_on:
            return len(self._bought)
        of_claims = [one.effect for one in found.open_claims if one.effect]
        left = [*found.waiting, *of_claims]
        able = [effect.seeds_to_settle for effect in left]
        if not able or not all(effect.n > 1 for effect in left):
            return 0
        return max(able) if all(able) else self.at_most + 1


def _waiting(effects: Sequence["Effect"], bought: int, at_most: int) -> str:
    """Returns what is open, and with how many seeds it might be decided."""
    named = [_named(effect) for effect in effects[:_NAMED_AT_MOST]]
    more = len(effects) - len(named)
    said = f"open: {', '.join(named)}{f' and {more} more' if more else ''}"
    able = [effect.seeds_to_settle for effect in effects]
    least = max(effect.least_seeds for effect in effects)
    if at_most < least:
        return f"{said} (none can be before {least} seeds: type seed=until({least}) or more)"
    if bought < least:
        return f"{said} (none can be before {least} seeds)"
    return f"{said} (about {max(able)} seeds at the spread seen)" if all(able) else said


def _claims(found: "Look") -> Iterator[str]:
    """Yields how many claims are decided, and which is open if nothing else is."""
    if found.claims:
        done = found.claims - len(found.open_claims)
        said = f"{done} of {counted(found.claims, 'claim')} on record from the start decided"
        alone = found.open_claims and not found.waiting
        yield f"{said}, open: {found.open_claims[0].claim.text}" if alone else said


def _missing(found: "Look") -> Iterator[str]:
    """Yields that pairs are missing, since a run of them failed or diverged."""
    short = [one for one in (*found.decided, *found.waiting) if one.n < found.seeds]
    if short:
        fewest = min(short, key=lambda effect: effect.n)
        yield f"pairs are missing: {_named(fewest)} has {fewest.n} of {found.seeds}"


def _named(effect: "Effect") -> str:
    return f"{effect.named('−')}{f' at {effect.where}' if effect.where else ''}"
