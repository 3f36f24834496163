"""A scripted model server for the SDK tests: OpenAI's dialect on a free port, told by the model's name what to do.

It shares no code with the gateway. `GET /heard/REQUEST` gives the bodies that it got for one request of the gateway.
"""

import base64
import json
import select
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "prompt_tokens_details": {"cached_tokens": 4}}
RESPONSE_USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 11,
}
TEXT = "scripted answer"
# Odd spaces, an escape and a number: what a client must get byte for byte.
ARGUMENTS = ['{"city" : ', '"Z\\u00fcrich",', ' "days": 1.50}']
VECTOR = [0.5, -1.25, 3.0]

HEARD = {}
LOCK = threading.Lock()
# What requests of the models `held` and `paused` wait for, one each.
HOLD = threading.Semaphore(0)
RELEASED = []
# How long one that is late waits for whoever asked to hang up.
LATE_SECONDS = 60


def choice(index, body):
    if body.get("tools"):
        call = {"id": f"call_{index}", "type": "function", "function": {"name": "weather", "arguments": "".join(ARGUMENTS)}}
        message, finish = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
    elif body.get("response_format"):
        message, finish = {"role": "assistant", "content": '{"answer": "scripted"}'}, "stop"
    else:
        message, finish = {"role": "assistant", "content": TEXT}, "stop"
    logprobs = None
    if body.get("logprobs"):
        top = [{"token": "scripted", "logprob": -0.25, "bytes": None}]
        logprobs = {"content": [{"token": "scripted", "logprob": -0.25, "bytes": None, "top_logprobs": top}], "refusal": None}
    return {"index": index, "message": message, "finish_reason": finish, "logprobs": logprobs}


def chat(body):
    choices = [choice(index, body) for index in range(body.get("n") or 1)]
    tier = body.get("service_tier", "default")
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": choices, "usage": USAGE,
        "service_tier": tier,
    }  # fmt: skip


def chat_events(body):
    def chunk(delta, finish=None):
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"], "choices": choices}

    yield chunk({"role": "assistant", "content": ""})
    if body.get("tools"):
        call = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "weather", "arguments": ""}}
        yield chunk({"tool_calls": [call]})
        for piece in ARGUMENTS:
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    else:
        yield chunk({"content": "scripted "})
        if body["model"] in ("cutter", "stalling"):
            return
        if body["model"] == "paused":
            HOLD.acquire()
        yield chunk({"content": "answer"})
    yield chunk({}, "tool_calls" if body.get("tools") else "stop")
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**chunk({}), "choices": [], "usage": USAGE}


def response(body, status="completed"):
    part = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
    message = {"id": "msg_1", "type": "message", "status": status, "role": "assistant", "content": [part]}
    return {
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None, "incomplete_details": None,
        "instructions": None, "max_output_tokens": None, "model": body["model"], "output": [message] if status == "completed" else [],
        "parallel_tool_calls": True, "previous_response_id": None, "reasoning": {"effort": None, "summary": None}, "store": False,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "truncation": "disabled", "usage": RESPONSE_USAGE if status == "completed" else None, "user": None, "metadata": {},
    }  # fmt: skip


def response_events(body):
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    done = response(body)
    item = done["output"][0]
    events = [
        ("response.created", {"response": response(body, "in_progress")}),
        ("response.in_progress", {"response": response(body, "in_progress")}),
        ("response.output_item.added", {"output_index": 0, "item": {**item, "status": "in_progress", "content": []}}),
        ("response.content_part.added", {**at, "part": {**item["content"][0], "text": ""}}),
        ("response.output_text.delta", {**at, "delta": "scripted ", "logprobs": []}),
        ("response.output_text.delta", {**at, "delta": "answer", "logprobs": []}),
        ("response.output_text.done", {**at, "text": TEXT, "logprobs": []}),
        ("response.content_part.done", {**at, "part": item["content"][0]}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": done}),
    ]
    for number, (kind, fields) in enumerate(events):
        yield {"type": kind, "sequence_number": number, **fields}


def embeddings(body):
    inputs = body["input"]
    several = isinstance(inputs, list) and inputs and isinstance(inputs[0], (str, list))
    vector = VECTOR
    if body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(inputs) if several else 1)]
    return {"object": "list", "model": body["model"], "data": data, "usage": {"prompt_tokens": 8, "total_tokens": 8}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, status, body, kind="application/json", **head):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in head.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def events(self, events, typed):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in events:
            name = f"event: {event['type']}\n" if typed else ""
            self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
        if not typed:
            last = not (event.get("choices") and not event["choices"][0]["finish_reason"])
            self.wfile.write(b"data: [DONE]\n\n" if last else b"")

    def do_GET(self):
        with LOCK:
            heard = HEARD.get(self.path.rpartition("/")[2], [])
        self.send(200, json.dumps(heard).encode())

    def hangs_up(self):
        """Waits until whoever asked hangs up, and says whether it did."""
        readable, _, _ = select.select([self.connection], [], [], LATE_SECONDS)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except ConnectionResetError:
            return True

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        heard = {"path": self.path, "body": body, "left": False}
        with LOCK:
            known = [one["body"].get("messages") for several in HEARD.values() for one in several]
            HEARD.setdefault(self.headers["x-request-id"], []).append(heard)
        model = body["model"]
        if model == "never" or model == "late" and body["messages"] not in known:
            heard["left"] = self.hangs_up()
        if model == "html":
            return self.send(502, b"<html><body>bad gateway: secret-host</body></html>", "text/html")
        if model == "garbage":
            return self.send(200, b"<html>surprise</html>", "text/html")
        if model == "busy":
            return self.send(429, b"{}", retry_after="7")
        if model == "held":
            HOLD.acquire()
            with LOCK:
                RELEASED.append(body)
        call = self.path.partition("/v1/")[2]
        if body.get("stream"):
            self.events(response_events(body) if call == "responses" else chat_events(body), call == "responses")
            if model == "stalling":
                heard["left"] = self.hangs_up()
            return None
        if call == "completions":
            text = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": model, "usage": USAGE}
            return self.send(200, json.dumps({**text, "choices": [{"index": 0, "text": TEXT, "finish_reason": "stop", "logprobs": None}]}).encode())
        made = {"chat/completions": chat, "responses": response, "embeddings": embeddings}[call](body)
        return self.send(200, json.dumps(made).encode())


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # A client that was killed is no error of ours.


class Upstream:
    """The scripted model server, while it is needed."""

    def __enter__(self):
        with LOCK:
            HEARD.clear()
            RELEASED.clear()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.at = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def heard(self):
        """Every body that it got."""
        return [call["body"] for call in self.calls()]

    def calls(self):
        """Every call that it got: where, what, and whether the gateway left before its end."""
        with LOCK:
            return [dict(one, request=request) for request, several in HEARD.items() for one in several]

    def released(self):
        """The bodies of the requests of `held` that went on."""
        with LOCK:
            return list(RELEASED)

    def release(self, count):
        """Lets so many requests of the model `held` go on."""
        HOLD.release(count)

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    with Upstream() as upstream:
        sys.stdout.write(f"{upstream.at}\n")
        sys.stdout.flush()
        threading.Event().wait()
