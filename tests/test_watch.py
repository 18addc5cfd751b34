"""`python -m ablation.watch`: a server for one study, on this machine alone."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from functools import partial
from http.server import ThreadingHTTPServer

import pytest

from ablation import watch
from ablation.report.write import write_report


@pytest.fixture
def folder(stored_run, tmp_path):
    stored_run()
    write_report(tmp_path / "main")
    return tmp_path / "main"


@pytest.fixture
def server(folder):
    served = ThreadingHTTPServer((watch.HOST, 0), partial(watch.Handler, folder))
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served.server_address[1]
    served.shutdown()
    served.server_close()


def _get(port, path, host="localhost", method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={"Host": f"{host}:{port}"})
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


def test_the_page_and_its_files_are_served(server, folder):
    status, content, headers = _get(server, "/?look=1")
    assert status == 200 and content == (folder / "report.html").read_bytes()
    assert headers["Cache-Control"] == "no-store" and headers["Content-Type"].startswith(
        "text/html"
    )
    status, content, _ = _get(server, "/report/runs.csv")
    assert status == 200 and content == (folder / "report" / "runs.csv").read_bytes()
    assert _get(server, "/report.html", method="HEAD")[:2] == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "//etc/passwd",
        "/report/../../secret",
        "/.report.lock",
        "/report",
        "/link",
        "/a%00b",
        "/none",
    ],
)
def test_nothing_outside_the_study_is_served(server, folder, path):
    (folder.parent / "secret").write_text("secret")
    (folder / "link").symlink_to(folder.parent / "secret")
    status, content, _ = _get(server, path)
    assert status == 404 and b"secret" not in content


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_a_page_elsewhere_that_names_this_server_gets_nothing(server, host):
    assert _get(server, "/", host=host)[0] == 403


def test_a_study_without_a_page_gets_one_that_waits(server, folder):
    (folder / "report.html").unlink()
    status, content, _ = _get(server, "/")
    assert status == 200 and b'http-equiv="refresh"' in content


def test_the_command_prints_its_address_and_ends_by_itself_when_stopped(folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "ablation.watch", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        # A suite that was started in the background ignores it, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        first, second = process.stdout.readline(), process.stdout.readline()
        address = re.search(r"http://localhost:(\d+)/", first)
        assert "ssh -N -L" in second
        with urllib.request.urlopen(address[0], timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(OSError):  # No other of the machine's addresses listens.
            socket.create_connection(("127.0.0.2", int(address[1])), timeout=2).close()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "nowhere is no folder"),
        (["."], "holds studies, main; name one"),
        (["main", "."], "it shows one study"),
        (["main", "--port", "80"], "port=NUMBER"),
        (["main", "port=0"], "from 1 to 65535"),
        (["main", "prot=80"], "prot=80 is not understood"),
        ([], "See python -m ablation.watch --help"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_line(folder, words, said, cli):
    done = cli(*words, cwd=folder.parent, module="ablation.watch")
    assert done.returncode == 2 and said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_told_in_a_line(folder, cli):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = cli("main", f"port={port}", cwd=folder.parent, module="ablation.watch")
    assert done.returncode == 2 and f"port {port} cannot be listened on" in done.stderr
