"""An upstream that answers and fails as a seed says, and clients that ask through a gateway: both note what they saw.

Neither knows the other's notes. What the upstream generated, what the client was told and what the ledger has are three accounts of one thing.
"""

import asyncio
import json
import random

# What an upstream does with a call, and how often in a hundred.
REPLIES = {"whole": 45, "stream": 30, "busy": 5, "broken": 5, "drop": 4, "half": 4, "cut": 5, "silent": 2}
FAULTS = [reply for reply in REPLIES if reply not in ("whole", "stream")]
STATUS = {"busy": 429, "broken": 500}
PACE_SECONDS = 0.002
EVENTS_MAX = 12
# Tokens that an upstream says it read, at most.
READ_MAX = 500


async def after(seconds):
    """Time goes by: for what is paced or comes at random, never to wait for something to happen."""
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=seconds)


class Call:
    """One call that an upstream got, and what it generated for it."""

    def __init__(self, endpoint, request, reply, tokens):
        self.endpoint, self.request, self.reply, self.tokens, self.generated, self.whole = endpoint, request, reply, tokens, 0, False
        self.streamed = False


class Upstream:
    """A model server on a free port."""

    def __init__(self, name, seed, replies=REPLIES):
        self.name, self.random, self.calls, self.faults = name, random.Random(f"{name} {seed}"), {}, dict.fromkeys(FAULTS, 0)
        self.replies = replies

    async def start(self):
        """Listens, and says on which port."""
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    def stop(self):
        """Listens no more."""
        self.server.close()

    async def _serve(self, reader, writer):
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # The gateway was killed, or let go.
        finally:
            writer.close()

    async def _answer(self, reader, writer):
        """Answers one call; whether the connection is good for another."""
        head = await read_head(reader)
        body = json.loads(await reader.readexactly(int(head["content-length"])))
        reply = self.random.choices(list(self.replies), list(self.replies.values()))[0]
        if reply in ("whole", "stream"):
            reply = "stream" if body.get("stream") else "whole"
        call = Call(self.name, head["x-request-id"], reply, (self.random.randint(1, READ_MAX), self.random.randint(1, EVENTS_MAX)))
        call.streamed = bool(body.get("stream"))
        self.calls.setdefault(call.request, []).append(call)
        if reply in self.faults:
            self.faults[reply] += 1
        if reply in STATUS:
            writer.write(f"HTTP/1.1 {STATUS[reply]} Scripted\r\nretry-after-ms: 5\r\ncontent-length: 0\r\n\r\n".encode())
        elif reply == "silent":
            await reader.read()  # Until the gateway gives up or is killed.
        elif reply != "drop":
            await (self._stream(writer, call) if body.get("stream") else self._whole(writer, call))
        await writer.drain()
        return reply in ("whole", "stream") or reply in STATUS

    async def _whole(self, writer, call):
        """An answer at once; half of it, where the script says so."""
        message = {"index": 0, "message": {"role": "assistant", "content": "scripted"}, "finish_reason": "stop"}
        text = json.dumps({"id": "scripted", "object": "chat.completion", "created": 0, "model": "m", "choices": [message], "usage": usage(call)})
        await after(self.random.random() * PACE_SECONDS)
        call.generated, call.whole = call.tokens[1], call.reply == "whole"
        sent = text if call.whole else text[: len(text) // 2]
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n{sent}".encode())

    async def _stream(self, writer, call):
        """Event by event, each a token; some of them, where the script says so."""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        stop = call.tokens[1] if call.reply == "stream" else self.random.randint(0, call.tokens[1])
        for _ in range(stop):
            chunked(writer, chunk([{"index": 0, "delta": {"content": "t "}, "finish_reason": None}]))
            call.generated += 1
            await writer.drain()
            await after(self.random.random() * PACE_SECONDS)
        if call.reply != "stream":
            return
        chunked(writer, chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
        chunked(writer, chunk([], usage(call)))
        chunked(writer, "data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        call.whole = True


def usage(call):
    """What a call took, as it is told."""
    return {"prompt_tokens": call.tokens[0], "completion_tokens": call.tokens[1], "total_tokens": sum(call.tokens)}


def chunk(choices, used=None):
    """One event of a stream."""
    said = {"id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": choices}
    return f"data: {json.dumps({**said, 'usage': used} if used else said)}\n\n"


def chunked(writer, text):
    """One chunk of a body."""
    writer.write(f"{len(text):x}\r\n{text}\r\n".encode())


async def read_head(reader):
    """The header fields of a request or an answer, and its first line under the name of nothing."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip("\r\n").split("\r\n")
    return {"": first, **{name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}}


class Answer:
    """What a client was told: by which request, with what usage, how many events, and whether all of it came."""

    def __init__(self, status, request):
        self.status, self.request, self.tokens, self.events, self.whole = status, request, None, 0, False
        # Which endpoint the head named.
        self.endpoint = None


class Clients:
    """Clients that ask as fast as they are answered, until they are told to stop or the gateway is gone."""

    def __init__(self, port, key, seed, count):
        self.port, self.key, self.random, self.count = port, key, random.Random(f"clients {seed}"), count
        self.answers, self.over = [], False

    async def run(self):
        """Asks until it is over."""
        await asyncio.gather(*(self._ask_on() for _ in range(self.count)))

    async def _ask_on(self):
        while not self.over:
            try:
                await self.ask()
            except (ConnectionError, asyncio.IncompleteReadError):
                await after(PACE_SECONDS)  # Killed, or killed before it listened.

    async def ask(self):
        """Asks once."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            streamed = self.random.random() < 0.5
            body = {"model": "m", "messages": [{"role": "user", "content": "Count."}], "max_tokens": EVENTS_MAX}
            text = json.dumps({**body, "stream": True, "stream_options": {"include_usage": True}} if streamed else body)
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {self.key}\r\nconnection: close\r\n"
            writer.write(f"{head}content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())
            head = await read_head(reader)
            answer = Answer(int(head[""].split()[1]), head.get("x-request-id"))
            answer.endpoint = head.get("x-baseload-endpoint")
            self.answers.append(answer)
            hangs_up = self.random.randint(1, EVENTS_MAX) if streamed and self.random.random() < 0.1 else None
            if "content-length" in head:
                hear(answer, await reader.readexactly(int(head["content-length"])))
            else:
                await self._events(reader, answer, hangs_up)
        finally:
            writer.close()

    async def _events(self, reader, answer, hangs_up):
        while size := int(await reader.readuntil(b"\r\n"), 16):
            for line in (await reader.readexactly(size + 2)).splitlines():
                if line == b"data: [DONE]":
                    answer.whole = answer.tokens is not None
                elif line.startswith(b"data: "):
                    said = json.loads(line[6:])
                    answer.events += bool(said.get("choices") and said["choices"][0]["delta"].get("content"))
                    answer.tokens = told(said.get("usage")) or answer.tokens
            if answer.events == hangs_up:
                return


def hear(answer, body):
    """Reads an answer that came whole."""
    if answer.status == 200:
        answer.tokens, answer.whole = told(json.loads(body).get("usage")), True


def told(used):
    """Tokens in and out, where they are told."""
    return used and (used["prompt_tokens"], used["completion_tokens"])
