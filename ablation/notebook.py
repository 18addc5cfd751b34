"""A study as a notebook has it: its data frames, and it shows itself."""

from pathlib import Path

from ablation.analysis import reading, study


class Study(study.Study):
    """A study that a notebook shows as answer, certificate, table; see `analysis.study.Study`."""

    def _repr_html_(self) -> str:
        # Imported here, because whoever wants the frames alone needs no templates.
        from ablation.report.page import excerpt

        return excerpt(self)


def load(directory: str | Path) -> Study:
    """Reads a study.

    Args:
        directory: such as "runs/main".

    Raises:
        UserError: there is no study in it.
    """
    return Study(**vars(reading.load(directory)))
