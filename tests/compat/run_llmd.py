#!/usr/bin/env python3
"""llm-d's way to its servers behind Baseload, and Baseload as one of them: run_llmd.py BASELOAD BENCH_UPSTREAM ENVOY.

Envoy is the real one, set up as llm-d sets it up: it asks a picker (ext_proc, FULL_DUPLEX_STREAMED) and goes where that says (ORIGINAL_DST by
header). The picker is ours (picker.py): llm-d's own is a Go program that no registry of packages has, and was not run. So what is checked is the
path of a request and of every refusal on it, and not how well llm-d picks.
"""

import concurrent.futures
import contextlib
import json
import pathlib
import socket
import sys
import tempfile

import picker
import stage

FLEET = """format = 1
name = "llm-d"
currency = "USD"
[parties.p]
roles = ["supplier"]
[teams.research]
[models.m]
parameters = "1 B"
context = 100000
[models.alone]
parameters = "1 B"
context = 100000
[models.hurried]
parameters = "1 B"
context = 100000
[endpoints.pool]
model = "m"
url = "http://127.0.0.1:{envoy}/v1"
upstream_model = "m-d5"
picker = "llm-d"
[endpoints.elsewhere]
model = "m"
url = "http://127.0.0.1:{elsewhere}/v1"
[endpoints.alone]
model = "alone"
url = "http://127.0.0.1:{envoy}/v1"
picker = "llm-d"
[endpoints.hurried]
model = "hurried"
url = "http://127.0.0.1:{hurried}/v1"
picker = "llm-d"
[contracts.own]
party = "p"
preset = "on-demand"
endpoints = ["pool", "alone", "hurried"]
input = "1 USD/1M tokens"
output = "2 USD/1M tokens"
start = 2026-01-01
end = 2036-01-01
[contracts.dear]
party = "p"
preset = "on-demand"
endpoints = ["elsewhere"]
input = "100 USD/1M tokens"
output = "200 USD/1M tokens"
start = 2026-01-01
end = 2036-01-01
"""
TYPES = "type.googleapis.com/envoy.extensions"
FILTERS = f"{TYPES}.filters"


def listener(port, route_timeout):
    """A port of Envoy's, where each request is first shown to the picker."""
    modes = {f"{side}_{part}_mode": "SEND" for side in ("request", "response") for part in ("header", "trailer")}
    modes |= {f"{side}_body_mode": "FULL_DUPLEX_STREAMED" for side in ("request", "response")}
    shown = {
        "@type": f"{FILTERS}.http.ext_proc.v3.ExternalProcessor", "processing_mode": modes, "message_timeout": "60s",
        "grpc_service": {"envoy_grpc": {"cluster_name": "picker", "authority": "picker"}, "timeout": "10s"},
    }
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "llm-d",
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "pods", "timeout": route_timeout}}]}
            ]
        },
        "http_filters": [
            {"name": "envoy.filters.http.ext_proc", "typed_config": shown},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"}},
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": f"on-{port}", "address": address(port), "filter_chains": [chain]}


def address(port):
    """A port of this machine."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def bootstrap(admin, listeners, picks):
    """Envoy's whole configuration."""
    http2 = {"@type": f"{TYPES}.upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {"http2_protocol_options": {}}}
    asks = {
        "name": "picker", "type": "STATIC", "connect_timeout": "5s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "load_assignment": {"cluster_name": "picker", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(picks)}}]}]},
    }
    pods = {
        "name": "pods", "type": "ORIGINAL_DST", "connect_timeout": "5s", "lb_policy": "CLUSTER_PROVIDED",
        "original_dst_lb_config": {"use_http_header": True, "http_header_name": picker.DESTINATION},
    }
    return {"admin": {"address": address(admin)}, "static_resources": {"listeners": listeners, "clusters": [asks, pods]}}


class World(stage.Stage):
    """Envoy with its picker before two servers, Baseload before them with another way to go, and keys of it."""

    def __init__(self, folder, baseload, upstream, envoy):
        super().__init__(folder, baseload, upstream)
        self.envoy, self.picker = envoy, picker.Picker()
        self.stack.callback(self.picker.stop)
        self.threads = self.stack.enter_context(concurrent.futures.ThreadPoolExecutor(1))

    def begin(self):
        """Starts all of it."""
        admin, self.front, hurried = (stage.free_port() for _ in range(3))
        config = self.folder / "envoy.json"
        config.write_text(json.dumps(bootstrap(admin, [listener(self.front, "600s"), listener(hurried, "1s")], self.picker.port)))
        self.start(admin, "/ready", self.envoy, "--config-path", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warn")
        self.pods = self.picker.pods = [self.model(), self.model()]
        self.gate = self.gateway(FLEET.format(envoy=self.front, hurried=hurried, elsewhere=self.model()))
        self.team_key = self.key(self.gate.port, self.gate.state, "--team", "research")

    def chat(self, streamed=False, key=None, **more):
        """A chat with Baseload."""
        return stage.chat(self.gate.port, key or self.gate.key, streamed, **more)

    def attempts(self, said):
        """How the attempts of a request ended, by endpoint: the outcome, what is known of its tokens, and these."""
        wanted, last = said.head["x-request-id"], said.head.get("x-baseload-endpoint")
        for _ in range(100):
            rows = [row for row in self.settled(self.gate.state) if row["request"] == wanted]
            if rows and last in [None, *(row["endpoint"] for row in rows)]:
                break
            stage.PAUSE.wait(0.1)
        return {row["endpoint"]: (row["settled"]["outcome"], row["settled"]["known"], stage.tokens(row)) for row in rows}

    @contextlib.contextmanager
    def refusing(self, *how):
        """The picker refuses."""
        self.picker.refusal = picker.Refusal(*how)
        yield
        self.picker.refusal = None

    @contextlib.contextmanager
    def picking(self, *ports):
        """The picker names these servers instead."""
        self.picker.pods = list(ports)
        yield
        self.picker.pods = self.pods

    def back(self):
        """Waits until requests go to the picker's servers again: a breaker may keep them away for some seconds."""
        for _ in range(300):
            if went(self.chat()) == "pool":
                return
            stage.PAUSE.wait(0.1)
        raise AssertionError("the pool never came back")


def went(said):
    """The endpoint that answered."""
    assert said.status == 200, said
    return said.head["x-baseload-endpoint"]


def refused(said, *want):
    """An error in OpenAI's envelope, with when to come back."""
    error = json.loads(said.text)["error"]
    assert sorted(error) == ["code", "message", "param", "type"], error
    assert (said.status, error["code"]) == want and float(said.head["retry-after"]) >= 1, said


def chats_pass_and_are_metered(world):
    for streamed, tokens in [(False, stage.WHOLE), (True, stage.STREAMED)]:
        said = world.chat(streamed)
        assert (went(said), said.tokens) == ("pool", tokens), said
        assert world.attempts(said) == {"pool": ("answered", "reported", tokens)}, world.attempts(said)


def both_servers_get_some(world):
    world.picker.picked.clear()
    for _ in range(4):
        assert went(world.chat()) == "pool"
    assert set(world.picker.picked) == set(world.pods), world.picker.picked


def the_picker_hears_whose_and_of_which_tier(world):
    mine = {"x-llm-d-inference-objective": "mine", "x-gateway-inference-fairness-id": "mine", picker.DESTINATION: "127.0.0.1:9"}
    for key, tier, whose in [(world.team_key, "priority", "research"), (world.gate.key, "flex", "key#1")]:
        assert went(world.chat(key=key, head=mine, service_tier=tier)) == "pool"
        heard = world.picker.heard[-1]
        names = [f"{vendor}-inference-{what}" for what in ("objective", "fairness-id") for vendor in ("x-llm-d", "x-gateway")]
        assert [heard.get(name) for name in names] == [tier, tier, whose, whose], heard
        assert "mine" not in heard.values() and picker.DESTINATION not in heard, heard


def what_the_picker_sheds_is_answered_elsewhere(world):
    for how in [(429, "rejected-saturated"), (503, "rejected-ttl-expired"), (429, None, "inference error: ResourceExhausted - told to")]:
        with world.refusing(*how):
            said = world.chat(True)
            assert went(said) == "elsewhere"
            assert world.attempts(said)["pool"] == ("failed", "counted", (0, 0)), world.attempts(said)
            refused(world.chat(model="alone"), 503, "no_capacity")
        assert went(world.chat()) == "pool", "it was back-pressure, so it is as good as ever"


def what_the_picker_evicts_is_answered_elsewhere_and_bounded(world):
    with world.refusing(429, "evicted", None, True):
        said = world.chat()
    assert went(said) == "elsewhere"
    outcome, known, (given, taken) = world.attempts(said)["pool"]
    assert (outcome, known) == ("failed", "bounded") and given > 0 and taken == 50, world.attempts(said)
    assert went(world.chat()) == "pool"


def a_server_that_is_gone_is_not_the_end(world):
    with world.picking(stage.free_port()):
        said = world.chat()
        assert went(said) == "elsewhere" and world.attempts(said)["pool"] == ("failed", "counted", (0, 0)), world.attempts(said)
    with world.picking("nowhere"):
        said = world.chat()
        assert went(said) == "elsewhere" and world.attempts(said)["pool"] == ("failed", "counted", (0, 0)), world.attempts(said)
        refused(world.chat(model="alone"), 503, "no_capacity")
    world.back()


def a_server_that_dies_in_a_stream_ends_it_with_an_error(world):
    doomed = world.model()
    with world.picking(doomed), stage.ask(world.gate.port, world.gate.key, True, max_tokens=10_000) as answer:
        lines = [answer.readline()]
        while b"word" not in lines[-1]:
            lines.append(answer.readline())
        world.kill(doomed)
        told = stage.events((b"".join(lines) + answer.read()).decode())
    assert json.loads(told[-1])["error"]["code"] == "upstream_lost", told[-1]
    words = sum("word" in event for event in told)
    said = stage.Said(200, answer.headers, "", None)
    outcome, known, (_, taken) = world.attempts(said)["pool"]
    assert (outcome, known) == ("cut", "counted") and taken == words > 0, (world.attempts(said), words)
    world.back()


def a_server_that_dies_before_it_answers_is_bounded(world):
    with socket.create_server(("127.0.0.1", 0)) as server, world.picking(server.getsockname()[1]):
        server.settimeout(30)
        asked = world.threads.submit(world.chat)
        with server.accept()[0] as taken:
            taken.recv(65_536)
        said = asked.result()
    assert went(said) == "elsewhere" and world.attempts(said)["pool"][:2] == ("failed", "bounded"), world.attempts(said)
    world.back()


def a_server_that_is_silent_is_given_up_by_envoy_and_bounded(world):
    with socket.create_server(("127.0.0.1", 0)) as server, world.picking(server.getsockname()[1]):
        said = world.chat(model="hurried")
    refused(said, 503, "no_capacity")
    assert world.attempts(said)["hurried"][:2] == ("failed", "bounded"), world.attempts(said)


def ours_is_a_server_like_any(world):
    inner = world.behind(world.pods[0])
    with world.picking(inner.port):
        stage.check("ours as llm-d's server", world, world.front, inner.key, inner.state)


def without_its_picker_envoy_refuses_and_another_answers(world):
    world.picker.stop()
    said = world.chat()
    assert went(said) == "elsewhere" and world.attempts(said)["pool"] == ("failed", "counted", (0, 0)), world.attempts(said)
    refused(world.chat(model="alone"), 503, "no_capacity")


CASES = [
    chats_pass_and_are_metered,
    both_servers_get_some,
    the_picker_hears_whose_and_of_which_tier,
    what_the_picker_sheds_is_answered_elsewhere,
    what_the_picker_evicts_is_answered_elsewhere_and_bounded,
    a_server_that_is_gone_is_not_the_end,
    a_server_that_dies_in_a_stream_ends_it_with_an_error,
    a_server_that_dies_before_it_answers_is_bounded,
    a_server_that_is_silent_is_given_up_by_envoy_and_bounded,
    ours_is_a_server_like_any,
    without_its_picker_envoy_refuses_and_another_answers,
]


def main():
    """Every case in turn; the first that does not hold ends it."""
    programs = [pathlib.Path(arg).resolve() for arg in sys.argv[1:4]]
    with tempfile.TemporaryDirectory(prefix="baseload-llmd-") as folder:
        world = World(pathlib.Path(folder), *programs)
        with world.stack:
            world.begin()
            for case in CASES:
                case(world)
                print(f"llm-d: {case.__name__.replace('_', ' ')}", flush=True)
    print(f"llm-d: {len(CASES)} passed, 0 failed")


if __name__ == "__main__":
    main()
