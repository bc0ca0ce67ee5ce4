"""PyPI's stomp.py, a client of STOMP 1.0, 1.1 and 1.2 in Python, over TCP."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import traceback
import urllib.request

import stomp

TOP = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ORB_TEST_BINARY") or str(TOP / "target/release/orbited")
WAIT_S = 30
VERSIONS = {"1.0": stomp.Connection10, "1.1": stomp.Connection11, "1.2": stomp.Connection12}


class Server:
    """The server under test: its ports, and what it counts."""

    def __init__(self, http, internal, port):
        self.http, self.internal, self.port = http, internal, port

    def metric(self, sample):
        with urllib.request.urlopen(f"http://{self.internal}/metrics", timeout=WAIT_S) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(re.escape(sample) + "[ {]", line))

    def until(self, sample, value):
        tick = threading.Event()
        for _ in range(WAIT_S * 100):
            found = self.metric(sample)
            if found == value:
                return
            tick.wait(0.01)
        raise AssertionError(f"waited in vain: {sample} is {found}, not {value}")


@contextlib.contextmanager
def serve(*more):
    """Starts a server on free ports; one that does not end with status 0 is an error."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORBITED_")}
    flags = ["--listen", "127.0.0.1:0", "--internal", "127.0.0.1:0", "--stomp", "127.0.0.1:0", *more]
    child = subprocess.Popen([BINARY, *flags], env=kept, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        line = child.stdout.readline().decode()
        http, internal, port = re.match(r"ready http=(\S+) internal=(\S+) op=\S+ stomp=\S+:(\d+)", line).groups()
        yield Server(http, internal, int(port))
    finally:
        child.terminate()
        status = child.wait(WAIT_S)
    assert status == 0, f"the server ended with {status}"


class Ears(stomp.ConnectionListener):
    """What came, and a bell for each kind of it."""

    def __init__(self):
        self.messages, self.receipts, self.errors = [], [], []
        self.bell, self.connected, self.gone = threading.Condition(), False, False

    def on_connected(self, frame):
        self.ring(lambda: setattr(self, "connected", True))

    def on_message(self, frame):
        self.ring(lambda: self.messages.append(frame))

    def on_receipt(self, frame):
        self.ring(lambda: self.receipts.append(frame.headers["receipt-id"]))

    def on_error(self, frame):
        self.ring(lambda: self.errors.append(frame))

    def on_disconnected(self):
        self.ring(lambda: setattr(self, "gone", True))

    def ring(self, change):
        with self.bell:
            change()
            self.bell.notify_all()

    def wait(self, what, for_it):
        with self.bell:
            assert self.bell.wait_for(for_it, WAIT_S), f"waited in vain for {what}: {len(self.messages)} messages, {self.errors}"


def client(server, version, port=None, **headers):
    """A client that is connected, and its ears."""
    connection = VERSIONS[version]([("127.0.0.1", port or server.port)], **({} if version == "1.0" else {"heartbeats": (1000, 1000)}))
    ears = Ears()
    connection.set_listener("ears", ears)
    connection.connect(wait=True, **headers)
    return connection, ears


def what_it_publishes(version):
    """1,000 messages come in order, once each, to it and by the port of HTTP to another"""
    with serve() as server:
        connection, ears = client(server, version)
        other, others = client(server, version, int(server.http.rsplit(":", 1)[1]))
        for one, bell in [(connection, ears), (other, others)]:
            one.subscribe("/topic/chat/room1", id="7", ack="auto", headers={"receipt": "subscribed"})
            bell.wait("the subscription", lambda bell=bell: "subscribed" in bell.receipts)
        sent = [f"{n} é\n{'x' * (20000 if n % 100 == 0 else 1)}" for n in range(1000)]
        for body in sent:
            connection.send("/topic/chat/room1", body, headers={"kind": "test", "url": "http://x:1/"})
        for bell in [ears, others]:
            bell.wait("all messages", lambda bell=bell: len(bell.messages) >= 1000)
            assert [frame.body for frame in bell.messages] == sent
            assert {frame.headers["url"] for frame in bell.messages} == {"http://x:1/"}
            assert {frame.headers["destination"] for frame in bell.messages} == {"/topic/chat/room1"}
        for one, bell in [(connection, ears), (other, others)]:
            one.disconnect(receipt="bye")
            bell.wait("the end", lambda bell=bell: bell.gone and "bye" in bell.receipts)
        server.until('orbited_signoffs_total{reason="clean"}', 2)
        for table in ["sessions", "subscriptions", "queue_bytes"]:
            server.until("orbited_" + table, 0)


def what_it_acknowledges(version):
    """messages are acknowledged as its version does it, and what is not is undelivered"""
    with serve() as server:
        connection, ears = client(server, version)
        connection.subscribe("/topic/a", id="7", ack="client", headers={"receipt": "subscribed"})
        ears.wait("the subscription", lambda: ears.receipts)
        for n in range(3):
            connection.send("/topic/a", str(n))
        ears.wait("the messages", lambda: len(ears.messages) == 3)
        named = ears.messages[1].headers
        if version == "1.2":
            connection.ack(named["ack"], receipt="acked")
        elif version == "1.1":
            connection.ack(named["message-id"], named["subscription"], receipt="acked")
        else:
            connection.ack(named["message-id"], receipt="acked")
        ears.wait("the receipt", lambda: "acked" in ears.receipts)
        connection.disconnect()
        server.until('orbited_signoffs_total{reason="clean"}', 1)
        server.until("orbited_undelivered_total", 1)


def what_happens_together(version):
    """a transaction happens whole when it is committed, and one that is aborted never was"""
    with serve() as server:
        connection, ears = client(server, version)
        connection.subscribe("/topic/a", id="7")
        kept, dropped = connection.begin("t1"), connection.begin("t2")
        for n in range(2):
            connection.send("/topic/a", f"kept {n}", transaction="t1")
        connection.send("/topic/a", "dropped", transaction="t2")
        connection.send("/topic/a", "alone")
        connection.abort("t2")
        connection.commit("t1")
        ears.wait("those that happened", lambda: len(ears.messages) == 3)
        assert [frame.body for frame in ears.messages] == ["alone", "kept 0", "kept 1"], (kept, dropped)
        connection.disconnect()


def what_is_wrong(version):
    """an error says what is wrong, and closes"""
    with serve() as server:
        connection, ears = client(server, version)
        connection.send("/queue/none", "x")
        ears.wait("the error", lambda: ears.errors and ears.gone)
        assert ears.errors[0].headers["message"].startswith("unknown destination"), ears.errors


def what_an_application_is_told(version):
    """as the application it hears of a client, sends to it, is told what arrived and what never did"""
    with serve("--linger", "100ms") as server:
        app, told = client(server, version, username="app", passcode="", headers={"orbit-role": "app"})
        ack = "client" if version == "1.0" else "client-individual"
        app.subscribe("/orbit/*", id="1", ack=ack, headers={"receipt": "subscribed"})
        told.wait("the subscription", lambda: "subscribed" in told.receipts)

        def event(name):
            found = [frame for frame in told.messages if frame.headers.get("orbit-event") == name]
            return json.loads(found[0].body) if found else None

        # The browser: a session of the service orbit, which acknowledges what it has.
        base = f"http://{server.http}/_/orbit/csp"
        key = json.loads(ask(base + "/handshake?ct=text/plain", '{"encodings":[2]}').strip("()"))["session"]
        ask(f"{base}/send?ct=text/plain&s={key}", json.dumps([[1, 0, "from the browser"]]))
        told.wait("what it said", lambda: event("signon") and event("message"))
        assert (event("signon")["session"], event("message")["body"]) == (key, "from the browser"), told.messages
        app.send(f"/session/{key}", "to the browser", headers={"orbit-id": "m1", "orbit-report": "both", "receipt": "sent"})
        told.wait("the receipt", lambda: "sent" in told.receipts)
        got = ask(f"{base}/comet?ct=text/plain&du=0&s={key}")
        assert "to the browser" in got, got
        ask(f"{base}/comet?ct=text/plain&du=0&s={key}&a={json.loads(got.strip('()'))[-1][0]}")
        told.wait("that it arrived", lambda: event("delivered"))
        assert (event("delivered")["id"], event("delivered")["level"]) == ("m1", "acked"), told.messages
        # What it never gets is told when it ends.
        app.send(f"/session/{key}", "too late", headers={"orbit-id": "m2"})
        app.send("/orbit/control/kick", json.dumps({"session": key}), headers={"reply-to": "/temp-queue/q", "correlation-id": "7"})
        told.wait("the answer", lambda: any(frame.headers.get("correlation-id") == "7" for frame in told.messages if "orbit-event" not in frame.headers))
        told.wait("its end", lambda: event("signoff"))
        end = event("signoff")
        assert (end["reason"], [one["id"] for one in end["undelivered"]]) == ("kicked", ["m2"]), end
        app.send("/user/nobody", "hello", headers={"orbit-id": "m3"})
        told.wait("that nobody was there", lambda: event("failed"))
        assert (event("failed")["id"], event("failed")["reason"]) == ("m3", "not-connected"), told.messages
        app.disconnect()


def what_two_of_a_group_are_told(version):
    """two of one group share what happens; what one of them had not acknowledged the other gets again"""
    with serve() as server:
        members = [client(server, version, username="workers", passcode="", headers={"orbit-role": "app"}) for _ in range(2)]
        for connection, ears in members:
            connection.subscribe("/orbit/signon", id="1", ack="client", headers={"receipt": "subscribed"})
            ears.wait("the subscription", lambda ears=ears: "subscribed" in ears.receipts)
        one, two = [ears for _, ears in members]
        clients = [client(server, version, username=f"u{n}", passcode="x") for n in range(20)]
        two.wait("its share", lambda: len(two.messages) == 10)
        one.wait("its share", lambda: len(one.messages) == 10)
        seqs = lambda ears: [int(frame.headers["orbit-event-seq"]) for frame in ears.messages]
        assert sorted(seqs(one) + seqs(two)) == list(range(1, 21)), (seqs(one), seqs(two))
        # Killed, not closed.
        members[0][0].transport.socket.shutdown(socket.SHUT_RDWR)
        two.wait("the rest", lambda: len(two.messages) == 20)
        assert seqs(two)[10:] == seqs(one), (seqs(one), seqs(two))
        assert {frame.headers.get("redelivered") for frame in two.messages[10:]} == {"true"}
        for connection, _ in clients + members[1:]:
            connection.disconnect()


def ask(url, body=None):
    with urllib.request.urlopen(url, body and body.encode(), timeout=WAIT_S) as answer:
        return answer.read().decode()


def main():
    """Runs the tests in order, each ending with one line: `ok`, or `FAILED` and why."""
    only, status = os.environ.get("ORB_TEST_ONLY", ""), 0
    for version in VERSIONS:
        for test in [what_it_publishes, what_it_acknowledges, what_happens_together, what_is_wrong, what_an_application_is_told, what_two_of_a_group_are_told]:
            sentence = f"stomp.py {version}: {test.__doc__}"
            if only not in sentence:
                continue
            try:
                test(version)
                print("ok    ", sentence, flush=True)
            except Exception:  # Whatever it is, the others run.
                print("FAILED", sentence + "\n" + traceback.format_exc(), flush=True)
                status = 1
    return status


raise SystemExit(main())
