"""What our Envoy file does, seen through a real Envoy with a scripted service behind it."""

from __future__ import annotations

import http.client
import json

import grpc
import pytest
from tests.proxy.gateway_fakes import Gateway, secret_text
from tests.proxy.scripted_service import Stream, header_dict, streamed

from authz_service.framing.headers import SECRET_HEADERS
from authz_service.proxy.files import write_private
from authz_service.servers.wire import ext_proc_pb2 as proc

pytestmark = pytest.mark.e2e


def test_an_allowed_request_reaches_its_model_and_the_answer_the_caller(gateway: Gateway) -> None:
    status, _, body = gateway.ask(body=b'{"a": 1}')
    assert (status, body) == (200, b'{"answer": 42}')
    assert gateway.model.requests[0].body == b'{"a": 1}'


def test_no_credential_of_the_callers_reaches_the_model_or_ext_proc(gateway: Gateway) -> None:
    gateway.ask(headers=dict.fromkeys(SECRET_HEADERS, "caller-secret"))
    arrived = gateway.model.requests[0]
    assert not [value for _, value in arrived.headers if "caller-secret" in value]
    assert not [m for m in gateway.stub.messages if b"caller-secret" in m.SerializeToString()]


def test_ext_authz_sees_every_credential_as_it_came(gateway: Gateway) -> None:
    gateway.ask(headers=dict.fromkeys(SECRET_HEADERS, "caller-secret"))
    seen = header_dict(gateway.stub.checks[0].attributes.request.http.header_map)
    assert {name for name, value in seen.items() if value == "caller-secret"} >= SECRET_HEADERS


def test_the_models_own_credential_is_put_in_behind_the_service(gateway: Gateway) -> None:
    gateway.ask(headers={"authorization": "Bearer caller"})
    assert gateway.model.requests[0].header("authorization") == ["Bearer model-key"]


def test_a_rotated_credential_is_taken_in_without_a_restart(gateway: Gateway) -> None:
    file = gateway.folder / "credential.yaml"
    for key in ("second-key", "model-key"):
        write_private(file, secret_text(key))
        for _ in range(500):  # Envoy learns of the file by itself; every request asks again
            gateway.ask()
            if gateway.model.requests[-1].header("authorization") == [f"Bearer {key}"]:
                break
        assert gateway.model.requests[-1].header("authorization") == [f"Bearer {key}"]


def test_the_model_sees_its_own_host_and_nothing_that_the_gateway_added(gateway: Gateway) -> None:
    gateway.ask(headers={"x-forwarded-for": "9.9.9.9", "accept-encoding": "gzip"})
    arrived = gateway.model.requests[0]
    assert arrived.header("host") == [f"127.0.0.1:{gateway.model.port}"]
    assert arrived.header("accept-encoding") == ["identity"]
    names = {name.lower() for name, _ in arrived.headers}
    assert names == {"host", "accept-encoding", "authorization", "transfer-encoding"}


def test_the_model_cannot_set_cookies_or_name_its_server(gateway: Gateway) -> None:
    _, headers, _ = gateway.ask()
    assert not headers.keys() & {"set-cookie", "server", "x-envoy-upstream-service-time"}


def test_a_model_header_of_the_callers_chooses_nothing(gateway: Gateway) -> None:
    async def choose_nothing(stream: Stream) -> None:
        _, body = await stream.request()
        await stream.headers(None)
        await stream.write(request_body=streamed(body, end=True))
        await stream.pass_answer()

    gateway.stub.process = choose_nothing
    status, _, body = gateway.ask(headers={"x-authz-model": "m"})
    assert status == 503
    assert json.loads(body)["error"]["code"] == "gateway_unavailable"
    assert gateway.model.requests == []


def test_the_service_sees_no_header_that_only_the_gateway_may_set(gateway: Gateway) -> None:
    gateway.ask(headers={"x-authz-model": "m", "x-authz-session": "s", "x-envoy-retry-on": "5xx"})
    seen = header_dict(gateway.stub.checks[0].attributes.request.http.header_map)
    assert not seen.keys() & {"x-authz-model", "x-authz-session", "x-envoy-retry-on"}


@pytest.mark.parametrize("decision", [None, "deny", "ALLOW"])
def test_a_request_without_the_decision_allow_stops_at_the_lock(
    gateway: Gateway, decision: str | None
) -> None:
    async def undecided(stream: Stream) -> None:
        _, body = await stream.request()
        await stream.headers("m", decision=decision)
        await stream.write(request_body=streamed(body, end=True))
        await stream.pass_answer()

    gateway.stub.process = undecided
    status, _, _ = gateway.ask()
    assert status == 403
    assert gateway.model.requests == []


def test_a_service_that_ends_its_stream_without_a_word_lets_nothing_through(gateway: Gateway) -> None:
    async def leave(stream: Stream) -> None:
        await stream.request()

    gateway.stub.process = leave
    status, _, _ = gateway.ask()
    assert status == 403
    assert gateway.model.requests == []


def test_a_service_that_fails_stops_the_request_with_503_in_the_shape_of_the_api(gateway: Gateway) -> None:
    async def fail(stream: Stream) -> None:
        await stream.request()
        await stream.context.abort(grpc.StatusCode.INTERNAL, "broken")

    gateway.stub.process = fail
    status, headers, body = gateway.ask()
    assert (status, headers["content-type"]) == (503, "application/json")
    assert json.loads(body)["error"]["type"] == "gateway_error"
    assert gateway.model.requests == []


def test_the_service_chooses_path_and_model(gateway: Gateway) -> None:
    async def rewrite(stream: Stream) -> None:
        _, body = await stream.request()
        mutation = proc.HeaderMutation(remove_headers=["x-custom"])
        option = mutation.set_headers.add()
        option.header.key, option.header.raw_value = ":path", b"/v1/chat/completions"
        option.append_action = option.OVERWRITE_IF_EXISTS_OR_ADD
        await stream.release("other", body, mutation=mutation)
        await stream.pass_answer()

    gateway.stub.process = rewrite
    assert gateway.ask("/v1/chat/completions?key=secret", {"x-custom": "x"})[0] == 200
    arrived = gateway.model.requests[0]
    assert arrived.line == "POST /base/v1/chat/completions HTTP/1.1"
    assert not arrived.header("x-custom") + arrived.header("x-authz-model") + arrived.header("authorization")


@pytest.mark.parametrize("name", ["transfer-encoding", "connection", "x-forwarded-proto", "x-envoy-a"])
def test_the_service_cannot_touch_what_frames_and_routes_messages(gateway: Gateway, name: str) -> None:
    async def touch(stream: Stream) -> None:
        _, body = await stream.request()
        mutation = proc.HeaderMutation()
        option = mutation.set_headers.add()
        option.header.key, option.header.raw_value = name, b"1"
        await stream.release("m", body, mutation=mutation)
        await stream.pass_answer()

    gateway.stub.process = touch
    assert gateway.ask()[0] >= 500
    assert gateway.model.requests == []


def test_a_refusal_by_ext_authz_is_shown_to_ext_proc_as_an_answer_without_a_request(gateway: Gateway) -> None:
    gateway.stub.status = 7
    assert gateway.ask()[0] == 403
    assert [message.WhichOneof("request") for message in gateway.stub.messages] == ["response_headers"]


def test_ending_an_answer_early_ends_it_for_the_caller_and_the_model(gateway: Gateway) -> None:
    gateway.model.chunks, gateway.model.ends = [b"data: 1\n\n"], False

    async def cut(stream: Stream) -> None:
        _, body = await stream.request()
        await stream.release("m", body)
        await stream.read()
        await stream.write(response_headers=proc.HeadersResponse())
        await stream.read()
        await stream.write(response_body=streamed(b"data: enough\n\n", end=True))
        assert await stream.read() is None

    gateway.stub.process = cut
    assert gateway.ask()[2] == b"data: enough\n\n"
    assert gateway.model.gone.wait(60)


@pytest.mark.parametrize("how", ["abort", "immediate response"])
def test_an_answer_that_fails_midway_is_cut_and_never_ends_well(gateway: Gateway, how: str) -> None:
    gateway.model.chunks, gateway.model.ends = [b"data: 1\n\n"], False

    async def fail(stream: Stream) -> None:
        _, body = await stream.request()
        await stream.release("m", body)
        await stream.read()
        await stream.write(response_headers=proc.HeadersResponse())
        await stream.read()
        await stream.write(response_body=streamed(b"data: 1\n\n", end=False))
        if how == "abort":
            await stream.context.abort(grpc.StatusCode.INTERNAL, "broken")
        await stream.write(immediate_response=proc.ImmediateResponse(body=b"no more"))

    gateway.stub.process = fail
    with pytest.raises(http.client.IncompleteRead) as raised:
        gateway.ask()
    assert raised.value.partial == b"data: 1\n\n"
    assert gateway.model.gone.wait(60)


def test_an_upgrade_is_refused(gateway: Gateway) -> None:
    status, _, _ = gateway.ask(headers={"connection": "upgrade", "upgrade": "websocket"})
    assert status == 403
    assert gateway.model.requests == []


@pytest.mark.parametrize("path", ["/v1%2fchat/completions", "/v1/%5cchat"])
def test_a_path_with_two_readings_is_refused_before_anybody_is_asked(gateway: Gateway, path: str) -> None:
    assert gateway.ask(path)[0] == 400
    assert gateway.stub.checks == []


def test_the_access_log_has_neither_query_nor_credential_nor_body(gateway: Gateway) -> None:
    body = b'{"text": "b-secret, in a request as long as no other"}'
    gateway.ask("/v1/chat/completions?key=q-secret", {"authorization": "h-secret"}, body)
    line = gateway.logged(body)
    assert line["decision"] == "allow"
    assert line["status"] == 200
    assert "secret" not in json.dumps(line)
