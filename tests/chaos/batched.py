#!/usr/bin/env python3
"""Batches whose gateway is killed again and again, on a disk that refuses calls: batched.py BASELOAD [--rounds N] [--seconds S] [--seed S] [--json FILE].

Each life of the gateway ends by a kill; every second one has calls on its files fail (strace). At last everything is well, the batches come to their
end, and each line of each must stand in the output once, with the answer that an upstream gave and the ledger has, and few paid for twice.
"""

import asyncio
import json
import pathlib
import random
import tempfile

import rounds
import scripted
from books import Books, Finding, kill
from refusals import drawn, until_up_or_ended

LIVES, BATCHES, LINES = 4, 3, 40
LIFE_SECONDS = 1.5
END_SECONDS = 120
# An upstream that says nothing holds a line for minutes: other tests have it.
REPLIES = {"whole": 80, "busy": 8, "broken": 6, "drop": 6}
BOUNDARY = "edge"
# Lines that run at once: so many answers may be on their way to the disk when the gateway is killed, and only those are paid for twice.
LINES_AT_ONCE = 16
# Of each of the two endpoints: with one for live traffic that is as many.
SLOTS = LINES_AT_ONCE // 2 + 1


async def call(port, key, method, path, body=b"", kind="application/json"):
    """One call of the gateway: its status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
        writer.write(f"{head}content-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        head = await scripted.read_head(reader)
        return int(head[""].split()[1]), await reader.readexactly(int(head["content-length"]))
    finally:
        writer.close()


class Orders:
    """Batches as their client knows them."""

    def __init__(self, key, dice):
        self.key, self.dice, self.batches, self.refused = key, dice, {}, 0

    async def order(self, port):
        """One batch more, unless the disk refuses it: then it is not there."""
        name = f"{len(self.batches)}.{self.refused}"
        body = {"model": "m", "messages": [{"role": "user", "content": "Count."}], "max_tokens": scripted.EVENTS_MAX}
        lines = [{"custom_id": f"{name}-{n}", "method": "POST", "url": "/v1/chat/completions", "body": body} for n in range(LINES)]
        field = lambda name, text: f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"{text}\r\n'
        text = "\n".join(map(json.dumps, lines))
        form = field("purpose", "\r\n\r\nbatch") + field("file", f'; filename="in.jsonl"\r\n\r\n{text}') + f"--{BOUNDARY}--\r\n"
        status, said = await call(port, self.key, "POST", "/v1/files", form.encode(), f"multipart/form-data; boundary={BOUNDARY}")
        if status == 200:
            wanted = {"input_file_id": json.loads(said)["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
            status, said = await call(port, self.key, "POST", "/v1/batches", json.dumps(wanted).encode())
        if status == 200:
            self.batches[json.loads(said)["id"]] = [line["custom_id"] for line in lines]
        elif status < 500:
            raise Finding(f"a batch was refused with {status}: {said}")
        else:
            self.refused += 1

    async def ended(self, port):
        """Every batch, once all are over."""
        found = []
        for batch in self.batches:
            async with asyncio.timeout(END_SECONDS):
                while (now := await self.look(port, batch))["status"] not in ("completed", "failed", "expired", "cancelled"):
                    await scripted.after(0.05)
            found.append(now)
        return found

    async def look(self, port, batch):
        """A batch as it is now."""
        status, said = await call(port, self.key, "GET", f"/v1/batches/{batch}")
        if status != 200:
            raise Finding(f"{batch} was made, and is answered with {status}: {said}")
        return json.loads(said)

    async def check(self, port, batch, answers):
        """What a batch's output says, line by line; adds its answers."""
        wanted = self.batches[batch["id"]]
        if batch["status"] != "completed" or batch["request_counts"] != {"total": LINES, "completed": LINES, "failed": 0}:
            raise Finding(f"it ended otherwise: {batch}")
        status, said = await call(port, self.key, "GET", f"/v1/files/{batch['output_file_id']}/content")
        lines = [json.loads(line) for line in said.splitlines()] if status == 200 else []
        if sorted(line["custom_id"] for line in lines) != sorted(wanted):
            raise Finding(f"its output ({status}) has not each line once: {[line['custom_id'] for line in lines]}")
        for line in lines:
            answer = scripted.Answer(line["response"]["status_code"], line["response"]["request_id"])
            scripted.hear(answer, json.dumps(line["response"]["body"]))
            answers.append(answer)


def watched(state, batches):
    """The files of batches, with those that they will have, and their folders."""
    files, orders = state / "files", state / "batches"
    outputs = [files / f"file-{batch.removeprefix('batch_')}-output{end}" for batch in batches for end in ("", ".part", ".json")]
    return [files, orders, *outputs, *(orders / f"{batch}.{end}" for batch in batches for end in ("results", "part", "json"))]


async def life(books, orders, dice, counts, number):
    """One start, some work, and the kill."""
    refusals = drawn(books.state, books.fleet.with_name(f"strace-{number}.log"), dice, watched(books.state, orders.batches)) if number % 2 else None
    if refusals:
        books.before, books.fault = refusals.command(), refusals
        # What ended while the journal took nothing is only in memory when the kill comes.
        books.untold += LINES_AT_ONCE
    process = await books.start()
    books.before = []
    try:
        port = await until_up_or_ended(books, process, refusals, counts) if refusals else await books.until_up(process)
        if port and len(orders.batches) < BATCHES:
            await orders.order(port)
        if port:
            await scripted.after(LIFE_SECONDS * dice.random())
    finally:
        await kill(process)
        counts["kills"] += 1
        counts["calls that failed"] += refusals.made() if refusals else 0
    books.verify()


async def last(books, orders, counts):
    """All is well, and all comes to its end."""
    process = await books.start()
    try:
        port = await books.until_up(process)
        while len(orders.batches) < BATCHES:
            await orders.order(port)
        for batch in await orders.ended(port):
            await orders.check(port, batch, books.answers)
            counts["batches completed"] += 1
    finally:
        await kill(process)


async def round_of(baseload, _number, seed, counts):
    """One state directory through its lives."""
    dice = random.Random(seed)
    upstreams = [scripted.Upstream(name, seed, REPLIES) for name in ("east", "west")]
    ports = [await upstream.start() for upstream in upstreams]
    with tempfile.TemporaryDirectory(prefix="baseload-batched-") as made:
        books = Books(baseload, pathlib.Path(made), upstreams)
        books.found(ports)
        books.fleet.write_text(books.fleet.read_text().replace("slots = 64", f"slots = {SLOTS}"))
        orders = Orders(books.key, dice)
        try:
            for number in range(LIVES):
                await life(books, orders, dice, counts, number)
            await last(books, orders, counts)
            await books.close()
            twice = sum(row["settled"]["outcome"] == "answered" for row in books.compare()) - len(books.answers)
            if twice > LIVES * LINES_AT_ONCE:
                raise Finding(f"{twice} answers more than lines are paid for")
            counts["answers that a kill took, paid for twice"] += twice
        except Finding as finding:
            raise Finding(f"{finding} ({books.fault})") from finding
        finally:
            for upstream in upstreams:
                upstream.stop()
        counts["lines, each in the output and the books once"] += len(books.answers)
        counts["calls of upstreams"] += sum(len(calls) for upstream in upstreams for calls in upstream.calls.values())
        counts["batches refused by the disk"] += orders.refused
        return True


if __name__ == "__main__":
    rounds.run("batched", 4, round_of)
