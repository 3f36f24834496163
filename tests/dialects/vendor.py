"""What the fake vendors have in common: a server on a free port that notes what it got, and a model with a script.

A fake knows its vendor's published schema and nothing of our dialects. What its model says depends on the last thing
that the user said, so that every client can ask for everything.
"""

import dataclasses
import http.server
import json
import threading

import conforms

KEY = "vendor-secret-canary"
TEXT = "Oslo \u2014 the capital of Norway. \u2603"


@dataclasses.dataclass
class Asked:
    """One request, as a vendor got it."""

    path: str
    headers: dict
    body: dict


@dataclasses.dataclass
class Plan:
    """What the model does: `text`, `call`, `json`, `filtered`, `long`, or a failure."""

    does: str
    said: str = ""


def plan(said, has_tools, has_result, schema):
    """What the model does about the last thing that it was told."""
    for failure in ("overloaded", "slow down", "bad request", "cut", "broken", "no credit"):
        if f"please be {failure}" in said:
            return Plan(failure, said)
    if has_result:
        return Plan("text", said)
    if has_tools:
        return Plan("call", said)
    if schema:
        return Plan("json", said)
    if "please be filtered" in said:
        return Plan("filtered", said)
    if "please be long" in said:
        return Plan("long", said)
    return Plan("text", said)


class Vendor:
    """A fake vendor: `with` it, and it listens."""

    def __init__(self):
        self.asked = []
        self.lock = threading.Lock()
        vendor = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # noqa: N802
                vendor.handle(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def last(self):
        with self.lock:
            return self.asked[-1]

    def count(self):
        with self.lock:
            return len(self.asked)

    def handle(self, request):
        length = int(request.headers.get("content-length", 0))
        body = json.loads(request.rfile.read(length) or b"{}")
        asked = Asked(request.path, {name.lower(): value for name, value in request.headers.items()}, body)
        with self.lock:
            self.asked.append(asked)
        try:
            self.check(asked)
        except (conforms.Differs, ValueError) as problem:
            return answer(request, 400, self.error(400, str(problem)))
        return self.serve(request, asked)

    def check(self, asked):
        """Fails unless the request is what the vendor's schema says."""
        raise NotImplementedError

    def serve(self, request, asked):
        """Answers a good request."""
        raise NotImplementedError

    def error(self, status, message):
        """The vendor's error."""
        raise NotImplementedError


def answer(request, status, body, headers=()):
    """Sends a whole answer."""
    text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request.send_response(status)
    request.send_header("content-type", "application/json")
    request.send_header("content-length", str(len(text)))
    for name, value in headers:
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(text)


def stream(request, events, cut_after=None):
    """Sends events; a cut stream ends in the middle of one, as a lost server's would."""
    request.send_response(200)
    request.send_header("content-type", "text/event-stream")
    request.send_header("connection", "close")
    request.end_headers()
    for index, event in enumerate(events):
        if index == cut_after:
            request.wfile.write(event.encode()[: len(event) // 2])
            break
        request.wfile.write(event.encode())
        request.wfile.flush()
    request.close_connection = True
