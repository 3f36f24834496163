"""Starts what is measured, each pinned to a processor of its own, and ends it again."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request

import fleet

START_SECONDS = 120
NGINX = """daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 1000000000;
  upstream model {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""


def free_port():
    """A port of this machine that nobody has now."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def free_places():
    """Which processors to use: one for load and upstream, one for what is measured."""
    own = sorted(os.sched_getaffinity(0))
    return (str(own[0]), str(own[min(1, len(own) - 1)]))


class Peer:
    """A process that answers on a port."""

    def __init__(self, name, command, port, cpu, folder, head=()):
        self.name, self.port, self.head = name, port, list(head)
        with open(folder / f"{name}.log", "w") as log:
            self.process = subprocess.Popen(
                ["taskset", "-c", cpu, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self.process.pid
        self.log = folder / f"{name}.log"

    def wait(self):
        """Waits until it answers a request as it should."""
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
        head = {"content-type": "application/json", **dict(line.split(":", 1) for line in self.head)}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/chat/completions", body, head)
        deadline, said, pause = time.monotonic() + START_SECONDS, "", threading.Event()
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    if b"choices" in answer.read():
                        return self
            except (urllib.error.URLError, OSError) as error:
                said = str(error)
            pause.wait(0.2)
        raise SystemExit(f"{self.name} does not answer: {said}\n{self.log.read_text()[-2000:]}")

    def stop(self):
        """Ends it and all that it started."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.pid, how)
                self.process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def upstream(examples, folder, cpu):
    """The model server behind all."""
    port = free_port()
    return Peer("upstream", [str(examples / "bench_upstream"), str(port)], port, cpu, folder).wait()


def nginx(at, folder, cpu):
    """nginx as a plain proxy: the least that a hop costs."""
    port, home = free_port(), folder / "nginx"
    home.mkdir()
    (home / "nginx.conf").write_text(NGINX.format(folder=home, upstream=at, port=port))
    return Peer("nginx", [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(home / "nginx.conf")], port, cpu, folder)


def vllm_router(program, at, folder, cpu):
    """vllm-router, as its own documentation starts it."""
    port, other = free_port(), free_port()
    command = [program, "--host", "127.0.0.1", "--port", str(port), "--worker-urls", f"http://127.0.0.1:{at}", "--policy", "round_robin"]
    command += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(other), "--log-level", "error"]
    return Peer("vllm-router", command, port, cpu, folder)


# Beside the one that asks: as many as a large company has.
OTHER_KEYS = 9_999
# So wide that none is reached: each is counted, none refuses.
LIMITS = ["--team", "bench", "--requests", "100M/min", "--tokens", "10000M/min", "--budget", "100000000 USD/month"]


def baseload(program, at, folder, cpu, state=None):
    """Ours with everything on: ten thousand keys, rates and budgets of key, team and fleet, eight contracts, the journal and the ledger on disk."""
    port, state = free_port(), pathlib.Path(state or folder / "state")
    state.mkdir(exist_ok=True)
    state.chmod(0o700)
    (folder / "fleet.toml").write_text(fleet.text(at))
    made = subprocess.run(
        [program, "key", "create", "bench", *LIMITS, "--state", str(state)], capture_output=True, text=True, check=False, timeout=60
    )
    if made.returncode:
        raise SystemExit(f"no key: {made.stdout}{made.stderr}")
    other_keys(state)
    command = [program, "up", str(folder / "fleet.toml"), "--listen", f"127.0.0.1:{port}", "--state", str(state)]
    return Peer("baseload", command, port, cpu, folder, [f"authorization:Bearer {made.stdout.strip()}"])


def other_keys(state):
    """Keys like the one that was made, each with a secret that nobody knows."""
    with contextlib.closing(sqlite3.connect(state / "ledger.db")) as database, database:
        (key,) = database.execute("SELECT max(id) FROM api_key").fetchone()
        database.executemany(
            "INSERT INTO api_key (name, public, hash, created, expires, team, requests, tokens, budget)"
            " SELECT ?, ?, ?, created, expires, team, requests, tokens, budget FROM api_key WHERE id = ?",
            ((f"other-{number}", f"{number:012x}", secrets.token_bytes(32), key) for number in range(OTHER_KEYS)),
        )
        database.execute("INSERT INTO api_key_scope SELECT id, 'inference' FROM api_key WHERE id > ?", (key,))
