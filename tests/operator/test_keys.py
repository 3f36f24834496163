"""A key that is revoked while it is in use."""

import time

import operated
import service


class Revoked(operated.Operated):
    def test_a_revoked_key_is_refused_within_5_seconds_and_what_it_began_ends_well(self):
        with self.up() as up:
            client = self.client(up)
            self.assertEqual(self.ask(client).parse().choices[0].message.content, "scripted answer")
            begun = self.ask(client, "paused", stream=True)
            events = iter(begun.parse())
            text = next(filter(None, map(piece, events)))
            self.command("key", "revoke", "operator")
            revoked = time.monotonic()
            service.poll("refusal", operated.PROMISED_SECONDS, lambda: operated.is_refused(client))
            self.assertLess(time.monotonic() - revoked, operated.PROMISED_SECONDS)
            self.upstream.release(1)
            self.assertEqual(text + "".join(map(piece, events)), "scripted answer")
        (row,) = service.attempts(operated.BASELOAD, self.state)[begun.headers["x-request-id"]]
        self.assertEqual((row["settled"]["outcome"], row["settled"]["known"]), ("answered", "reported"))


def piece(event):
    """The text of an event."""
    return event.choices[0].delta.content or ""
