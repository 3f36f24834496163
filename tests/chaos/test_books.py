#!/usr/bin/env python3
"""What the checks of the chaos tests must find: each planted beside books that are right."""

import copy
import sys
import unittest

import scripted
from books import Finding, check_answer, check_request
from faults import USAGE, Call
from misbehave import is_booked_right


def call(endpoint, tokens):
    """A call that ended well."""
    return scripted.Call(endpoint, "r", "whole", tokens)


def row(attempt, endpoint, outcome, known, tokens):
    """A row of the ledger."""
    settled = {"outcome": outcome, "known": known, "input_tokens": tokens[0], "output_tokens": tokens[1]}
    return {"request": "r", "attempt": attempt, "endpoint": endpoint, "settled": settled}


def told(tokens, events=0, whole=True):
    """An answer as its client got it."""
    answer = scripted.Answer(200, "r")
    answer.tokens, answer.events, answer.whole = tokens, events, whole
    return answer


CALLS = [call("east", (5, 2)), call("west", (7, 3))]
ROWS = [row(1, "east", "failed", "bounded", (9, 12)), row(2, "west", "answered", "reported", (7, 3))]


class Planted(unittest.TestCase):
    def test_what_is_right_passes(self):
        check_request(ROWS, CALLS)
        check_answer(told((7, 3)), ROWS)
        check_answer(told(None, events=2, whole=False), ROWS)

    def plant(self, change, words):
        rows = copy.deepcopy(ROWS)
        change(rows)
        with self.assertRaisesRegex(Finding, words):
            check_request(rows, CALLS)

    def test_what_is_planted_among_attempts_is_found(self):
        self.plant(lambda rows: rows.append(copy.deepcopy(rows[1])), "an attempt twice")
        self.plant(lambda rows: rows[0].update(settled=None), "is open")
        self.plant(lambda rows: rows.pop(0), "called east 1 times, and 0 are")
        self.plant(lambda rows: rows[1]["settled"].update(output_tokens=4), "never told")
        self.plant(lambda rows: rows[0]["settled"].update(outcome="answered"), "answered twice")

    def test_what_is_planted_beside_an_answer_is_found(self):
        for answer, rows in [(told((7, 4)), ROWS), (told((7, 3)), []), (told((7, 3)), ROWS[:1]), (told(None, events=13, whole=False), ROWS)]:
            with self.assertRaises(Finding):
                check_answer(answer, rows)

    def test_what_is_planted_among_the_tokens_of_calls_is_found(self):
        prompt, taken = USAGE["prompt_tokens"], USAGE["completion_tokens"]
        told, untold, none = Call("east", streamed=True), Call("east", streamed=True), None
        told.generated, told.told, untold.generated = taken, [(prompt, taken)], 9
        right = [
            (told, "answered", "reported", (prompt, taken)),
            (told, "client gone", "counted", (8, 2)),
            (untold, "answered", "counted", (8, 9)),
            (untold, "cut", "counted", (8, 3)),
            (untold, "failed", "bounded", (8, 9)),
            (none, "failed", "counted", (0, 0)),
            (none, "client gone", "bounded", (8, 9)),
        ]
        wrong = [
            (told, "answered", "reported", (prompt, taken + 1)),
            (told, "answered", "counted", (prompt, taken)),
            (untold, "answered", "counted", (8, 8)),
            (untold, "cut", "counted", (8, 1)),
            (untold, "cut", "counted", (8, 10)),
            (untold, "failed", "bounded", (8, 8)),
            (untold, "failed", "bounded", (prompt - 1, 9)),
            (none, "answered", "counted", (0, 0)),
            (none, "failed", "bounded", (8, 9)),
            (none, "client gone", "reported", (8, 9)),
        ]
        for cases, wanted in ((right, True), (wrong, False)):
            for call, *booked in cases:
                self.assertEqual(is_booked_right(row(1, "east", *booked)["settled"], call, delivered=2), wanted, booked)


if __name__ == "__main__":
    result = unittest.main(exit=False).result
    failed = len(result.failures) + len(result.errors)
    print(f"books: {result.testsRun - failed} passed, {failed} failed", flush=True)
    sys.exit(bool(failed))
