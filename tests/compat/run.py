#!/usr/bin/env python3
"""LiteLLM and vllm-router behind Baseload, and Baseload behind them: run.py BASELOAD BENCH_UPSTREAM LITELLM VLLM_ROUTER.

Each way a chat goes through whole and as a stream, unmodified, and the ledger has the tokens that the model server reported.
llm-d routes by its gateway's own extension inside Kubernetes and is not run here; to Baseload it is an OpenAI-compatible upstream like vLLM.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

FLEET = """format = 1
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
LITELLM = """model_list:
  - model_name: m
    litellm_params:
      model: openai/m
      api_base: http://127.0.0.1:{port}/v1
      api_key: {key}
general_settings:
  master_key: sk-compat-master
"""
# What bench_upstream answers: 110 and 21 tokens whole; as a stream it reports 110 and 50.
WHOLE, STREAMED = (110, 21), (110, 50)
# Between two looks at what is waited for; nobody sets it.
PAUSE = threading.Event()


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
    """Servers that are stopped when it is left."""

    def __init__(self, folder, programs):
        self.folder, (self.baseload, self.upstream, self.litellm, self.router) = folder, programs
        self.stack = contextlib.ExitStack()

    def start(self, port, path, *command, **environment):
        """Starts a server and waits for it."""
        log = self.stack.enter_context(open(self.folder / f"{port}.log", "wb"))
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment}, cwd=self.folder)
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        until_up(port, path, process)
        return port

    def model(self):
        """A model server."""
        port = free_port()
        return self.start(port, "/health", self.upstream, str(port))

    def gateway(self, behind, key="none"):
        """Baseload in front of a port; its port, its key, its state directory."""
        port = free_port()
        state, fleet = self.folder / f"state-{port}", self.folder / f"fleet-{port}.toml"
        fleet.write_text(FLEET.format(port=behind))
        self.start(port, "/healthz", self.baseload, "up", fleet, "--state", state, "--listen", f"127.0.0.1:{port}", COMPAT_KEY=key)
        made = subprocess.run([self.baseload, "key", "create", "compat", "--state", state], check=True, capture_output=True, text=True)
        key = next(word for word in made.stdout.split() if word.startswith("bl-"))
        # A new key is known within five seconds.
        end = time.monotonic() + 10
        while status(port, key) == 401 and time.monotonic() < end:
            PAUSE.wait(0.1)
        return port, key, state

    def proxy(self, behind, key):
        """A LiteLLM proxy in front of a port."""
        port, config = free_port(), self.folder / f"litellm-{free_port()}.yaml"
        config.write_text(LITELLM.format(port=behind, key=key))
        return self.start(port, "/health/liveliness", self.litellm, "--config", config, "--port", str(port), "--host", "127.0.0.1")

    def routed(self, behind):
        """A vllm-router in front of a port."""
        port, metrics = free_port(), free_port()
        return self.start(
            port, "/health", self.router, "--host", "127.0.0.1", "--port", str(port), "--worker-urls", f"http://127.0.0.1:{behind}",
            "--policy", "round_robin", "--prometheus-port", str(metrics),
        )


def status(port, key):
    """What asking for the models is answered with."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models", headers={"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def chat(port, key, streamed):
    """One chat: its text, and the tokens that it reports."""
    body = {"model": "m", "stream": streamed, "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
    if streamed:
        body["stream_options"] = {"include_usage": True}
    head = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(), head)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read().decode()
    if not streamed:
        answer = json.loads(text)
        return answer["choices"][0]["message"]["content"], usage(answer)
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]", events[-1]
    chunks = [json.loads(event) for event in events[:-1]]
    said = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    return said, next(usage(chunk) for chunk in chunks if chunk.get("usage"))


def usage(answer):
    """The tokens that an answer reports."""
    return answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]


def metered(baseload, state, count):
    """The tokens of each attempt in the ledger, once there are so many."""
    end = time.monotonic() + 10
    while True:
        shown = subprocess.run([baseload, "ledger", "show", "--json", "--state", state], check=True, capture_output=True, text=True)
        settled = [row["settled"] for row in json.loads(shown.stdout)["attempts"] if row["settled"]]
        if len(settled) >= count or time.monotonic() > end:
            return sorted((row["input_tokens"], row["output_tokens"]) for row in settled)
        PAUSE.wait(0.1)


def check(name, stage, port, key, state):
    """A chat each way through a chain of servers, metered by the Baseload in it."""
    before = len(metered(stage.baseload, state, 0))
    said, tokens = chat(port, key, False)
    assert said and tokens == WHOLE, (said, tokens)
    said, tokens = chat(port, key, True)
    assert "word" in said and tokens == STREAMED, (said, tokens)
    found = metered(stage.baseload, state, before + 2)
    assert found == sorted([WHOLE, STREAMED]), found
    print(f"compat: {name}: whole, streamed and metered", flush=True)


def main():
    """Every chain; the first that does not hold ends it."""
    programs = [pathlib.Path(arg).resolve() if pathlib.Path(arg).exists() else arg for arg in sys.argv[1:5]]
    with tempfile.TemporaryDirectory(prefix="baseload-compat-") as folder:
        stage = Stage(pathlib.Path(folder), programs)
        with stage.stack:
            model = stage.model()
            proxy = stage.proxy(model, "none")
            port, key, state = stage.gateway(proxy, "sk-compat-master")
            check("LiteLLM as our upstream", stage, port, key, state)
            port, key, state = stage.gateway(model)
            check("ours as LiteLLM's upstream", stage, stage.proxy(port, key), "sk-compat-master", state)
            port, key, state = stage.gateway(stage.routed(model))
            check("vllm-router as our upstream", stage, port, key, state)
            port, key, state = stage.gateway(model)
            check("ours as vllm-router's upstream", stage, stage.routed(port), key, state)
    print("compat: 4 passed, 0 failed")


if __name__ == "__main__":
    main()
