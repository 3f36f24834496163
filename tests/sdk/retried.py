"""Calls that an impatient client made again: each is in the ledger as often as the upstream had it, with what it really cost."""

import collections
import decimal
import json

import service

# How often each model of the scripted upstream is called for one call of an SDK that tries three times: one answers the second time,
# one never in time, one begins its answer and goes no further.
CALLS = {"late": 2, "never": 3, "stalling": 1}
CLIENTS = 3
INPUT, CACHED, OUTPUT = 9, 4, 2
PRICES = [decimal.Decimal(price) for price in ("0.000001", "0.0000005", "0.000002")]


def booked_as_billed(binary, state, upstream):
    """Holds the ledger against what the upstream saw: one attempt for each call, and money for what is known of it."""
    calls = [call for call in upstream.calls() if call["body"]["model"] in CALLS]
    asked = collections.Counter((call["body"]["model"], call["body"]["messages"][-1]["content"]) for call in calls)
    wrong = {words: count for words, count in asked.items() if count != CALLS[words[0]]}
    assert not wrong and {model for model, _ in asked} == set(CALLS), f"the upstream was called so often: {asked}"
    assert len(asked) >= len(CALLS) * CLIENTS, f"not every client asked every model: {asked}"
    attempts = service.attempts(binary, state)
    assert sorted(attempts) == sorted(call["request"] for call in calls), "the ledger and the upstream's calls differ"
    known = decimal.Decimal(0)
    for call in calls:
        (row,) = attempts[call["request"]]
        known += booked(call, row)
    exported = json.loads(service.run(binary, "ledger", "export", "--format", "json", "--state", str(state)))["rows"]
    billed = sum(decimal.Decimal(row["BilledCost"]) for row in exported)
    assert billed == known, f"the export bills {billed}, and {known} is known"


def booked(call, row):
    """Fails unless an attempt is booked as its call went; gives what is due for it by now."""
    body, settled = call["body"], row["settled"]
    input, cached, output = (settled[name] for name in ("input_tokens", "cached_tokens", "output_tokens"))
    how = (settled["outcome"], settled["known"], row["unreconciled"])
    list_cost = sum(count * price for count, price in zip((input - cached, cached, output), PRICES))
    assert decimal.Decimal(settled["list_cost"]) == list_cost, row
    if not call["left"]:
        assert (how, (input, cached, output)) == (("answered", "reported", False), (INPUT, CACHED, OUTPUT)), row
        return list_cost
    # Nobody knows the input: it is estimated by its bytes.
    prompt = len(json.dumps(body["messages"]))
    assert prompt / 16 <= input <= prompt * 2 and cached == 0, row
    if body["model"] == "stalling":
        assert (how, output) == (("client gone", "counted", False), 1), row
        return list_cost
    most = body.get("max_tokens") or body["max_completion_tokens"]
    assert (how, output) == (("client gone", "bounded", True), most), row
    return decimal.Decimal(0)
