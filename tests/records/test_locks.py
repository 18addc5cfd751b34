import errno
import os

import pytest

from ablation.config import UserError
from ablation.records import locks


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said_at_once(error, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(UserError, match=r"without locks .*runs_dir=DIR"):
        locks.lock(tmp_path / ".lock").acquire()
