"""Runs commands in forks of one process that has loaded the libraries.

    python warm.py

Each line of standard input is a JSON object: `module`, `arguments`, `cwd`, `stdout`, `stderr` (two
files) and `timeout`. Each is answered by a line with the exit code, null if time was up. A command
is what `python -m MODULE ARGUMENTS` is in that folder, in a process of its own; its imports are
done already. The server from which `ablation.running.children` forks the runs of a sweep outlives
the command here, so TensorFlow is loaded once too. `cli` in conftest.py says which tests have it.

Figures are made, but neither laid out nor drawn: an empty one is saved in their place. That takes
most of the time of a report, and what is drawn has tests of its own.
"""

import gc
import importlib
import io
import json
import multiprocessing.process
import os
import runpy
import select
import signal
import sys
import warnings
from multiprocessing import forkserver, resource_tracker

from hydra.core.plugins import Plugins
from PIL import Image

MODULES = (
    "ablation.command",
    "ablation.report.write",
    "ablation.running.launching",
    "ablation.running.sweep",
    # What those import late, which would take a second of each command.
    "scipy.special",
    "statsmodels.stats.multitest",
)


def main():
    path = sys.path[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.environ["MPLBACKEND"] = "agg"
    for module in MODULES:
        importlib.import_module(module)
    from ablation.report import page

    del os.environ["MPLBACKEND"]
    Image.init()  # Looks for the plugins of Pillow.
    for name in page._templates().list_templates(extensions=["j2"]):
        page._templates().get_template(name)
    Plugins.instance()  # Looks for Hydra's plugins.
    _save_empty_figures()
    _start_server_of_runs()
    # `multipletests` of statsmodels looks for garbage whenever it is called.
    gc.collect()
    gc.freeze()
    # Python 3.12 and later say so of any thread; those of OpenBLAS, which are here, mind forks.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            return _command(order, path)
        answers.write(f"{json.dumps(_exit_code(child, order['timeout']))}\n")
        answers.flush()
    return None


def _save_empty_figures():
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    empty = {form: io.BytesIO() for form in ("png", "svg")}
    for form, file in empty.items():
        Figure((1, 1)).savefig(file, format=form)

    def savefig(self, file, **options):
        file.write(empty[options["format"]].getvalue())

    Figure.savefig = savefig
    ConstrainedLayoutEngine.execute = lambda self, figure: None


def _start_server_of_runs():
    from ablation import environment
    from ablation.config import Config
    from ablation.running import children

    config = Config(cache_dir=os.environ["ABLATION_CACHE_DIR"])
    assert children._is_served(environment.child(config))


def _exit_code(child, timeout):
    ended = os.pidfd_open(child)
    in_time, _, _ = select.select([ended], [], [], timeout)
    os.close(ended)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if in_time else None


def _command(order, path):
    """Is what a fork does."""
    for number, name in enumerate((os.devnull, order["stdout"], order["stderr"])):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.chdir(order["cwd"])
    multiprocessing.process.ORIGINAL_DIR = order["cwd"]
    # These are no children of this process, which need not look whether they are alive.
    resource_tracker._resource_tracker._pid = None
    forkserver.ensure_running = forkserver._forkserver.ensure_running = lambda: None
    sys.path[:] = [order["cwd"], *path]
    sys.argv[1:] = order["arguments"]
    return runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
