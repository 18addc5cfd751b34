"""`python -m ablation.watch runs/main`: serves a study's page on this machine alone."""

from ablation import import_path

import_path.tidy()  # Before anything else is imported.

import argparse
import contextlib
import html
import mimetypes
import sys
import webbrowser
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ablation.command.parser import Parser
from ablation.config import UserError
from ablation.records import store
from ablation.report import PAGE
from ablation.terminal import exit_code

HOST = "127.0.0.1"
_OWN_NAMES = ("localhost", "127.0.0.1")
_EPILOG = """options:
  port=NUMBER              the port to listen on (a free one)

The page is a file, runs/main/report.html, and needs no server where a browser can open it. Over
ssh, where none can, this serves it: only this machine can ask, and only for the study's files.
"""


def main() -> int:
    """Runs the command line; returns the exit code."""
    return exit_code("ablation.watch", _main)


def _main() -> int:
    parser = Parser("ablation.watch", __doc__, _EPILOG)
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument("folder", metavar="FOLDER", help="a study's folder, such as runs/main")
    parser.add_argument("port", nargs="?", metavar="port=NUMBER", help=argparse.SUPPRESS)
    # What argparse takes for an option of its own may be ours with a dash too many.
    known, others = parser.parse_known_args()
    if others:
        raise UserError(f"{others[0]} is no option. Allowed: port=NUMBER without dashes, --open.")
    folder = _study(known.folder)
    server = _listening(folder, _port(known.port))
    port = server.server_address[1]
    address = f"http://localhost:{port}/"
    print(f"{address}  shows {folder}. Ctrl-C ends it.")
    print(
        f"From another machine: ssh -N -L {port}:localhost:{port} HOST, then open {address} there."
    )
    sys.stdout.flush()
    if known.open:
        webbrowser.open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()
    return 0


def _study(name: str) -> Path:
    """Returns a study's folder; raises UserError if there is none."""
    folder = Path(name).expanduser().resolve()
    if not (folder / PAGE).exists() and not store.run_directories(folder):
        raise UserError(f"{store.without_runs(Path(name).expanduser())}.")
    return folder


def _port(word: str | None) -> int:
    """Returns the port that was asked for, 0 for a free one."""
    if word is None:
        return 0
    key, _, value = word.partition("=")
    if Path(word).exists():
        raise UserError(f"it shows one study, and {word} is another; name one.")
    if key != "port" or not value.isdecimal() or not 0 < int(value) < 65536:
        raise UserError(f"{word} is not understood. Allowed: port=NUMBER, from 1 to 65535.")
    return int(value)


def _listening(folder: Path, port: int) -> ThreadingHTTPServer:
    try:
        server = ThreadingHTTPServer((HOST, port), partial(Handler, folder))
    except OSError as error:
        raise UserError(f"port {port} cannot be listened on: {error.strerror}.") from None
    server.daemon_threads = True
    return server


class Handler(BaseHTTPRequestHandler):
    """Answers with the page of a study and the files below its folder, and with nothing else.

    Args:
        folder: of the study, without links in its path.
    """

    def __init__(self, folder: Path, *arguments: Any):
        self._folder = folder
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Sends a file."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Sends what is known of a file."""
        self._answer(body=False)

    def log_message(self, *_: Any) -> None:
        """Keeps the terminal quiet: an open page asks every few seconds."""

    def _answer(self, body: bool) -> None:
        # A page elsewhere could reach this server by a name of its own that leads here.
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host")
        if host not in _OWN_NAMES:
            self.send_error(HTTPStatus.FORBIDDEN, "this server is for localhost")
            return
        asked = unquote(urlsplit(self.path).path).lstrip("/")
        path = self._inside(asked or PAGE)
        try:
            content = path.read_bytes() if path else None
        except OSError:
            content = None
        if content is None and not asked:
            self._send(_waiting(self._folder), "text/html", body)
        elif content is None or path is None:
            self.send_error(HTTPStatus.NOT_FOUND, "no such file in this study")
        else:
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            self._send(content, kind, body)

    def _inside(self, asked: str) -> Path | None:
        """Returns a file of the study, None for what is hidden or lies outside, by a link too."""
        if "\0" in asked or any(part.startswith(".") for part in asked.split("/")):
            return None
        path = (self._folder / asked).resolve()
        return path if path.is_relative_to(self._folder) and path.is_file() else None

    def _send(self, content: bytes, kind: str, body: bool) -> None:
        text = kind.startswith("text/") or kind.endswith("json")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if text else kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if body:
            with contextlib.suppress(ConnectionError):  # Whoever asked is gone already.
                self.wfile.write(content)


def _waiting(folder: Path) -> bytes:
    name = html.escape(folder.name)
    return (
        f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="3">'
        f"<title>{name}</title><p>{name} has no page yet. It appears here by itself.</p>"
    ).encode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
