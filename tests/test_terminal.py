"""How a command ends."""

import pytest

from ablation import terminal
from ablation.config import UserError


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (None, 0, ""),
        (KeyboardInterrupt(), 130, ""),
        (UserError("name a folder."), 2, "ablation.x: name a folder.\n"),
        (PermissionError(13, "Permission denied", "a"), 2, "ablation.x: [Errno 13] Permission"),
    ],
)
def test_a_command_ends_with_a_code_and_at_most_a_line(error, code, said, capsys):
    def work():
        if error:
            raise error
        return 0

    assert terminal.exit_code("ablation.x", work) == code
    assert capsys.readouterr().err.startswith(said) and bool(said) == (code == 2)
