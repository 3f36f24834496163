"""Every way that an upstream misbehaves, each on an endpoint of its own: it misbehaves at every other call and is right in between.

What a fault must come to is said beside it: `moves` (another endpoint answers), `answers` (this one does, whole), `cuts` (the stream ends with
an error and never cleanly), `leaves` (the client gives up, and the call with it), `stops` (the client reads nothing), `slowly` (it reads a little at
a time, and gets all of it). Of each call it is noted what was generated for it, and what usage was told of it that could be true.
"""

import asyncio
import email.utils
import json
import socket
import struct

import scripted

TEXT = "caf\u00e9 \U0001f600 \u2028 done"
# A word is a token, and an event of a stream.
WORDS = len(TEXT.split(" "))
USAGE = {"prompt_tokens": 7, "completion_tokens": WORDS, "total_tokens": 7 + WORDS}
GIB = 1 << 30
# In the path of a call that comes from no gateway: it is answered, and none of the books' business.
DIRECT = "direct"
EVENT = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
# Says that it is packed, which what follows is not.
PACKED_EVENT = EVENT.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
# More than any queue between the two holds, and far less than what the upstream wants to send.
SENT_MAX = 256 << 20
# So much of an answer that it waits for its reader: the kernel's queues don't hold it.
LONG_EVENT, LONG_EVENTS = "x" * 60_000, 200


class Call:
    """One call that an endpoint got: the tokens that were generated for it, and what was told of them."""

    def __init__(self, endpoint, streamed):
        self.endpoint, self.streamed, self.is_fault, self.generated, self.told = endpoint, streamed, False, 0, ()


def whole(usage=USAGE, text=TEXT):
    """An answer's text."""
    message = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [message]}
    return json.dumps({**body, "usage": usage} if usage else body, ensure_ascii=False).encode()


def answer(body, head="", status="200 OK", length=None):
    """An answer's bytes."""
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{head}content-length: {length}\r\n\r\n".encode() + body


def events(usage=(USAGE,), text=TEXT, done=True):
    """The events of a stream, a piece each."""
    pieces = [scripted.chunk([{"index": 0, "delta": {"content": part}, "finish_reason": None}]) for part in text.split(" ")]
    pieces.append(scripted.chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    pieces += [scripted.chunk([], used) for used in usage]
    raw = [json.dumps(json.loads(piece[6:]), ensure_ascii=False) for piece in pieces]
    return [f"data: {piece}\n\n".encode() for piece in raw] + [b"data: [DONE]\n\n"] * done


def chunks(pieces):
    """Pieces as chunks of a body, with its end."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def tokens(usage):
    """Input and output of a usage; thought that only its total has was output too."""
    prompt = usage["prompt_tokens"]
    return prompt, max(usage["completion_tokens"], usage["total_tokens"] - prompt)


def at_once(*pieces, generated=0, told=()):
    """Sends this, for which so much was generated and told, and goes on."""

    async def send(server, reader, writer, call):
        call.generated, call.told = generated, [tokens(usage) for usage in told]
        for piece in pieces:
            writer.write(piece)

    return send


def busy(head="", status="429 Too Many Requests"):
    """Refused for now."""
    return "moves", False, at_once(answer(b"", head, status))


async def hangs(server, reader, writer, call):
    """Says nothing until the other side leaves."""
    await reader.read()


async def hangs_after_the_head(server, reader, writer, call):
    """Says that it will stream, and nothing more."""
    writer.write(EVENT)
    await reader.read()


async def resets(server, reader, writer, call):
    """Two events, and the connection is reset."""
    call.generated = 2
    writer.write(EVENT + chunks(events()[:2])[:-5])
    await writer.drain()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await scripted.after(0.02)
    writer.transport.abort()


async def closes_mid_stream(server, reader, writer, call):
    """Two events, and the body ends as if that were all."""
    call.generated = 2
    writer.write(EVENT + chunks(events()[:2]))


async def byte_by_byte(server, reader, writer, call):
    """Every byte in a chunk and a packet of its own: characters and events are split."""
    await at_once(EVENT, generated=WORDS, told=[USAGE])(server, reader, writer, call)
    for byte in b"".join(events()):
        writer.write(b"1\r\n%c\r\n" % byte)
        await scripted.after(0)
    writer.write(b"0\r\n\r\n")


async def a_byte_a_second(server, reader, writer, call):
    """A byte of the first event each second."""
    writer.write(EVENT)
    while not reader.at_eof():
        writer.write(b"1\r\nd\r\n")
        await writer.drain()
        await scripted.after(1)
        if writer.is_closing():
            return


async def endless(server, writer, head, piece, call=None):
    """Sends until nobody takes any more, each piece a token of the call if one is given; what was sent at most is noted."""
    writer.write(head)
    sent = 0
    try:
        while sent < GIB:
            if call:
                call.generated += 1
            writer.write(piece)
            await writer.drain()
            sent += len(piece)
    finally:
        server.sent_most = max(server.sent_most, sent)


async def a_line_of_a_gib(server, reader, writer, call):
    """One event that never ends."""
    piece = b"x" * 65_536
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: "
    await endless(server, writer, head, piece)


async def a_body_of_a_gib(server, reader, writer, call):
    """One answer that never ends."""
    await endless(server, writer, answer(b"", length=GIB), b" " * 65_536)


async def a_head_of_a_gib(server, reader, writer, call):
    """A head that never ends."""
    await endless(server, writer, b"HTTP/1.1 200 OK\r\n", b"x-more: " + b"y" * 4_096 + b"\r\n")


async def slow_events(server, reader, writer, call):
    """Events for ever, a hundred a second: the client hangs up."""
    writer.write(EVENT)
    while not writer.is_closing():
        call.generated += 1
        writer.write(chunks(events()[:1])[:-5])
        await writer.drain()
        await scripted.after(0.01)


async def more_than_is_read(server, reader, writer, call):
    """Events for ever, as fast as they are taken: the client reads none."""
    await endless(server, writer, EVENT, chunks([long_event()])[:-5], call)


async def more_than_queues_hold(server, reader, writer, call):
    """A long answer, as fast as it is taken."""
    told = {**USAGE, "completion_tokens": LONG_EVENTS}
    writer.write(EVENT)
    for _ in range(LONG_EVENTS):
        call.generated += 1
        writer.write(chunks([long_event()])[:-5])
        await writer.drain()
    await at_once(chunks(events([told], text="")), generated=LONG_EVENTS, told=[told])(server, reader, writer, call)


def long_event():
    """An event that fills what lies between upstream and client."""
    return scripted.chunk([{"index": 0, "delta": {"content": LONG_EVENT}, "finish_reason": None}]).encode()


def later(seconds):
    """A date to come back at, beside the date of the answer."""
    now = 1_790_000_000
    return f"date: {email.utils.formatdate(now, usegmt=True)}\r\nretry-after: {email.utils.formatdate(now + seconds, usegmt=True)}\r\n"


ERROR = b'{"error":{"message":"no","type":"server_error","param":null,"code":null}}'
LIES = [USAGE, {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 99}]
MAD = {"prompt_tokens": -1, "completion_tokens": 1e300, "total_tokens": "x"}
# By name: what it must come to, whether it is streamed, and what it does.
FAULTS = {
    "429": busy(),
    "429-seconds": busy("retry-after: 0\r\n"),
    "429-ms": busy("retry-after-ms: 20\r\n"),
    "429-fraction": busy("retry-after: 0.02\r\n"),
    "429-date": busy(later(0)),
    "429-nonsense": busy("retry-after: soon\r\nretry-after-ms: -5\r\n"),
    "500": busy(status="500 Internal Server Error"),
    "502-page": ("moves", False, at_once(b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>")),
    "503": busy("retry-after-ms: 20\r\n", "503 Service Unavailable"),
    "hang-before-head": ("leaves", False, hangs),
    "hang-after-head": ("leaves", True, hangs_after_the_head),
    "drop": ("moves", False, lambda *_: scripted.after(0)),
    "reset-mid-stream": ("cuts", True, resets),
    "end-mid-stream": ("cuts", True, closes_mid_stream),
    "split-everywhere": ("answers", True, byte_by_byte),
    "no-usage": ("answers", False, at_once(answer(whole(usage=None)), generated=WORDS)),
    "no-usage-streamed": ("answers", True, at_once(EVENT + chunks(events(usage=())), generated=WORDS)),
    "two-usages": ("answers", True, at_once(EVENT + chunks(events(usage=LIES)), generated=WORDS, told=LIES)),
    "mad-usage": ("answers", False, at_once(answer(whole(usage=MAD)), generated=WORDS)),
    "200-with-error": ("moves", False, at_once(answer(ERROR))),
    "200-with-error-event": ("moves", True, at_once(EVENT + chunks([b"data: " + ERROR + b"\n\n"]))),
    "200-page": ("moves", False, at_once(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<html></html>")),
    "byte-a-second": ("leaves", True, a_byte_a_second),
    "gib-line": ("moves", True, a_line_of_a_gib),
    "gib-body": ("moves", False, a_body_of_a_gib),
    "gib-head": ("moves", False, a_head_of_a_gib),
    "bad-gzip": ("moves", False, at_once(answer(whole(), "content-encoding: gzip\r\n"), generated=WORDS)),
    "bad-gzip-streamed": ("moves", True, at_once(PACKED_EVENT + chunks(events()), generated=WORDS)),
    "length-too-long": ("moves", False, at_once(answer(whole(), length=len(whole()) + 50), generated=WORDS)),
    "length-too-short": ("moves", False, at_once(answer(whole(), length=20), generated=WORDS)),
    "length-twice": ("moves", False, at_once(answer(whole(), head="content-length: 3\r\n"), generated=WORDS)),
    "bad-chunks": ("moves", False, at_once(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nxx\r\n")),
    "no-http": ("moves", False, at_once(b"SSH-2.0-OpenSSH_9.2\r\n")),
    "client-hangs-up": ("leaves", True, slow_events),
    "client-reads-nothing": ("stops", True, more_than_is_read),
    "client-reads-slowly": ("slowly", True, more_than_queues_hold),
}


class Server:
    """All endpoints, each with a fault on a port of its own, as a broken connection is pooled with no other's: the path says what one does."""

    def __init__(self):
        self.calls, self.done, self.left, self.sent_most = {}, dict.fromkeys(FAULTS, 0), 0, 0
        self.turns = dict.fromkeys(FAULTS, 0)

    async def start(self):
        """Listens, and says on which port for which fault; under the name `good` for none."""
        self.servers = {name: await asyncio.start_server(self._serve, "127.0.0.1", 0) for name in [*FAULTS, "good"]}
        return {name: server.sockets[0].getsockname()[1] for name, server in self.servers.items()}

    async def _serve(self, reader, writer):
        try:
            while await self._answer(reader, writer):
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self.left += 1
        finally:
            writer.close()

    async def _answer(self, reader, writer):
        head = await scripted.read_head(reader)
        body = json.loads(await reader.readexactly(int(head["content-length"])))
        kind, fault = head[""].split()[1].split("/")[1:3]
        call = Call(f"{kind}-m{fault}", bool(body.get("stream")))
        if kind != DIRECT:
            self.calls.setdefault(head["x-request-id"], []).append(call)
        if kind == "bad":
            self.turns[fault] += 1
        call.is_fault = kind == "bad" and self.turns[fault] % 2 == 1
        if not call.is_fault:
            right = EVENT + chunks(events()) if call.streamed else answer(whole())
            await at_once(right, generated=WORDS, told=[USAGE])(self, reader, writer, call)
            return True
        self.done[fault] += 1
        await FAULTS[fault][2](self, reader, writer, call)
        await writer.drain()
        return False
