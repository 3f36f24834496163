"""`up --shadow`: requests go where their callers would have gone, and the report says what that costs and why."""

import json
from decimal import Decimal

import operated
import service

# Of an answer: 9 tokens in, 4 of them cached, and 2 out.
DEAR, CHEAP = Decimal("0.0000375"), Decimal("0.000011")
# The model, what its caller says, and where that is.
ASKED = [
    ("chatty", {}, "dear"),
    ("chatty", {"x-baseload-would": "dear"}, "dear"),
    ("chatty", {"x-baseload-would": "cheap"}, "cheap"),
    ("plain", {}, "tokens"),
]


class Shadowed(operated.Operated):
    def test_callers_choose_and_the_report_says_what_would_have_been_saved_and_why(self):
        with self.up("--shadow") as up:
            client = self.client(up)
            answers = [self.ask(client, model, extra_headers=head) for model, head, _ in ASKED]
        self.assertEqual(self.reached(), [there for *_, there in ASKED])
        self.assertEqual([answer.headers["x-baseload-endpoint"] for answer in answers], [there for *_, there in ASKED])
        report = json.loads(self.command("ledger", "shadow", "--json"))
        self.assertEqual((report["requests"], report["agreed"], report["unknown"]), (4, 1, 0))
        self.assertEqual(Decimal(report["list_cost"]), 3 * DEAR + CHEAP)
        moves = {(move["from"], move["to"], move["because"], move["requests"]): Decimal(move["saved"]["total"]) for move in report["moves"]}
        want = {("dear", "cheap", "list price", 2): 2 * (DEAR - CHEAP), ("tokens", "units", "prepaid", 1): DEAR}
        self.assertEqual(moves, want)
        self.assertEqual(Decimal(report["saved"]["total"]), sum(want.values()))
        told = self.command("ledger", "shadow")
        for words in ("1 went where they should", "list price", "prepaid", report["caveat"]):
            self.assertIn(words, told)
        request = answers[0].headers["x-request-id"]
        shown = json.loads(self.command("decision", "show", request, "--json"))
        self.assertEqual((shown["endpoint"], shown["advice"]["endpoint"], shown["attempt"]), ("dear", "cheap", f"{request}#1"))
        self.assertIn("advised   cheap, paid by cheap", self.command("decision", "show", request))
        service.ledger_is_whole(operated.BASELOAD, self.state)

    def test_without_it_requests_go_where_they_are_cheapest(self):
        with self.up() as up:
            client = self.client(up)
            for model, head, _ in ASKED:
                self.ask(client, model, extra_headers=head)
        self.assertEqual(self.reached(), ["cheap", "cheap", "cheap", "units"])
        self.assertIn("no request was decided in shadow mode", self.command("ledger", "shadow"))

    def reached(self):
        """Which endpoints the model server was called as, in order."""
        return [call["path"].split("/")[1] for call in self.upstream.calls()]
