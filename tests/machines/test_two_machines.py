"""The lock of a run on a file server, and two machines that want it.

`make machines` runs this.
"""

import shlex
import sys
import time

import pytest

from machines import emulated

pytestmark = pytest.mark.machines

SECONDS = 240


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    if emulated.missing():
        pytest.skip(f"Debian's packages to install: {' '.join(emulated.missing())}")
    three = emulated.Emulated(tmp_path_factory.mktemp("machines"))
    try:
        for name in ("server", "first", "second"):
            three.start(name)
        yield three
    finally:
        three.stop()


def _python(*words):
    return shlex.join([sys.executable, *map(str, words)])


def _mount(machines, name, version):
    # The third version knows the folder by its place on the server, the fourth as its root.
    offered = "/run/disk/study" if version == "3" else "/"
    mount = f"mount.nfs $server:{offered} study -o vers={version}"
    line = f"umount study 2>/dev/null; {mount} && grep /run/study /proc/mounts"
    code, said = machines.say(name, line)
    assert code == 0 and f"vers={version}" in said and "local_lock=none" in said, said


@pytest.mark.parametrize("version", ["4.2", "3"])
def test_what_one_machine_trains_is_free_for_the_other_once_the_first_is_gone(machines, version):
    for name in ("first", "second"):
        _mount(machines, name, version)
    run, sign = f"/run/study/run{version}", f"/run/study/sign{version}"
    free = _python(emulated.HERE / "free.py", run, SECONDS)
    machines.say("first", f"{_python(emulated.HERE / 'hold.py', run, sign)} &")
    machines.say("first", f"until [ -e {sign} ]; do sleep 0.2; done")
    assert machines.say("second", _python(emulated.HERE / "free.py", run, 1)) == (0, "")

    machines.cut("first")
    begun = time.monotonic()
    code, said = machines.say("second", free)
    assert code == 0
    print(f"\nNFS {version}, {time.monotonic() - begun:.0f} s after a power cut: {said or 'held'}")
    machines.start("first")
    # The third version's server keeps the locks of a machine until that is back.
    assert said == ("" if version == "3" else "free")
