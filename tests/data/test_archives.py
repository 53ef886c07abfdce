import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ddsweep.data import archives as module
from ddsweep.data.archives import Failed, download, md5
from ddsweep.registry.datasets import Archive

CONTENT = bytes(range(256)) * 4000  # about 1 MB
HALF = len(CONTENT) // 2


class Server(ThreadingHTTPServer):
    """Serves CONTENT at every path, in the manner that the path asks for; remembers the ranges it was asked for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges = []

    def url(self, manner):
        return f"http://127.0.0.1:{self.server_address[1]}/{manner}/file"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        manner = self.path.split("/")[1]
        asked = self.headers.get("Range")
        assert isinstance(self.server, Server)
        self.server.ranges.append(asked)
        if manner == "gone":
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and manner != "plain" else 0
        if start >= len(CONTENT):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = {"drops": start + HALF // 2, "refuses": start}.get(manner, len(CONTENT))
        self.wfile.write(CONTENT[start:end])  # and the connection closes


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "TIMEOUT", 10)
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def archive(*urls, right=True):
    return Archive("file", hashlib.md5(CONTENT if right else b"").hexdigest(), urls)


def get(one, path):
    told = []
    download(one, path, lambda *news: told.append(news))
    return told


def test_a_file_arrives_whole_and_its_progress_is_told(server, root):
    told = get(archive(server.url("ranges")), root / "below" / "file")
    assert (root / "below" / "file").read_bytes() == CONTENT
    assert [path.name for path in (root / "below").iterdir()] == ["file"]
    assert told[-1] == ("file", len(CONTENT), len(CONTENT))


def test_what_is_here_is_not_asked_for_again(server, root):
    (root / "file.part").write_bytes(CONTENT[:HALF])
    told = get(archive(server.url("ranges")), root / "file")
    assert (root / "file").read_bytes() == CONTENT
    assert server.ranges == [f"bytes={HALF}-"]
    assert min(here for _, here, _ in told) > HALF
    assert not (root / "file.part").exists()


def test_a_server_without_ranges_sends_everything_again(server, root):
    (root / "file.part").write_bytes(CONTENT[:HALF])
    get(archive(server.url("plain")), root / "file")
    assert (root / "file").read_bytes() == CONTENT


def test_a_connection_that_breaks_is_taken_up_again(server, root):
    get(archive(server.url("drops")), root / "file")
    assert (root / "file").read_bytes() == CONTENT
    assert server.ranges == [None, *(f"bytes={HALF // 2 * part}-" for part in (1, 2, 3))]


def test_a_connection_that_brings_nothing_is_given_up_and_what_is_here_is_kept(server, root):
    (root / "file.part").write_bytes(CONTENT[:HALF])
    with pytest.raises(Failed, match=f"the connection ended after {HALF} of {len(CONTENT)} bytes"):
        get(archive(server.url("refuses")), root / "file")
    assert (root / "file.part").read_bytes() == CONTENT[:HALF]
    assert not (root / "file").exists()


def test_a_run_that_was_stopped_before_the_rename_is_finished(server, root):
    (root / "file.part").write_bytes(CONTENT)
    get(archive(server.url("ranges")), root / "file")
    assert (root / "file").read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_more_than_the_server_has_is_of_something_else(server, root):
    (root / "file.part").write_bytes(CONTENT + b"?")
    get(archive(server.url("ranges")), root / "file")
    assert (root / "file").read_bytes() == CONTENT


def test_the_next_address_is_tried(server, root):
    get(archive(server.url("gone"), server.url("ranges")), root / "file")
    assert (root / "file").read_bytes() == CONTENT


def test_no_address_left_is_a_reason(server, root):
    with pytest.raises(Failed, match="HTTP Error 404: Not Found"):
        get(archive(server.url("gone")), root / "file")
    assert not (root / "file").exists()


def test_what_is_not_the_official_file_is_thrown_away(server, root):
    (root / "file.part").write_bytes(b"?" * HALF)
    with pytest.raises(Failed, match="and was deleted"):
        get(archive(server.url("ranges")), root / "file")
    assert list(root.iterdir()) == []
    get(archive(server.url("ranges")), root / "file")
    assert md5(root / "file") == hashlib.md5(CONTENT).hexdigest()
