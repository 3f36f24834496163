"""Servers of this machine in chains: how they are started, asked and stopped, and what the Baseload among them has in its books."""

import collections
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

BEFORE_ONE = """format = 1
name = "compat"
currency = "USD"
[parties.p]
roles = ["supplier"]
[models.m]
parameters = "1 B"
context = 100000
[endpoints.e]
model = "m"
url = "http://127.0.0.1:{port}/v1"
key = {{ env = "COMPAT_KEY" }}
[contracts.c]
party = "p"
preset = "on-demand"
endpoints = ["e"]
input = "1 USD/1M tokens"
output = "2 USD/1M tokens"
start = 2026-01-01
end = 2036-01-01
"""
# What bench_upstream answers: 110 and 21 tokens whole; as a stream it reports 110 and 50.
WHOLE, STREAMED = (110, 21), (110, 50)
# Between two looks at what is waited for; nobody sets it.
PAUSE = threading.Event()

# A running Baseload: where it listens, a key of it, its state directory.
Gateway = collections.namedtuple("Gateway", "port key state")
# A chat's status, head, text and reported tokens, which an error has none of.
Said = collections.namedtuple("Said", "status head text tokens")


def free_port():
    """A port that nobody has."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def until_up(port, path, process, seconds=120):
    """Waits until a server answers, or says why it can't."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            sys.exit(f"a server on port {port} ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2):
                return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        PAUSE.wait(0.1)
    sys.exit(f"nothing answered at {port}{path}")


class Stage:
    """Servers that are stopped when `stack` is left."""

    def __init__(self, folder, baseload, upstream):
        self.folder, self.baseload, self.upstream = folder, baseload, upstream
        self.stack, self.processes = contextlib.ExitStack(), {}

    def start(self, port, path, *command, **environment):
        """Starts a server and waits for it."""
        log = self.stack.enter_context(open(self.folder / f"{port}.log", "wb"))
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment}, cwd=self.folder)
        self.processes[port] = process
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        until_up(port, path, process)
        return port

    def model(self):
        """A model server."""
        port = free_port()
        return self.start(port, "/health", self.upstream, str(port))

    def kill(self, port):
        """Ends a server with what it has in work."""
        self.processes[port].kill()
        self.processes[port].wait()

    def gateway(self, fleet, secret="none"):
        """Baseload with a fleet file, whose upstreams' key is `secret`."""
        port = free_port()
        state, file = self.folder / f"state-{port}", self.folder / f"fleet-{port}.toml"
        file.write_text(fleet)
        self.start(port, "/healthz", self.baseload, "up", file, "--state", state, "--listen", f"127.0.0.1:{port}", COMPAT_KEY=secret)
        return Gateway(port, self.key(port, state), state)

    def behind(self, port, secret="none"):
        """Baseload in front of a port."""
        return self.gateway(BEFORE_ONE.format(port=port), secret)

    def key(self, port, state, *wish):
        """One more key of a Baseload."""
        made = subprocess.run([self.baseload, "key", "create", "compat", *wish, "--state", state], check=True, capture_output=True, text=True)
        key = next(word for word in made.stdout.split() if word.startswith("bl-"))
        # A new key is known within five seconds.
        end = time.monotonic() + 10
        while status(port, key) == 401 and time.monotonic() < end:
            PAUSE.wait(0.1)
        return key

    def settled(self, state, count=0):
        """Each attempt that has ended in the ledger, the oldest first, once there are so many."""
        end = time.monotonic() + 10
        while True:
            command = [self.baseload, "ledger", "show", "--json", "--state", state]
            shown = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            found = [row for row in shown["attempts"] if row["settled"]]
            if len(found) >= count or time.monotonic() > end:
                return found
            PAUSE.wait(0.1)


def status(port, key):
    """What asking for the models is answered with."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models", headers={"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def ask(port, key, streamed, model="m", head=(), **more):
    """Sends a chat; the answer, to be read, whatever its status."""
    body = {"model": model, "stream": streamed, "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}], **more}
    if streamed:
        body["stream_options"] = {"include_usage": True}
    head = {"authorization": f"Bearer {key}", "content-type": "application/json", **dict(head)}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(), head)
    try:
        return urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        return error


def chat(port, key, streamed, **more):
    """One chat, read to its end."""
    with ask(port, key, streamed, **more) as answer:
        text = answer.read().decode()
    if answer.status != 200:
        return Said(answer.status, answer.headers, text, None)
    if not streamed:
        whole = json.loads(text)
        return Said(200, answer.headers, whole["choices"][0]["message"]["content"], usage(whole))
    told = events(text)
    assert told[-1] == "[DONE]", told[-1]
    chunks = [json.loads(event) for event in told[:-1]]
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    return Said(200, answer.headers, said, next(usage(chunk) for chunk in chunks if chunk.get("usage")))


def events(text):
    """The data of each event of a stream."""
    return [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]


def usage(answer):
    """The tokens that an answer reports."""
    return answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]


def tokens(row):
    """The tokens of an attempt that has ended."""
    return row["settled"]["input_tokens"], row["settled"]["output_tokens"]


def check(name, stage, port, key, state):
    """A chat each way through a chain of servers, metered by the Baseload in it."""
    before = len(stage.settled(state))
    said = chat(port, key, False)
    assert said.text and said.tokens == WHOLE, said
    said = chat(port, key, True)
    assert "word" in said.text and said.tokens == STREAMED, said
    found = sorted(map(tokens, stage.settled(state, before + 2)[before:]))
    assert found == sorted([WHOLE, STREAMED]), found
    print(f"compat: {name}: whole, streamed and metered", flush=True)
