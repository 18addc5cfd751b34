import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from ablation.running import environment
from stopped_and_resumed import stopped_and_resumed
from support import TINY


@pytest.fixture
def resumed(cli, cache_dir, config, tmp_path):
    """Checks that a run on a backend goes on as if nothing had happened.

    Returns the result of the run that was left alone, and its configuration.
    """

    def check(backend):
        places = f"cache_dir={cache_dir}", f"runs_dir={tmp_path}"
        keys = config(*TINY, "plain=true", f"backend={backend}", *places)
        script = Path(stopped_and_resumed.__code__.co_filename).read_text()
        order = json.dumps(asdict(keys)), str(tmp_path)
        done = cli(*order, code=script, cwd=tmp_path, **environment.child(keys))
        assert done.returncode == 0, done.stderr
        untouched, stopped = json.loads(done.stdout)
        assert (untouched["resumed_from_epoch"], stopped["resumed_from_epoch"]) == (0, 1)
        assert stopped["weights_sha256"] == untouched["weights_sha256"]
        histories = [
            pd.read_csv(tmp_path / name / "history.csv").drop(columns="seconds")
            for name in ("untouched", "stopped")
        ]
        pd.testing.assert_frame_equal(*histories, check_exact=True)
        return untouched, keys

    return check
