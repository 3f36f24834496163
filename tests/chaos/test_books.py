#!/usr/bin/env python3
"""What the chaos tests' checks must find, by the checkers that they call: each planted beside books that are right."""

import copy
import sys
import unittest

import books
import scripted
from faults import USAGE, Call
from misbehave import called

REQUEST = f"req_{7:032x}"


def call(endpoint, tokens, whole):
    """A call, all of whose tokens were generated."""
    call = scripted.Call(endpoint, REQUEST, "whole" if whole else "drop", tokens)
    call.streamed, call.generated, call.whole = True, tokens[1], whole
    return call


def row(attempt, endpoint, outcome, known, tokens):
    """A row of the ledger."""
    settled = {"outcome": outcome, "known": known, "input_tokens": tokens[0], "cached_tokens": 0, "output_tokens": tokens[1]}
    settled["list_cost"] = "3.00"
    return {"request": REQUEST, "attempt": attempt, "key": 1, "endpoint": endpoint, "decided": "2026-11-22T10:00:00Z", "settled": settled}


def told(endpoint, tokens):
    """An answer as its client got it, to its end."""
    answer = scripted.Answer(200, REQUEST)
    answer.endpoint, answer.tokens, answer.events, answer.whole = endpoint, tokens, tokens[1], True
    return answer


ROWS = [row(1, "east", "failed", "bounded", (9, 12)), row(2, "west", "answered", "reported", (7, 3))]
CALLS = [call("east", (5, 2), False), call("west", (7, 3), True)]
TOLD = [told("west", (7, 3))]


class Planted(unittest.TestCase):
    def check(self, rows, untold=0):
        books.check(rows, map(books.called, CALLS), map(books.told, TOLD), untold)

    def find(self, words, change):
        rows = copy.deepcopy(ROWS)
        change(rows)
        with self.assertRaisesRegex(books.Finding, words):
            self.check(rows)

    def test_what_is_right_passes(self):
        self.check(ROWS)

    def test_what_is_planted_among_attempts_is_found(self):
        self.find("I2: .* booked twice", lambda rows: rows.append(copy.deepcopy(rows[1])))
        self.find("I2: .* no attempt is booked", lambda rows: rows.pop(0))
        self.find("I2: .* answered twice", lambda rows: rows[0]["settled"].update(outcome="answered"))
        self.find("I3: .* other tokens than its upstream reported", lambda rows: rows[1]["settled"].update(output_tokens=4))
        self.find("I3: .* bounded below", lambda rows: rows[0]["settled"].update(output_tokens=1))
        self.find("I13: .* never settled", lambda rows: rows[0].update(settled=None))
        self.find("I14: .* answered to the end", lambda rows: rows[1]["settled"].update(outcome="cut"))
        self.find("no outcome", lambda rows: rows[1]["settled"].update(outcome="somehow"))

    def test_time_that_is_held_twice_is_found(self):
        east, west = ("east", 5, 9), ("west", 7, 8)
        books.check([], [], [], held=[east, ("east", 9, 11), west])
        with self.assertRaisesRegex(books.Finding, "I9: .* held twice"):
            books.check([], [], [], held=[east, west, ("east", 8, 11)])

    def test_time_that_nobody_holds_is_found(self):
        held = [("east", 5_000, 9_000), ("west", 7_000, 8_000), ("east", 12_000, 13_000)]
        books.check([], [], [], held=held, left_out=3)
        with self.assertRaisesRegex(books.Finding, "I9: .* held by nobody for 3ms"):
            books.check([], [], [], held=held, left_out=2)

    def test_a_passed_budget_is_found(self):
        for key, budget, beyond, is_within in [(1, 6, 0, True), (1, 5, 1, True), (1, 5, "0.5", False), (2, 1, 0, True)]:
            held = lambda: books.check(ROWS, map(books.called, CALLS), map(books.told, TOLD), budget=books.bounded(key, f"{budget} USD/year", beyond))
            if is_within:
                held()
            else:
                with self.assertRaisesRegex(books.Finding, "I7: .* spent 6.00 of 5.00 USD/year"):
                    held()

    def test_an_end_that_no_disk_took_is_allowed_so_often(self):
        rows = copy.deepcopy(ROWS)
        rows[1]["settled"].update(outcome="interrupted", known="bounded", output_tokens=12)
        self.check(rows, untold=1)
        with self.assertRaisesRegex(books.Finding, "I14"):
            self.check(rows)

    def test_what_an_upstream_tells_of_itself_is_believed_and_nothing_else(self):
        lies = Call("west", True)
        lies.generated, lies.told = 5, [(USAGE["prompt_tokens"], 5), (9, 3)]
        for tokens, is_right in [((7, 5), True), ((9, 3), True), ((9, 5), False), ((7, 3), False)]:
            rows = [row(1, "west", "answered", "reported", tokens)]
            calls = [called(REQUEST, lies, rows[0]["settled"])]
            if is_right:
                books.check(rows, calls, [])
            else:
                with self.assertRaisesRegex(books.Finding, "I3"):
                    books.check(rows, calls, [])


def main():
    """Runs them, and prints how many held."""
    ran = unittest.TextTestRunner(stream=sys.stdout).run(unittest.TestLoader().loadTestsFromTestCase(Planted))
    wrong = len(ran.failures) + len(ran.errors)
    print(f"books: {ran.testsRun - wrong} passed, {wrong} failed", flush=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
