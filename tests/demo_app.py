"""The application of the page /demos/signoff.html: takes the events that a node posts, and tells the page of them.

    python3 tests/demo_app.py 5000
    orbited --session-timeout 3s --callback 'http://127.0.0.1:5000/orbited events=signon,signoff'

It needs nothing but Python, listens on this machine only, keeps the last thousand events and checks no signature: the README
has a snippet for Flask that does.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KEPT_MAX = 1000
BODY_MAX = 16 << 20
events, first = [], 0


class Application(BaseHTTPRequestHandler):
    """POST /orbited is the node's; GET /told?since=N the page's, which is of another origin."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global first
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != "/orbited" or length > BODY_MAX:
            self.close_connection = True
            return self.answer(404, b"")
        events.extend(json.loads(self.rfile.read(length)))
        gone = max(0, len(events) - KEPT_MAX)
        first += gone
        del events[:gone]
        self.answer(204, b"")

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path != "/told":
            return self.answer(404, b"")
        since = int(parse_qs(url.query).get("since", ["0"])[0])
        told = {"events": events[max(0, since - first) :], "next": first + len(events)}
        self.answer(200, json.dumps(told).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Access-Control-Allow-Origin", "*")
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 5000), Application)
    print(f"ready {server.server_port}", flush=True)
    server.serve_forever()
