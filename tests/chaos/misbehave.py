#!/usr/bin/env python3
"""`baseload up` between upstreams and clients that misbehave, over sockets: misbehave.py BASELOAD [--rounds N] [--seconds S] [--json FILE].

In each round every fault of faults.py happens at least 20 times, and each client hears what that fault must come to. At the end the process has
stayed within its memory, no upstream could send what nobody read, and the ledger has each call once.
"""

import argparse
import asyncio
import collections
import json
import pathlib
import signal
import sys
import tempfile
import time

import scripted
from books import START_SECONDS, Books, Finding, kill
from faults import FAULTS, SENT_MAX, TEXT, Server

EACH = 20
# A fault that doesn't come about in so long is one that nothing tries any more.
ROUND_SECONDS = 120
PATIENCE_SECONDS = 0.2
ANSWER_SECONDS = 30
RSS_MIB_MAX = 192
IDLE, LORIS = 500, 20
MODEL = '[models.{name}]\nparameters = "8 B"\ncontext = 8192\ncapabilities = ["chat"]\n'
ENDPOINT = '[endpoints.{kind}-{name}]\nmodel = "{name}"\nregion = "r"\nurl = "http://127.0.0.1:{port}/{kind}/{fault}/v1"\nslots = 64\nqueue = 64\n'
TERMS = 'party = "p"\npreset = "on-demand"\ninput = "{price} USD/1M tokens"\noutput = "{price} USD/1M tokens"\nstart = 2026-01-01\nend = 2060-01-01\n'
HEAD = 'format = 1\nname = "misbehave"\ncurrency = "USD"\n[regions.r]\njurisdiction = "EU"\n[parties.p]\nroles = ["supplier"]\n'


def fleet(ports):
    """A model for each fault, with an endpoint that has it and is cheap, and one that has none."""
    parts = [HEAD]
    for fault in FAULTS:
        name = f"m{fault}"
        parts.append(MODEL.format(name=name))
        at = {"bad": ports[fault], "good": ports["good"]}
        parts += [ENDPOINT.format(kind=kind, name=name, port=port, fault=fault) for kind, port in at.items()]
    for kind, price in (("bad", "0.60"), ("good", "0.70")):
        names = ", ".join(f'"{kind}-m{fault}"' for fault in FAULTS)
        parts.append(f"[contracts.{kind}]\n{TERMS.format(price=price)}endpoints = [{names}]\n")
    return "".join(parts)


class Heard:
    """What a client heard."""

    def __init__(self):
        self.head, self.text, self.done, self.error = {}, "", False, False

    def status(self):
        """The status, or nothing where no answer began."""
        return int(self.head[""].split()[1]) if self.head else 0

    def take(self, said):
        """Takes in a document of an answer or an event."""
        self.error |= "error" in said
        for choice in said.get("choices", []):
            self.text += choice.get("message", choice.get("delta", {})).get("content") or ""


async def ask(port, key, fault, heard, streamed, reads=True):
    """One request, and what became of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        body = json.dumps({"model": f"m{fault}", "messages": [{"role": "user", "content": "x"}], "max_tokens": 9, "stream": streamed})
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
        writer.write(f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        heard.head = await scripted.read_head(reader)
        if not reads:
            await scripted.after(10 * PATIENCE_SECONDS)
            return
        if "content-length" in heard.head:
            said = json.loads(await reader.readexactly(int(heard.head["content-length"])))
            heard.done = "choices" in said
            heard.take(said)
            return
        text = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            text += (await reader.readexactly(size + 2))[:-2]
        for event in text.decode().split("\n\n"):
            data = event.removeprefix("data: ")
            heard.done |= data == "[DONE]"
            if data.startswith("{"):
                heard.take(json.loads(data))
    finally:
        writer.close()


async def one(port, key, fault, server):
    """One request of a fault's model; whether the fault came about. What a client hears must be what it comes to."""
    wants, streamed, _ = FAULTS[fault]
    heard, before = Heard(), server.done[fault]
    patience = PATIENCE_SECONDS if wants == "leaves" else ANSWER_SECONDS
    try:
        async with asyncio.timeout(patience):
            await ask(port, key, fault, heard, streamed, reads=wants != "stops")
    except TimeoutError:
        if wants != "leaves":
            raise Finding(f"{fault}: no answer in {patience} s") from None
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        raise Finding(f"{fault}: the gateway broke off: {error!r}") from None
    happened = server.done[fault] > before
    if happened or wants != "leaves" and wants != "stops":
        check(fault, wants if happened else "right", heard)
    return happened


def check(fault, wants, heard):
    """Whether a client heard what it must."""
    words = heard.text.split() == TEXT.split() or heard.text == TEXT.replace(" ", "")
    by = heard.head.get("x-baseload-endpoint", "").partition("-")[0]
    good = {
        "right": heard.status() == 200 and heard.done and words,
        "moves": heard.status() == 200 and heard.done and words and by == "good",
        "answers": heard.status() == 200 and heard.done and words and by == "bad",
        "cuts": heard.status() == 200 and heard.error and not heard.done and by == "bad",
        "leaves": not heard.done,
        "stops": heard.status() == 200 and by == "bad",
    }
    if not good[wants]:
        raise Finding(f"{fault} {wants}, but: {heard.head}, text {heard.text!r}, done {heard.done}, error {heard.error}")


async def worker(port, key, fault, server, counts, until):
    """Asks until the fault has come about often enough."""
    enough = server.done[fault] + EACH
    while server.done[fault] < enough:
        if time.monotonic() > until:
            raise Finding(f"{fault} came about {server.done[fault] + EACH - enough} times, not {EACH}")
        counts["requests"] += 1
        if not await one(port, key, fault, server):
            # It is left alone for a while, or it was its turn to be right.
            await scripted.after(0.02)


async def clients(port, counts):
    """Clients that open connections and say little: others are answered all the same."""
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(IDLE)]
    counts["client: idle connections"] += IDLE
    loris = [await asyncio.open_connection("127.0.0.1", port) for _ in range(LORIS)]
    for byte in b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: 1":
        for _, writer in loris:
            writer.write(bytes([byte]))
        await scripted.after(0.02)
    counts["client: heads a byte at a time"] += LORIS
    for _, writer in held + loris:
        writer.close()


async def round_of(port, key, server, counts):
    """Every fault, often enough, all at once."""
    until = time.monotonic() + ROUND_SECONDS
    async with asyncio.TaskGroup() as group:
        group.create_task(clients(port, counts))
        for fault in FAULTS:
            group.create_task(worker(port, key, fault, server, counts, until))


def rss_mib(pid):
    """The most memory that a process had, in MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def compare(books, server):
    """Each call of an upstream beside the ledger."""
    rows = collections.defaultdict(list)
    for row in json.loads(books.run("ledger", "show", "--json", "--limit", "10000000"))["attempts"]:
        rows[row["request"]].append(row)
    for request, calls in server.calls.items():
        attempts = rows[request]
        if len(attempts) < len(calls) or any(row["settled"] is None for row in attempts):
            raise Finding(f"{request} made {len(calls)} calls, and the ledger has {attempts}")
        if sum(row["settled"]["outcome"] == "answered" for row in attempts) > 1:
            raise Finding(f"{request} is answered twice: {attempts}")


async def run(options, counts):
    """One service through all rounds."""
    server = Server()
    ports = await server.start()
    with tempfile.TemporaryDirectory(prefix="baseload-misbehave-") as made:
        books = Books(options.baseload.resolve(), pathlib.Path(made), [])
        books.found([])
        books.fleet.write_text(fleet(ports))
        process = await books.start()
        try:
            port, until = await books.until_up(process), time.monotonic() + options.seconds
            for number in range(options.rounds):
                await round_of(port, books.key, server, counts)
                counts["rounds"] += 1
                if number == 0:
                    warm = rss_mib(process.pid)
                if time.monotonic() > until:
                    break
            most = rss_mib(process.pid)
            print(f"misbehave: at most {most:.0f} MiB, {warm:.0f} after the first round; at most {server.sent_most >> 20} MiB of a GiB were taken")
            if most > RSS_MIB_MAX or server.sent_most > SENT_MAX:
                raise Finding(f"memory {most:.0f} MiB, of one upstream {server.sent_most >> 20} MiB taken")
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(START_SECONDS):
                await process.wait()
        finally:
            await kill(process)
        books.verify()
        compare(books, server)
    counts.update({f"fault: {fault}": count for fault, count in server.done.items()})


def main():
    """Rounds until there were enough, or it was long enough, and prints how many of what."""
    parser = argparse.ArgumentParser()
    parser.add_argument("baseload", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", help="not used: the order is the machine's own")
    parser.add_argument("--json", type=pathlib.Path)
    options, counts, found = parser.parse_args(), collections.Counter(), []
    try:
        asyncio.run(run(options, counts))
    except* (Finding, TimeoutError) as group:
        found += [repr(finding) for finding in group.exceptions]
    for what, count in sorted(counts.items()):
        print(f"misbehave: {count:>9} {what}")
    for finding in found:
        print(f"misbehave: FOUND {finding}")
    passed = sum(what.startswith("fault: ") for what in counts)
    print(f"misbehave: {0 if found else passed} passed, {len(found)} failed", flush=True)
    if options.json:
        options.json.write_text(json.dumps({**counts, "findings": len(found)}))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
