"""What was used, and what is left: by the command, by what callers see of themselves, and by metrics."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.e2e.people import chat, reviewer
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream_answers import whole

LIMITS = """\
limits:
  callers:
    - {{groups: [frugal], requests_per_minute: 5, tokens_per_day: 1000}}
    - {{groups: [small], recorded_bytes_per_day: 1KiB}}
  groups:
    - {{name: juniors, groups: [interns, trainees], requests_per_minute: 3}}
  keys:
    - {{names: [batch], concurrent: 7}}
  models:
    - {{names: [llama], tokens_per_minute: 1000000}}
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    config = CONFIG.replace("limits: {{body: 8MiB, depth: 64}}\n", LIMITS)
    with Stack(tmp_path_factory.mktemp("usage"), config=config) as running:
        yield running


USED = ("requests", "prompt_tokens", "completion_tokens", "tokens")


def spent(stack: Stack, prompt: int, completion: int) -> None:
    """The model says that the next request takes so many tokens."""
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    stack.upstream.answer_with(whole({"object": "chat.completion", "choices": [], "usage": usage}))


def own(stack: Stack, credential: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {credential}"}
    return httpx.get(f"{stack.url}/.well-known/authz/usage", headers=headers, timeout=60)


def limited(stack: Stack, of: str, limit: str) -> float:
    """What the metric of this kind says."""
    page = stack.metrics()
    start = f'authz_limited_total{{limit="{limit}",of="{of}"}} '
    (line,) = [line for line in page.splitlines() if line.startswith(start)]
    return float(line.removeprefix(start))


def test_a_report_tells_requests_and_tokens_apart_as_asked(stack: Stack) -> None:
    for prompt in (10, 20):
        spent(stack, prompt, 5)
        assert stack.post(chat("Hello"), "staff", "frugal", subject="fay").status_code == 200
    found = stack.cli_json("usage", "--caller", "fay", "--by", "model", "--by", "day")
    assert {one["model"] for one in found} == {"llama"}
    sums = Counter[str]()  # of one day, or of two where midnight was in between
    for one in found:
        sums.update({name: one[name] for name in USED})
    assert sums == {"requests": 2, "prompt_tokens": 30, "completion_tokens": 10, "tokens": 40}
    assert sum(one["bytes"] for one in found) > 2 * len("Hello")
    (of_caller,) = stack.cli_json("usage", "--caller", "fay")
    assert (of_caller["subject"], of_caller["requests"], of_caller["held"]) == ("fay", 2, 0)
    groups = {one["group"]: one["requests"] for one in stack.cli_json("usage", "--by", "group")}
    assert groups["frugal"] == 2
    said = stack.cli("usage", "--by", "model").stdout
    assert said.splitlines()[0].split()[:3] == ["MODEL", "REQUESTS", "LIMITED"]
    assert "nothing was used" in stack.cli("usage", "--caller", "nobody").stdout


def test_callers_see_what_they_used_and_what_is_left_and_nobody_elses(stack: Stack) -> None:
    spent(stack, 300, 500)
    assert stack.post(chat("Hello"), "staff", "frugal", "interns", subject="gia").status_code == 200
    answer = own(stack, stack.token("gia", "staff", "frugal", "interns"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    mine = answer.json()
    assert mine["caller"] == {"issuer": "urn:authz:embedded", "subject": "gia"}
    assert (mine["last_24_hours"]["requests"], mine["last_24_hours"]["tokens"]) == (1, 800)
    left = {(one["of"], one["name"], one["limit"]): one["left"] for one in mine["limits"]}
    assert left == {
        ("caller", None, "requests_per_minute"): 4,
        ("caller", None, "tokens_per_day"): 200,
        ("group", "juniors", "requests_per_minute"): 2,
    }
    stranger = own(stack, stack.token("hob", "staff")).json()
    assert (stranger["last_24_hours"]["requests"], stranger["limits"]) == (0, [])
    assert httpx.get(f"{stack.url}/.well-known/authz/usage", timeout=60).status_code == 401


def test_the_members_of_a_group_share_its_budget_and_the_metric_counts_whom_it_refuses(stack: Stack) -> None:
    before = limited(stack, "group", "requests_per_minute")
    statuses = []
    for subject, group in (("ivo", "interns"), ("jan", "trainees"), ("kim", "interns"), ("lea", "trainees")):
        answer = stack.post(chat("Hello"), "staff", group, subject=subject)
        statuses.append(answer.status_code)
    assert statuses[-1] == 429
    error = answer.json()["error"]
    assert (error["limit_of"], error["limit"]) == ("group", "requests_per_minute")
    assert "the members of your group may have together" in error["message"]
    assert answer.headers["x-ratelimit-limit-requests"] == "3"
    assert limited(stack, "group", "requests_per_minute") == before + statuses.count(429)
    page = stack.metrics()
    assert not [name for name in ("ivo", "juniors", "llama") if name in page]


def test_recorded_bytes_are_limited_by_what_bodies_have(stack: Stack) -> None:
    first = stack.post(chat("x" * 600), "staff", "small", subject="mia")
    assert first.status_code == 200
    second = stack.post(chat("x" * 600), "staff", "small", subject="mia")
    assert (second.status_code, second.json()["error"]["limit"]) == (429, "recorded_bytes_per_day")
    assert int(second.headers["retry-after"]) > 86_000
    huge = stack.post(chat("x" * 2000), "staff", "small", subject="noa")
    assert huge.json()["error"]["code"] == "request_above_limit"


def test_what_is_left_is_listed_for_callers_groups_keys_and_models(stack: Stack) -> None:
    words = ("--owner", "olga", "--group", "staff", "--model", "llama", "--tokens-per-day", "500")
    key = stack.cli_json("key", "create", "--name", "batch", *words)
    client = stack.sdk(api_key=key["secret"], max_retries=0)
    said: Any = [{"role": "user", "content": "Hello"}]
    spent(stack, 10, 2)
    assert client.chat.completions.create(model="llama", messages=said)
    every = stack.cli_json("usage", "--left")
    told = {(one["of"], one["name"], one["limit"]) for one in every}
    assert ("model", "llama", "tokens_per_minute") in told
    assert ("group", "juniors", "requests_per_minute") in told
    assert ("key", "batch", "concurrent") in told
    of_key = {one["limit"]: one for one in stack.cli_json("usage", "--left", "--key", "batch")}
    assert (of_key["tokens_per_day"]["used"], of_key["tokens_per_day"]["left"]) == (12, 488)
    assert of_key["concurrent"]["used"] == 0
    (mine,) = [one for one in own(stack, key["secret"]).json()["limits"] if one["limit"] == "tokens_per_day"]
    assert (mine["of"], mine["name"], mine["left"]) == ("key", key["id"], 488)
    assert stack.cli("usage", "--left").stdout.splitlines()[0].split() == [
        *("OF", "NAME", "LIMIT", "MOST", "USED", "LEFT", "ROOM", "IN")
    ]
    used = {one["key"]: one["tokens"] for one in stack.cli_json("usage", "--by", "key")}
    assert used == {key["id"]: 12}


def test_reviewers_read_nothing_of_what_others_use(stack: Stack) -> None:
    for arguments in (("usage",), ("usage", "--left")):
        refused = stack.cli(*arguments, check=5, token=reviewer(stack, "rita"))
        assert "only auditors and operators" in refused.stderr
    wrong = stack.cli("usage", "--left", "--since", "7d", check=2)
    assert "--since means nothing with --left" in wrong.stderr


def test_the_record_verifies_with_all_of_it(stack: Stack) -> None:
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def test_who_asks_again_before_the_answer_is_there_is_told_to_wait(stack: Stack) -> None:
    mona, deadline = stack.token("mona", "staff"), time.monotonic() + 60
    with ThreadPoolExecutor(16) as crowd:
        while True:
            answers = list(crowd.map(lambda _: own(stack, mona), range(32)))
            refused = [answer for answer in answers if answer.status_code == 429]
            if refused:
                break
            assert time.monotonic() < deadline
    assert {answer.status_code for answer in answers} <= {200, 429}
    assert {answer.json()["error"]["code"] for answer in refused} == {"already_asked"}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert own(stack, mona).status_code == 200
