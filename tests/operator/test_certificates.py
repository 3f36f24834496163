"""Calls by TLS, checked by a client that has nothing to do with our own TLS, over a change of certificates."""

import datetime
import http.client
import ipaddress
import json
import ssl

import operated
import service
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

BODY = json.dumps({"model": "chatty", "messages": [{"role": "user", "content": "hi"}]})


class Certificates(operated.Operated):
    def setUp(self):
        super().setUp()
        self.chain, self.secret = self.folder / "chain.pem", self.folder / "key.pem"
        self.secret.touch(mode=0o600)

    def test_a_call_is_served_by_tls_and_a_new_certificate_is_shown_within_5_seconds(self):
        first = self.install()
        self.key = self.command("key", "create", "tls").strip()
        with self.up("--tls-cert", str(self.chain), "--tls-key", str(self.secret), "--admin", "127.0.0.1:0") as up:
            self.host = up.environment["OPENAI_BASE_URL"].removeprefix("https://").removesuffix("/v1")
            kept = self.connect(first)
            self.assertEqual(self.chat(kept), "scripted answer")
            with self.assertRaises(ssl.SSLCertVerificationError):
                self.chat(self.connect(ssl.create_default_context()))
            self.chain.write_text("no certificate", encoding="utf-8")
            up.until("word of the bad certificate", operated.PROMISED_SECONDS, lambda: "keep the old certificate" in "\n".join(up.lines))
            self.assertTrue(self.is_trusted(first))
            self.assertEqual(self.chat(kept), "scripted answer")
            second = self.install()
            service.poll("new certificate", operated.PROMISED_SECONDS, lambda: self.is_trusted(second))
            self.assertEqual(self.chat(self.connect(second)), "scripted answer")
            self.assertFalse(self.is_trusted(first))
            self.assertEqual(self.chat(kept), "scripted answer", "a connection outlives the certificate that it began with")
        self.assertEqual(len(self.upstream.calls()), 4, "who did not trust the certificate sent nothing")

    def install(self):
        """Puts a new certificate where the service looks, and gives what trusts it and no other."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "baseload")])
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        build = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        build = build.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        pem = build.add_extension(here, critical=False).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.chain.write_bytes(pem)
        self.secret.write_bytes(secret)
        return ssl.create_default_context(cadata=pem.decode())

    def connect(self, trust):
        return http.client.HTTPSConnection(self.host, context=trust, timeout=30)

    def chat(self, connection):
        head = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", BODY, head)
        answer = connection.getresponse()
        body = json.load(answer)
        self.assertEqual(answer.status, 200, body)
        return body["choices"][0]["message"]["content"]

    def is_trusted(self, trust):
        """Whether a client that trusts so much would call."""
        connection = self.connect(trust)
        try:
            connection.connect()
        except ssl.SSLCertVerificationError:
            return False
        connection.close()
        return True
