"""vLLM's own servers, one that generates and one that embeds, both with the tiny model."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import urllib.request

import service

START_SECONDS = 900
STOP_SECONDS = 60
KEY = "sk-compat-vllm"
CONTEXT = 16384
GENERATES = [
    "--enable-log-requests", "--enable-prompt-tokens-details", "--enable-prefix-caching", "--enable-auto-tool-choice", "--tool-call-parser", "hermes",
    "--reasoning-parser", "deepseek_v3", "--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}',
]
EMBEDS = ["--runner", "pooling", "--convert", "embed"]


def free_port():
    """A port that nobody has."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Vllm:
    """A vLLM that is on its way up from the first; `wait` until it answers, and `stop` it."""

    def __init__(self, python, folder, name, arguments):
        self.port, self.log = free_port(), folder / f"{name}.log"
        offline = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_API_KEY": KEY}
        command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", "model", "--served-model-name", name]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--enforce-eager", "--max-model-len", str(CONTEXT), *arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **offline}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def base(self):
        """Where its OpenAI surface is."""
        return f"http://127.0.0.1:{self.port}/v1"

    def wait(self):
        """Waits until it answers."""
        service.poll("answer of vLLM", START_SECONDS, self.answers)

    def stop(self):
        """Ends it and all that it started."""
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait(STOP_SECONDS)

    def signal(self, how):
        """Signals it and the processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, how)

    def answers(self):
        """Whether it is up; one that has ended says why."""
        if self.process.poll() is not None:
            tail = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:])
            raise AssertionError(f"vLLM ended with {self.process.returncode}:\n{tail}")
        with contextlib.suppress(OSError):
            return self.read("/health") is not None
        return False

    def aborts(self):
        """Its names of the requests that it dropped, as its log tells them: no metric does."""
        return re.findall(r"Request (\S+) aborted", self.log.read_text(encoding="utf-8", errors="replace"))

    def read(self, path):
        """What it says at a path that wants no key."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def is_idle(self):
        """Whether it has no request in work or in line."""
        return not any(self.metric(f"vllm:num_requests_{state}") for state in ("running", "waiting"))

    def metric(self, name, **labels):
        """The sum of a metric's values whose labels are these."""
        lines = re.findall(rf"^{re.escape(name)}\{{(.*?)\}} (\S+)$", self.read("/metrics"), re.MULTILINE)
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(value) for has, value in lines if all(one in has for one in wanted))
