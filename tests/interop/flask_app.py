"""PyPI's Flask, with the README's own snippets, is told what sessions never got, and decides."""

import base64
import hmac
import json
import os
import pathlib
import queue
import re
import subprocess
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request
from http.cookies import SimpleCookie

from flask import Flask, abort, request
from werkzeug.serving import make_server

TOP = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ORB_TEST_BINARY") or str(TOP / "target/release/orbited")
WAIT_S = 30
KEY = b"0123456789abcdef"
ROOM = ["SUBSCRIBE", ["room"]]
SNIPPETS = re.findall(r"<!-- flask -->\n```python\n(.*?)```", (TOP / "README.md").read_text(), re.S)
DECIDES = "events=signon,subscribe,call"


class Application:
    """The snippets as a server, and the events that they print."""

    def __init__(self, key=KEY, port=0):
        self.app, self.events = Flask("app"), queue.Queue()
        names = {"app": self.app, "request": request, "abort": abort, "hmac": hmac, "time": time, "KEY": key}
        names |= {"SimpleCookie": SimpleCookie, "SESSIONS": {"7f": "ann"}, "print": lambda *event: self.events.put(event)}
        exec("".join(SNIPPETS), names)
        self.server = make_server("127.0.0.1", port, self.app)
        self.port = self.server.port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        return self.events.get(timeout=WAIT_S)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Node:
    """The server under test, which posts to an application."""

    def __init__(self, app, *flags):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ORBITED_")}
        self.secret = tempfile.NamedTemporaryFile("wb")
        self.secret.write(KEY + b"\n")
        self.secret.flush()
        flags = ["--callback", f"http://127.0.0.1:{app.port}/orbited events=signoff", "--callback-key", "@" + self.secret.name, *flags]
        flags += ["--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0"]
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        self.child = subprocess.Popen([BINARY, *flags], env=kept, stdout=pipe, stderr=null, text=True)
        said = re.match(r"ready http=(\S+) internal=(\S+)", self.child.stdout.readline())
        self.public, self.internal = (f"http://{address}" for address in said.groups())

    def post(self, url, body, **fields):
        with urllib.request.urlopen(urllib.request.Request(url, body.encode(), fields), timeout=WAIT_S) as answer:
            return answer.read().decode()

    def session(self, *calls, **fields):
        """Shakes hands and makes calls, but does not ask for what comes."""
        csp = self.public + "/_/revolved/csp"
        key = json.loads(self.post(csp + "/handshake", "{}", **fields)[1:-1])["session"]
        said = "".join(json.dumps([n, *call]) + "\n" for n, call in enumerate(calls, 1))
        self.post(f"{csp}/send?s={key}", json.dumps([[1, 0, said]]))
        return key

    def get(self, path):
        with urllib.request.urlopen(self.internal + path, timeout=WAIT_S) as answer:
            return json.load(answer)

    def answers(self, key, count):
        """What the first calls of a session were answered, by their numbers."""
        found, taken, text = {}, 0, ""
        while len(found) < count:
            packets = self.post(f"{self.public}/_/revolved/csp/comet?s={key}&a={taken}&transport=longpoll", "")
            for taken, encoding, said in json.loads(packets[1:-1]):
                text += base64.urlsafe_b64decode(said + "==").decode() if encoding else said
            found = {args[0]: [verb, *args[1:]] for verb, args in map(json.loads, text.splitlines()) if verb in ("OK", "ERR")}
        return found

    def leave(self, key):
        self.post(f"{self.public}/_/revolved/csp/close?s={key}", "")

    def count(self, sample):
        with urllib.request.urlopen(self.internal + "/metrics", timeout=WAIT_S) as answer:
            line = next(line for line in answer.read().decode().splitlines() if line.startswith(sample + " "))
        return int(line.rsplit(" ", 1)[1])

    def until(self, sample, least):
        for _ in range(WAIT_S * 100):
            if self.count(sample) >= least:
                return
            time.sleep(0.01)
        raise AssertionError(f"waited in vain for {sample}")

    def stop(self):
        self.child.terminate()
        status = self.child.wait(WAIT_S)
        assert status == 0, f"the server ended with {status}"


def what_nobody_got():
    """the end of each session comes signed, with what it never got, while the node stops"""
    app = Application()
    node = Node(app)
    for _ in range(3):
        node.session(ROOM)
    node.post(node.internal + "/api/publish/room", "last words")
    node.stop()
    for seq in range(1, 4):
        got, event, user, undelivered = app.next()
        assert (got, event, user) == (seq, "signoff", None), (got, event, user)
        assert [message["body"] for message in undelivered] == ["last words"]
    assert app.events.empty()
    app.stop()


def another_key():
    """what is signed with another key is refused, and told once the key is right"""
    wrong = Application(key=b"another key of some length")
    node = Node(wrong)
    node.leave(node.session(ROOM))
    node.until('orbited_callbacks_total{result="status"}', 2)
    wrong.stop()
    assert wrong.events.empty()
    right = Application(port=wrong.port)
    assert right.next()[:2] == (1, "signoff")
    node.until('orbited_callback_events_total{result="acknowledged"}', 1)
    node.stop()
    right.stop()


def its_own_user():
    """a cookie says whose a session is, which reads what is its own, and is answered"""
    app = Application()
    node = Node(app, "--decide", f"http://127.0.0.1:{app.port}/decide {DECIDES}", "--channel", "private/* subscribe=ask")
    for fields in [{}, {"Cookie": "sid=8"}, {"Cookie": "other=7f"}]:
        try:
            node.session(**fields)
            raise AssertionError(f"let in with {fields}")
        except urllib.error.HTTPError as refused:
            assert refused.code == 403, refused.code
            answer = json.load(refused)
            assert (answer["code"], answer["reason"]) == ("denied", "Sign in first."), answer
    calls = [["SUBSCRIBE", ["private/ann"]], ["SUBSCRIBE", ["private/bob"]], ["CALL", ["add", [1, 2, 39]]]]
    key = node.session(*calls, Cookie="other=8; sid=7f")
    users = [session["user"] for session in node.get("/api/sessions")["sessions"] if session["service"] == "revolved"]
    assert users == ["ann"], users
    answers = node.answers(key, len(calls))
    assert answers[1][0] == "OK", answers
    assert answers[2] == ["ERR", "not yours", "denied"], answers
    assert answers[3] == ["OK", 42], answers
    node.stop()
    app.stop()


def main():
    """Runs the tests in order, each ending with one line: `ok`, or `FAILED` and why."""
    only, status = os.environ.get("ORB_TEST_ONLY", ""), 0
    for test in [what_nobody_got, another_key, its_own_user]:
        sentence = f"Flask: {test.__doc__}"
        if only not in sentence:
            continue
        try:
            test()
            print("ok    ", sentence, flush=True)
        except Exception:  # Whatever it is, the others run.
            print("FAILED", sentence + "\n" + traceback.format_exc(), flush=True)
            status = 1
    return status


raise SystemExit(main())
