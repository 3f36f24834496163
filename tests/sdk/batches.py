"""A batch whose gateway is killed while its lines run: what was answered is not asked again, and stands in the output once."""

import collections
import json
import signal

import openai

import service

LINES = 24
ANSWERED_FIRST = 5
WAIT_SECONDS = 90


def client(up, key):
    return openai.OpenAI(base_url=up.environment["OPENAI_BASE_URL"], api_key=key, max_retries=2, timeout=60)


def survives_a_kill(binary, state, fleet, upstream, key_of):
    """Kills the gateway with -9 after some lines were answered and while others are under way; starts it again."""
    arguments = ["up", str(fleet)]
    upstream.release(ANSWERED_FIRST)
    up = service.Service(binary, state, arguments)
    with up:
        key = key_of(up)
        openai_client = client(up, key)
        lines = [
            {"custom_id": f"line-{n}", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "held", "messages": [], "user": f"line-{n}"}}
            for n in range(LINES)
        ]
        text = "\n".join(map(json.dumps, lines)).encode()
        file = openai_client.files.create(file=("in.jsonl", text), purpose="batch")
        batch = openai_client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        retrieved = lambda: openai_client.batches.retrieve(batch.id)  # noqa: E731
        service.poll("answered lines", WAIT_SECONDS, lambda: retrieved().request_counts.completed == ANSWERED_FIRST)
        service.poll("lines under way", WAIT_SECONDS, lambda: len(upstream.heard()) > ANSWERED_FIRST)
        up.stop(signal.SIGKILL)
    answered_before = {body["user"] for body in upstream.released()}
    assert len(answered_before) == ANSWERED_FIRST, answered_before
    upstream.release(10 * LINES)
    with service.Service(binary, state, arguments) as up:
        openai_client = client(up, key)
        service.poll("a completed batch", WAIT_SECONDS, lambda: openai_client.batches.retrieve(batch.id).status == "completed")
        done = openai_client.batches.retrieve(batch.id)
        assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (LINES, LINES, 0), done
        output = [json.loads(line) for line in openai_client.files.content(done.output_file_id).text.splitlines()]
    ids = collections.Counter(line["custom_id"] for line in output)
    assert ids == collections.Counter(line["custom_id"] for line in lines), f"not each line once: {ids}"
    heard = collections.Counter(body["user"] for body in upstream.heard())
    again = {line for line, times in heard.items() if times > 1}
    assert again, "no line was under way when the gateway was killed: the test shows nothing"
    assert not again & answered_before, f"an answered line ran again: {again & answered_before}"
    attempts = service.attempts(binary, state)
    answered = [request for request, rows in attempts.items() if rows[-1]["settled"]["outcome"] == "answered"]
    assert sorted(answered) == sorted(line["response"]["request_id"] for line in output), "the ledger and the output differ"
    service.ledger_is_whole(binary, state)
