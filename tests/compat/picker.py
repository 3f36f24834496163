"""A picker in llm-d's place: a service of Envoy's external processing that names the server for each request, and refuses when it is told to.

It speaks the endpoint picker protocol as llm-d's own does: it hears the head and the whole body before it says where the request goes, and answers
pass through it piece by piece. It picks in turn, where llm-d's goes by caches and queues.
"""

import collections
import concurrent.futures
import itertools
import json

import grpc
from envoy.config.core.v3 import base_pb2 as base
from envoy.service.ext_proc.v3 import external_processor_pb2 as wire
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as service

DESTINATION = "x-gateway-destination-endpoint"
DROPPED = "x-llm-d-request-dropped-reason"

# How it refuses: by which status, for which reason, in which text (JSON where there is none), and whether only after a server has begun to answer.
Refusal = collections.namedtuple("Refusal", "status reason text late", defaults=[None, None, False])


class Picker(service.ExternalProcessorServicer):
    """Sends requests to `pods`, which are ports of this machine, in turn; `heard` has their heads, and `picked` where they went."""

    def __init__(self):
        self.pods, self.heard, self.picked, self.refusal = [], [], [], None
        self.turns = itertools.count()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
        service.add_ExternalProcessorServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def stop(self):
        """Ends it: Envoy finds nobody then."""
        self.server.stop(None).wait()

    def Process(self, steps, _):
        """One request, from its head to the end of its answer."""
        body = b""
        for step in steps:
            kind = step.WhichOneof("request")
            part = getattr(step, kind)
            if kind == "request_headers":
                self.heard.append({field.key: field.raw_value.decode() for field in part.headers.headers})
                if part.end_of_stream:
                    yield self.word()
            elif kind == "request_body":
                body += part.body
                if part.end_of_stream:
                    yield self.word()
                    yield wire.ProcessingResponse(request_body=passed_on(body, True))
            elif kind == "response_headers":
                yield self.refused() if self.refuses(True) else wire.ProcessingResponse(response_headers=wire.HeadersResponse())
            elif kind == "response_body":
                yield wire.ProcessingResponse(response_body=passed_on(part.body, part.end_of_stream))
            else:
                yield wire.ProcessingResponse(**{kind: wire.TrailersResponse()})

    def refuses(self, late):
        """Whether it was told to refuse at this point."""
        return self.refusal is not None and self.refusal.late == late

    def word(self):
        """Where a request goes, as a header and as metadata; or that it goes nowhere."""
        if self.refuses(False):
            return self.refused()
        port = self.pods[next(self.turns) % len(self.pods)]
        self.picked.append(port)
        answer = wire.ProcessingResponse()
        says = answer.request_headers.response
        says.clear_route_cache = True
        says.header_mutation.set_headers.add(header=field(DESTINATION, f"127.0.0.1:{port}"))
        answer.dynamic_metadata.update({"envoy.lb": {DESTINATION: f"127.0.0.1:{port}"}})
        return answer

    def refused(self):
        """An answer of its own in place of a server's."""
        status, reason, text, _ = self.refusal
        answer = wire.ProcessingResponse()
        says = answer.immediate_response
        says.status.code = status
        says.body = (text or json.dumps({"error": {"message": "as told", "type": "rate_limit_error", "code": status}})).encode()
        if reason:
            says.headers.set_headers.add(header=field(DROPPED, reason))
        if not text:
            says.headers.set_headers.add(header=field("content-type", "application/json"))
        return answer


def field(name, value):
    """A header field."""
    return base.HeaderValue(key=name, raw_value=value.encode())


def passed_on(body, last):
    """A piece of a body that goes on as it came."""
    piece = wire.BodyResponse()
    piece.response.body_mutation.streamed_response.body = body
    piece.response.body_mutation.streamed_response.end_of_stream = last
    return piece
