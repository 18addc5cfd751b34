"""Machines of their own, emulated by QEMU: a file server (NFS) and two that mount a folder of it.

They have a kernel of Debian's, the files of this machine to read, memory to write into, and a small
disk each. Their network is two cables, from the server to each of the others. Needs Debian
with the packages of `NEEDED`; what else they need is downloaded and unpacked, not installed.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).parent
NEEDED = {
    "apt-get": "apt",
    "cpio": "cpio",
    "depmod": "kmod",
    "dpkg": "dpkg",
    "mkfs.ext4": "e2fsprogs",
    "qemu-system-x86_64": "qemu-system-x86",
    "setpriv": "util-linux",
}
_TOOLS = (
    "busybox-static",
    "libevent-core-2.1-7",
    "libnfsidmap1",
    "libtirpc-common",
    "libtirpc3",
    "libwrap0",
    "nfs-common",
    "nfs-kernel-server",
    "rpcbind",
)
_MODULES = (
    "arch/x86/crypto",
    "crypto",
    "drivers/block",
    "drivers/char/hw_random",
    "drivers/net/net_failover.ko",
    "drivers/net/virtio_net.ko",
    "drivers/virtio",
    "fs",
    "lib",
    "net",
)
_PORTS = {"first": 17101, "second": 17102}  # Of this machine, where a cable ends.
_MEBIBYTES = {"server": 512, "first": 2560, "second": 2560}


def missing():
    """Returns the packages that have to be installed first."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return [package for program, package in NEEDED.items() if not shutil.which(program, path=path)]


class Emulated:
    """Three machines: "server", "first" and "second"."""

    def __init__(self, folder):
        self.folder = folder
        self._running = {}
        self._read = {}
        self._kernel, self._initrd = self._unpacked()

    def start(self, name):
        """Starts a machine and returns when it obeys."""
        cables = [name] if name in _PORTS else list(_PORTS)
        side = "connect" if name in _PORTS else "listen"
        network = []
        for place, cable in enumerate(cables):
            end = f"socket,id=n{place},{side}=127.0.0.1:{_PORTS[cable]}"
            mac = f"52:54:00:00:0{list(_PORTS).index(cable)}:0{int(name == 'server')}"
            network += ["-netdev", end, "-device", f"virtio-net-pci,netdev=n{place},mac={mac}"]
        words = f"console=ttyS0 quiet script={HERE}/begin.sh tools={self.folder}/tools name={name}"
        command = [
            # Which ends it with this process, however that ends.
            *("setpriv", "--pdeathsig", "KILL"),
            *("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", str(_MEBIBYTES[name])),
            *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-kernel", self._kernel, "-initrd", self._initrd, "-append", words),
            *("-fsdev", "local,id=f,path=/,security_model=none,readonly=on,multidevs=remap"),
            *("-device", "virtio-9p-pci,fsdev=f,mount_tag=host", "-device", "virtio-rng-pci"),
            *network,
            *("-serial", "stdio"),
        ]
        disk = self.folder / f"{name}.disk"
        if not disk.exists():
            with disk.open("wb") as file:
                file.truncate(2**30)
            _do(["mkfs.ext4", "-q", "-F", disk])
        command += ["-drive", f"file={disk},if=virtio,format=raw"]
        said = self.folder / f"{name}.out"
        with said.open("wb") as out:
            self._running[name] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=out, stderr=out
            )
        self._read[name] = 0
        self._until(name, rf"ready: {name}", 300)

    def say(self, name, line, seconds=300):
        """Has a machine obey a line; returns the exit code and what it printed."""
        machine = self._running[name]
        machine.stdin.write(f"{line}\n".encode())
        machine.stdin.flush()
        before, match = self._until(name, r"ended: (\d+)", seconds)
        return int(match[1]), before.strip().partition("\n")[2].strip()  # The line is echoed.

    def cut(self, name):
        """Cuts the power of a machine."""
        machine = self._running.pop(name)
        machine.kill()
        machine.wait()

    def stop(self):
        for name in list(self._running):
            self.cut(name)

    def _until(self, name, pattern, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            text = (self.folder / f"{name}.out").read_bytes().decode(errors="replace")
            new = text.replace("\r", "")[self._read[name] :]
            match = re.search(rf"^{pattern}$", new, re.MULTILINE)
            if match:
                self._read[name] += match.end()
                return new[: match.start()], match
            assert self._running[name].poll() is None, f"{name} has ended: {new}"
            time.sleep(0.2)
        raise TimeoutError(f"{name} said in {seconds} s: {new}")

    def _unpacked(self):
        """Returns the kernel and its first files, downloaded where they are not there yet."""
        packages, tools, kernel = (self.folder / name for name in ("packages", "tools", "kernel"))
        initrd = self.folder / "initrd"
        if not initrd.exists():
            depends = _do(["apt-cache", "depends", "linux-image-amd64"])
            image = re.search(r"linux-image-\d\S+", depends)[0]
            packages.mkdir(exist_ok=True)
            _do(["apt-get", "download", "-o", "APT::Sandbox::User=root", image, *_TOOLS], packages)
            for package in packages.iterdir():
                into = kernel if package.name.startswith("linux-image") else tools
                _do(["dpkg", "-x", package, into])
            self._pack(kernel, tools, initrd)
        return next(kernel.glob("boot/vmlinuz-*")), initrd

    def _pack(self, kernel, tools, initrd):
        """Writes the files with which a machine begins: modules of the kernel, busybox, init."""
        root = self.folder / "root"
        shutil.rmtree(root, ignore_errors=True)
        for name in ("bin", "dev", "lower", "new", "proc", "sys", "written"):
            (root / name).mkdir(parents=True)
        modules = next(kernel.glob("lib/modules/*"))
        own = root / "lib/modules" / modules.name
        for name in _MODULES:
            copied = own / "kernel" / name
            copied.parent.mkdir(parents=True, exist_ok=True)
            source = modules / "kernel" / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copied)
        for file in modules.glob("modules.*"):
            shutil.copy(file, own)
        _do(["depmod", "-b", root, modules.name])
        shutil.copy(tools / "bin/busybox", root / "bin")
        (root / "init").write_bytes((HERE / "init").read_bytes())
        (root / "init").chmod(0o755)
        writing = initrd.with_name("writing")
        packed = f"find . | cpio --quiet -o -H newc | gzip -1 >{writing}"
        _do(["bash", "-o", "pipefail", "-c", packed], root)
        writing.rename(initrd)


def _do(command, cwd=None):
    env = os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
