"""`baseload up` in front of the scripted model server, as those see it who operate it: by its commands, its files and its listeners."""

import pathlib
import subprocess
import tempfile
import unittest

import openai
import service
from upstream import Upstream

HERE = pathlib.Path(__file__).resolve().parent
KEY_SECONDS = 30
# What the guides promise of keys and certificates.
PROMISED_SECONDS = 5
BASELOAD = None


class Operated(unittest.TestCase):
    """A fleet, a state directory and a model server of their own for each test."""

    def setUp(self):
        self.upstream = self.enterContext(Upstream())
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="baseload-operator-")))
        self.fleet, self.state = self.folder / "fleet.toml", self.folder / "state"
        self.fleet.write_text((HERE / "fleet.toml").read_text(encoding="utf-8").replace("UPSTREAM", self.upstream.at), encoding="utf-8")

    def up(self, *flags):
        return service.Service(BASELOAD, self.state, ["up", str(self.fleet), *flags])

    def command(self, *arguments, expect=0):
        """What a command on the state directory prints."""
        return service.run(BASELOAD, *arguments, "--state", str(self.state), expect=expect)

    def refused(self, *arguments):
        """What a command that fails says of it."""
        done = subprocess.run([BASELOAD, *arguments], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1, done)
        return done.stderr

    def client(self, up, key=None):
        """A client with a key that is in use."""
        key = key or self.command("key", "create", "operator").strip()
        client = openai.OpenAI(base_url=up.environment["OPENAI_BASE_URL"], api_key=key, max_retries=0, timeout=60)
        service.poll("key in use", KEY_SECONDS, lambda: not is_refused(client))
        return client

    def ask(self, client, model="chatty", **extra):
        """One chat, whole or streamed, with its head."""
        return client.chat.completions.with_raw_response.create(model=model, messages=[{"role": "user", "content": "hi"}], **extra)


def is_refused(client):
    """Whether the gateway doesn't know a client's key."""
    try:
        client.models.list()
    except openai.AuthenticationError:
        return True
    return False
