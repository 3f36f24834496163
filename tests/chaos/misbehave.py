#!/usr/bin/env python3
"""`baseload up` between upstreams and clients that misbehave, over sockets: misbehave.py BASELOAD [--rounds N] [--seconds S] [--json FILE].

In each round every fault of faults.py happens at least 20 times, and each client hears what that fault must come to: a whole answer, but for those
whose upstream was lost after its first content and those that leave. Beside them others ask a model that has no fault, and are answered. At the end
the process has stayed within its memory, no upstream could send what nobody read, and the ledger has each call once, with the tokens that its
upstream told or, where it told none that could be true, generated.

How long those others took is printed beside how long the same call takes straight to its upstream. Nothing fails on it: clients and upstreams share one
thread here, and its own waits are most of both.
"""

import argparse
import asyncio
import collections
import json
import pathlib
import resource
import signal
import socket
import statistics
import sys
import tempfile
import time

import scripted
from books import START_SECONDS, Books, Finding, kill
from books import check as books_check
from faults import DIRECT, FAULTS, LONG_EVENT, LONG_EVENTS, SENT_MAX, TEXT, USAGE, Server

EACH = 20
# A fault that doesn't come about in so long is one that nothing tries any more.
ROUND_SECONDS = 120
PATIENCE_SECONDS = 0.2
ANSWER_SECONDS = 30
# The most memory, and what a connection that says nothing adds to it: some 11 KiB, which the next ones use again.
RSS_MIB_MAX, IDLE_KIB_MAX = 192, 16
# Connections from one address are bounded, so they come from two; the gateway takes as many as half its open files, and others need some.
IDLE, IDLE_FROM, FILES_OF_OTHERS, LORIS = 10_000, ("127.0.0.2", "127.0.0.3"), 1_000, 20
# Requests of a model that has no fault, so far apart: before the first fault, and beside those of each round. So many are answered.
CALM, ALONE, BESIDE, PACE_SECONDS, ANSWERED_LEAST = "calm", 200, 700, 0.05, 0.999
REQUESTS_LEAST = 2_000
# A client that reads slowly waits so long after each chunk, and lets the kernel keep few of them.
SLOW_SECONDS, SLOW_BYTES = 0.004, 16_384
# What must be answered whole: of these a healthy upstream was there, and no content had come from one that was lost.
ANSWERED = ("right", "moves", "answers", "slowly")
MODEL = '[models.{name}]\nparameters = "8 B"\ncontext = 8192\ncapabilities = ["chat"]\n'
ENDPOINT = '[endpoints.{kind}-{name}]\nmodel = "{name}"\nregion = "r"\nurl = "http://127.0.0.1:{port}/{kind}/{fault}/v1"\nslots = 64\nqueue = 64\n'
TERMS = 'party = "p"\npreset = "on-demand"\ninput = "{price} USD/1M tokens"\noutput = "{price} USD/1M tokens"\nstart = 2026-01-01\nend = 2060-01-01\n'
HEAD = 'format = 1\nname = "misbehave"\ncurrency = "USD"\n[regions.r]\njurisdiction = "EU"\n[parties.p]\nroles = ["supplier"]\n'


def fleet(ports):
    """A model for each fault, with an endpoint that has it and is cheap, and one that has none; and a model without faults."""
    parts = [HEAD]
    for fault in [*FAULTS, CALM]:
        name = f"m{fault}"
        parts.append(MODEL.format(name=name))
        at = {"bad": ports[fault], "good": ports["good"]} if fault != CALM else {"good": ports["good"]}
        parts += [ENDPOINT.format(kind=kind, name=name, port=port, fault=fault) for kind, port in at.items()]
    for kind, price, faults in (("bad", "0.60", FAULTS), ("good", "0.70", [*FAULTS, CALM])):
        names = ", ".join(f'"{kind}-m{fault}"' for fault in faults)
        parts.append(f"[contracts.{kind}]\n{TERMS.format(price=price)}endpoints = [{names}]\n")
    return "".join(parts)


class Heard:
    """What a client heard."""

    def __init__(self):
        self.head, self.text, self.events, self.done, self.error = {}, "", 0, False, False

    def status(self):
        """The status, or nothing where no answer began."""
        return int(self.head[""].split()[1]) if self.head else 0

    def take(self, said):
        """Takes in a document of an answer or an event."""
        self.error |= "error" in said
        for choice in said.get("choices", []):
            self.text += choice.get("message", choice.get("delta", {})).get("content") or ""
            self.events += bool(choice.get("delta", {}).get("content"))


async def ask(port, key, fault, heard, streamed, wants, path="/v1/chat/completions"):
    """One request, and what became of it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        if wants == "slowly":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BYTES)
        body = json.dumps({"model": f"m{fault}", "messages": [{"role": "user", "content": "x"}], "max_tokens": 9, "stream": streamed})
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
        writer.write(f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        heard.head = await scripted.read_head(reader)
        if wants == "stops":
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
            *events, text = text.split(b"\n\n")
            for event in events:
                data = event.decode().removeprefix("data: ")
                heard.done |= data == "[DONE]"
                if data.startswith("{"):
                    heard.take(json.loads(data))
            if wants == "slowly":
                await scripted.after(SLOW_SECONDS)
    finally:
        writer.close()


async def one(port, key, fault, server, counts, delivered):
    """One request of a fault's model; whether the fault came about. What a client hears must be what it comes to."""
    wants, streamed, _ = FAULTS[fault]
    heard, before = Heard(), server.done[fault]
    patience = PATIENCE_SECONDS if wants == "leaves" else ANSWER_SECONDS
    try:
        async with asyncio.timeout(patience):
            await ask(port, key, fault, heard, streamed, wants)
    except TimeoutError:
        if wants != "leaves":
            raise Finding(f"{fault}: no answer in {patience} s") from None
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        raise Finding(f"{fault}: the gateway broke off: {error!r}") from None
    request = heard.head.get("x-request-id")
    delivered[request, heard.head.get("x-baseload-endpoint")] = heard.events
    # Who left before it heard anything knows no better; the call of one before it may have come late.
    happened = any(call.is_fault for call in server.calls.get(request, [])) if request else server.done[fault] > before
    if happened or wants != "leaves" and wants != "stops":
        wants = wants if happened else "right"
        counts["with a healthy upstream: requests"] += wants in ANSWERED
        check(fault, wants, heard)
        counts["with a healthy upstream: answered"] += wants in ANSWERED
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
        "slowly": heard.status() == 200 and heard.done and heard.text == LONG_EVENT * LONG_EVENTS and by == "bad",
    }
    if not good[wants]:
        raise Finding(f"{fault} {wants}, but: {heard.head}, text {heard.text[:99]!r}, done {heard.done}, error {heard.error}")


async def worker(port, key, fault, server, counts, delivered, until):
    """Asks until the fault has come about often enough."""
    enough = server.done[fault] + EACH
    while server.done[fault] < enough:
        if time.monotonic() > until:
            raise Finding(f"{fault} came about {server.done[fault] + EACH - enough} times, not {EACH}")
        counts["requests"] += 1
        if not await one(port, key, fault, server, counts, delivered):
            # It is left alone for a while, or it was its turn to be right.
            await scripted.after(0.02)


async def calm(port, key, count, counts, upstream):
    """Requests that nothing is wrong with, one after the other, and as many straight to their upstream: how long each of both took, in seconds."""
    took = []
    for number in range(count):
        began, streamed = time.monotonic(), number % 2 == 0
        try:
            heard = await in_time(port, key, streamed)
            check(CALM, "moves", heard)
            counts["of these answered"] += 1
            counts["with a healthy upstream: answered"] += 1
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, Finding) as error:
            print(f"misbehave: of those that nothing is wrong with: {error!r}", flush=True)
        through, began = time.monotonic() - began, time.monotonic()
        await in_time(upstream, key, streamed, f"/{DIRECT}/{CALM}/v1/chat/completions")
        took.append((through, time.monotonic() - began))
        counts["requests"] += 1
        await scripted.after(PACE_SECONDS)
    counts["requests that nothing was wrong with"] += count
    counts["with a healthy upstream: requests"] += count
    return took


async def in_time(port, key, streamed, *path):
    """What a client hears to whom nothing is done wrong."""
    heard = Heard()
    async with asyncio.timeout(ANSWER_SECONDS):
        await ask(port, key, CALM, heard, streamed, "right", *path)
    return heard


def p99_ms(took):
    """What all but one in a hundred took at most, in words."""
    through, straight = (1e3 * statistics.quantiles(each, n=100)[-1] for each in zip(*took))
    return f"{through:.1f} ms, {straight:.1f} ms straight to their upstream"


def idle_connections():
    """How many connections that say nothing this machine lets us and the gateway have."""
    return min(IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - FILES_OF_OTHERS)


async def clients(port, key, counts, upstream):
    """Clients that open connections and say little: others are answered all the same."""
    idle = idle_connections()
    held = [await asyncio.open_connection("127.0.0.1", port, local_addr=(IDLE_FROM[n % 2], 0)) for n in range(idle)]
    loris = [await asyncio.open_connection("127.0.0.1", port) for _ in range(LORIS)]
    for byte in b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: 1":
        for _, writer in loris:
            writer.write(bytes([byte]))
        await scripted.after(0.02)
    await calm(port, key, 1, counts, upstream)
    counts["client: idle connections"] += idle
    counts["client: idle connections still there when others were answered"] += sum(not reader.at_eof() for reader, _ in held)
    counts["client: heads a byte at a time"] += LORIS
    for _, writer in held + loris:
        writer.close()


async def round_of(port, key, server, counts, delivered, upstream):
    """Every fault, often enough, all at once, and what others took meanwhile."""
    until = time.monotonic() + ROUND_SECONDS
    async with asyncio.TaskGroup() as group:
        group.create_task(clients(port, key, counts, upstream))
        beside = group.create_task(calm(port, key, BESIDE, counts, upstream))
        for fault in FAULTS:
            group.create_task(worker(port, key, fault, server, counts, delivered, until))
    return beside.result()


def rss_mib(pid):
    """The most memory that a process had, in MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def compare(books, server, delivered):
    """Each call of an upstream beside the ledger: one attempt, with the tokens of that call."""
    shown = json.loads(books.run("ledger", "show", "--json", "--limit", "10000000"))
    rows = {(row["request"], row["endpoint"]): row["settled"] for row in shown["attempts"]}
    calls = [called(request, call, rows.get((request, call.endpoint))) for request, calls in server.calls.items() for call in calls]
    answer = {"status": 200, "usage": None, "whole": False}
    told = [
        {**answer, "request": request, "endpoint": endpoint, "delivered": count} for (request, endpoint), count in delivered.items() if request and endpoint
    ]
    books_check(shown["attempts"], calls, told)
    # Whom nobody was asked for owes nothing, but for those who left before the upstream had read all of it.
    asked = {(call["request"], call["endpoint"]) for call in calls}
    for row in shown["attempts"]:
        settled = row["settled"]
        if (row["request"], row["endpoint"]) not in asked and settled["known"] == "bounded" and settled["outcome"] != "client gone":
            raise Finding(f"it is bounded, and no upstream was asked: {row}")
    bounded = sum(row["settled"]["known"] == "bounded" for row in shown["attempts"])
    if shown["unreconciled"]["attempts"] != bounded:
        raise Finding(f"{bounded} attempts are only bounded, and {shown['unreconciled']} is marked")


def called(request, call, settled):
    """A call as the checkers want it. What an upstream tells of itself is believed, where it tells two things either of them."""
    said, booked = [list(tokens) for tokens in call.told], settled and [settled["input_tokens"], settled["output_tokens"]]
    reported = booked if booked in said else next(iter(said), None)
    generated = booked[1] if booked in said and settled["known"] == "reported" else call.generated
    of = {"request": request, "endpoint": call.endpoint, "streamed": call.streamed}
    return {**of, "read": USAGE["prompt_tokens"], "generated": generated, "reported": reported}


def judge(counts, server, alone, beside):
    """Whether there were enough requests, and enough were answered of those that nothing was wrong with; how long these took."""
    faulted, right = sum(server.done.values()), counts["requests that nothing was wrong with"]
    healthy, answered = counts["with a healthy upstream: requests"], counts["with a healthy upstream: answered"]
    print(f"misbehave: p99 of those that nothing is wrong with: alone {p99_ms(alone)}; beside the faults {p99_ms(beside)}")
    print(f"misbehave: {100 * answered / healthy:.2f} % of the requests with a healthy upstream were answered whole")
    print(f"misbehave: {100 * faulted / counts['requests']:.0f} % of the requests met a fault")
    if counts["requests"] < REQUESTS_LEAST:
        raise Finding(f"only {counts['requests']} requests")
    if counts["of these answered"] < ANSWERED_LEAST * right:
        raise Finding(f"only {counts['of these answered']} of {right} that nothing was wrong with were answered")


async def run(options, counts):
    """One service through all rounds."""
    server, delivered = Server(), {}
    # It inherits the limit.
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    ports = await server.start()
    with tempfile.TemporaryDirectory(prefix="baseload-misbehave-") as made:
        books = Books(options.baseload.resolve(), pathlib.Path(made), [])
        books.found([])
        books.fleet.write_text(fleet(ports))
        process = await books.start()
        try:
            port, until = await books.until_up(process), time.monotonic() + options.seconds
            alone, beside = await calm(port, books.key, ALONE, counts, ports["good"]), []
            for number in range(options.rounds):
                beside += await round_of(port, books.key, server, counts, delivered, ports["good"])
                counts["rounds"] += 1
                if number == 0:
                    warm = rss_mib(process.pid)
                if time.monotonic() > until:
                    break
            most = rss_mib(process.pid)
            print(f"misbehave: at most {most:.0f} MiB, {warm:.0f} after the first round; at most {server.sent_most >> 20} MiB of a GiB were taken")
            if most > RSS_MIB_MAX + idle_connections() * IDLE_KIB_MAX / 1024 or server.sent_most > SENT_MAX:
                raise Finding(f"memory {most:.0f} MiB, of one upstream {server.sent_most >> 20} MiB taken")
            judge(counts, server, alone, beside)
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(START_SECONDS):
                await process.wait()
        finally:
            await kill(process)
        books.verify()
        compare(books, server, delivered)
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
