"""Measures one peer under one kind of load: its processor time as the kernel counts it, what its clients saw, its memory."""

import json
import os
import pathlib
import subprocess

PROMPT = "Tell me about the quick brown fox and what it jumps over. " * 7


def tree(pid):
    """A process and all that descend from it."""
    children = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue  # It ended while we looked.
        children.setdefault(parent, []).append(int(folder.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def threads(pid):
    """Nanoseconds on a processor of each thread of a process and its descendants."""
    spent = {}
    for process in tree(pid):
        for task in pathlib.Path(f"/proc/{process}/task").glob("*"):
            try:
                spent[int(task.name)] = (int((task / "schedstat").read_text().split()[0]), (task / "comm").read_text().strip())
            except (OSError, ValueError, IndexError):
                continue
    return spent


def cpu_ms(before, after):
    """Milliseconds between two readings; a thread that is new began at zero."""
    return sum(spent - before.get(task, (0, ""))[0] for task, (spent, _) in after.items()) / 1e6


def by_thread(before, after):
    """The same by the threads' names."""
    names = {}
    for task, (spent, name) in after.items():
        names[name] = names.get(name, 0) + (spent - before.get(task, (0, ""))[0]) / 1e6
    return names


def rss_mib(pid):
    """Resident memory of a process and its descendants."""
    total = 0
    for process in tree(pid):
        try:
            status = pathlib.Path(f"/proc/{process}/status").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return total / 1024


def body(scenario):
    """The request of a scenario: plain, or 50 chunks as fast as they go (burst) or 20 ms apart (paced)."""
    kind = scenario.partition("-")[0]
    fields = {"model": "m-d20" if kind == "paced" else "m", "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 50}
    return json.dumps(fields if kind == "plain" else {**fields, "stream": True}, separators=(",", ":"))


def load(program, cpu, peer, scenario, span):
    """What the clients of a peer saw: `span` is seconds, or a count such as 500000x."""
    connections = scenario.partition("-")[2]
    command = ["taskset", "-c", cpu, str(program), f"127.0.0.1:{peer.port}", connections, str(span), body(scenario), *peer.head]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the load of {peer.name} failed: {done.stderr}")
    return json.loads(done.stdout)


def measure(program, cpu, peer, scenario, seconds):
    """One reading: after a short run that warms up."""
    load(program, cpu, peer, scenario, min(0.5, seconds))
    before = threads(peer.pid)
    seen = load(program, cpu, peer, scenario, seconds)
    after = threads(peer.pid)
    spent = cpu_ms(before, after)
    seen["cpu_us_request"] = 1e3 * spent / max(seen["requests"], 1)
    seen["cpu_us_chunk"] = 1e3 * spent / max(seen["chunks"], 1)
    seen["by_thread"] = {name: 1e3 * ms / max(seen["requests"], 1) for name, ms in by_thread(before, after).items()}
    seen["rss_mib"] = rss_mib(peer.pid)
    return seen
