"""What a trace of strace says of files: the operations on them, and the disks they could leave.

After a power cut a disk has what was synced, and of what was not any part, in any order: the model
of Pillai et al. 2014, "All file systems are not created equal" (ALICE, OSDI). Here a file is its
content, which a sync of the file makes durable, and a name in a directory, which a sync of the
directory does.
"""

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

CALLS = "openat,write,pwrite64,lseek,ftruncate,fsync,fdatasync,rename,renameat,renameat2"
CALLS += ",unlink,unlinkat,mkdir,rmdir"

_LINE = re.compile(r"^(?P<pid>\d+)\s+(?P<call>\w+)\((?P<arguments>.*)\)\s+=\s+(?P<result>-?\d+)")
_UNFINISHED = re.compile(r"^(?P<pid>\d+)\s+(?P<begin>\w+\(.*) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(?P<pid>\d+)\s+<\.\.\. \w+ resumed>(?P<end>.*)$")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_OPENED = re.compile(r"\d+<([^>]*)>")


@dataclass(frozen=True)
class Operation:
    """One system call that changes or syncs files.

    Attributes:
        call: its name; "create" of an open that makes a file.
        path: what it is about.
        to: of a rename the new path.
        content: of a write.
        offset: of a write, or the new size.
        nth: which of the calls of its name on this path it is, from 1.
    """

    call: str
    path: str
    to: str = ""
    content: bytes = field(default=b"", repr=False)
    offset: int = 0
    nth: int = 0


def operations(trace, below):
    """Returns the operations on files below a folder, in the order of a trace of one process.

    Args:
        trace: strace's output, with -f -y -xx and the strings whole.
        below: the folder.

    Returns:
        Pairs of the system call's name and the operation.
    """
    found, counts, offsets = [], Counter(), {}
    for call, arguments, result in _calls(trace):
        operation = _operation(call, arguments, result, offsets)
        if not operation or not operation.path.startswith(str(below)):
            continue
        if operation.path.endswith((".lock", "log.txt")):
            continue
        counts[call, operation.path] += 1
        found.append((call, replace(operation, nth=counts[call, operation.path])))
    return found


def _operation(call, arguments, result, offsets):
    """Returns what a call does to a file, None if nothing; keeps where each is written next."""
    opened = _OPENED.search(arguments)
    path = opened and re.sub(r"\\x(..)", lambda m: chr(int(m[1], 16)), opened[1])
    last = arguments.rpartition(",")[2]
    if call == "lseek":
        offsets[path] = result
        return None
    if call in ("write", "pwrite64"):
        content = _bytes(_TEXT.search(arguments)[1])
        at = int(last) if call == "pwrite64" else offsets.get(path, 0)
        if call == "write":
            offsets[path] = at + len(content)
        return Operation("write", path, content=content, offset=at)
    texts = _texts(arguments)
    if call == "openat":
        offsets[texts[0]] = 0
        return Operation("create", texts[0]) if "O_CREAT" in arguments else None
    if call.startswith("rename"):
        return Operation("rename", *texts)
    if call == "unlinkat":
        name = texts[0] if texts[0].startswith("/") else f"{path}/{texts[0]}"
        return Operation("rmdir" if "AT_REMOVEDIR" in arguments else "unlink", name)
    if call in ("unlink", "mkdir", "rmdir"):
        return Operation(call, texts[0])
    if call == "ftruncate":
        return Operation("truncate", path, offset=int(last))
    return Operation("sync", path)


def _calls(trace):
    """Yields name, arguments and result of every call that succeeded."""
    begun = {}
    for line in Path(trace).read_text(errors="replace").splitlines():
        if cut := _UNFINISHED.match(line):
            begun[cut["pid"]] = cut["begin"]
            continue
        if rest := _RESUMED.match(line):
            line = f"{rest['pid']} {begun.pop(rest['pid'], '')}{rest['end']}"
        whole = _LINE.match(line)
        if whole and int(whole["result"]) >= 0:
            yield whole["call"], whole["arguments"], int(whole["result"])


def _texts(arguments):
    return [_bytes(one).decode() for one in _TEXT.findall(arguments)]


def _bytes(text):
    return re.sub(rb"\\x(..)", lambda m: bytes([int(m[1], 16)]), text.encode())


class Disk:
    """Files and directories as operations leave them.

    Attributes:
        names: of each path its file, None of a directory.
        contents: of each file.
    """

    def __init__(self):
        self.names = {}
        self.contents = {}

    def apply(self, place, operation, files):
        """Applies an operation; `files` gives each file that is created a number of its own."""
        call, path = operation.call, operation.path
        if call == "create":
            if path not in self.names:
                self.names[path] = files[place]
                self.contents.setdefault(files[place], b"")
            else:
                self.contents[self.names[path]] = b""
        elif call == "write":
            file = files[place]
            content = self.contents.setdefault(file, b"").ljust(operation.offset, b"\0")
            end = operation.offset + len(operation.content)
            self.contents[file] = content[: operation.offset] + operation.content + content[end:]
        elif call == "truncate":
            content = self.contents.setdefault(files[place], b"")
            self.contents[files[place]] = content[: operation.offset].ljust(operation.offset, b"\0")
        elif call == "rename":
            if path in self.names:
                self.names[operation.to] = self.names.pop(path)
            else:  # Its first name was never written, its second was.
                self.names[operation.to] = files[place]
                self.contents.setdefault(files[place], b"")
        elif call in ("unlink", "rmdir"):
            self.names.pop(path, None)
        elif call == "mkdir":
            self.names[path] = None

    def tree(self, root):
        """Returns what can be reached from a folder: path and content, None of a directory."""
        found = {}
        for path, file in sorted(self.names.items()):
            parents = [str(one) for one in Path(path).parents if str(one).startswith(root)]
            if all(one == root or self.names.get(one, 0) is None for one in parents):
                found[path[len(root) + 1 :]] = None if file is None else self.contents[file]
        return found


def disks(operations, root):
    """Yields the trees that a power cut could leave: operations before it, how many lost, the tree.

    At every operation: all that came before it; only what was synced; what was synced and any one
    thing that was not; all but any one thing that was not synced.
    """
    files, seen = _files(operations), set()
    for end in range(len(operations) + 1):
        durable, volatile = _durability(operations[:end], files)
        kept = [frozenset(volatile), frozenset()]
        kept += [frozenset([one]) for one in volatile]
        kept += [frozenset(volatile) - {one} for one in volatile]
        for chosen in dict.fromkeys(kept):
            disk = Disk()
            for place in sorted({*durable, *chosen}):
                disk.apply(place, operations[place], files)
            tree = disk.tree(str(root))
            key = tuple(tree.items())
            if key not in seen:
                seen.add(key)
                yield end, len(volatile) - len(chosen), tree


def _files(operations):
    """Returns for each operation on a file the number of that file: where it was created."""
    files, current = {}, {}
    for place, operation in enumerate(operations):
        if operation.call == "create":
            current.setdefault(operation.path, place)
            files[place] = current[operation.path]
        elif operation.call in ("write", "truncate", "rename"):
            files[place] = current.get(operation.path, -1)
        if operation.call == "rename":
            current[operation.to] = current.pop(operation.path, -1)
        elif operation.call == "unlink":
            current.pop(operation.path, None)
    return files


def _durability(done, files):
    """Returns the places of the operations that syncs have made durable, and those of the others.

    Syncs are in neither.
    """
    durable, volatile = set(), []
    for place, operation in enumerate(done):
        if operation.call == "sync":
            continue
        synced = False
        for later in itertools.islice(enumerate(done), place + 1, None):
            at, sync = later
            if sync.call != "sync":
                continue
            if operation.call in ("write", "truncate"):
                synced |= _file_at(done, at, sync.path, files) == files[place]
            else:
                names = {operation.path, operation.to or operation.path}
                synced |= sync.path in {str(Path(name).parent) for name in names}
        if synced:
            durable.add(place)
        else:
            volatile.append(place)
    return durable, volatile


def _file_at(done, end, path, files):
    """Returns the file that a path names after so many operations."""
    for place in range(end - 1, -1, -1):
        operation = done[place]
        if operation.call in ("create", "write", "truncate") and operation.path == path:
            return files[place]
        if operation.call == "rename" and operation.to == path:
            return files[place]
    return None
