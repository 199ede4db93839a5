"""Groups from Microsoft Graph and Google, in pages, with tokens that end, and only from their servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.identity.stand_in import Google, Graph, Reply, StandIn, standing_in

from authz_service.config.identity_values import EntraDirectory, GoogleDirectory
from authz_service.errors import Misconfigured
from authz_service.identity.directory import Directory, UnknownMember, Unusable
from authz_service.identity.download import NotServed
from authz_service.identity.entra import EntraGroups
from authz_service.identity.google import GoogleGroups

Scene = Callable[[StandIn, Directory], Awaitable[None]]


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def private(path: Path, content: str) -> Path:
    path.write_text(content)
    path.chmod(0o600)
    return path


def play_graph(tmp_path: Path, scene: Scene) -> None:
    async def run() -> None:
        graph = Graph()
        async with standing_in(graph), httpx.AsyncClient(trust_env=False) as client:
            secret = private(tmp_path / "graph.secret", "s3cret\n")
            settings = EntraDirectory("our-tenant", "our-app", secret, login=graph.url, api=graph.url)
            await scene(graph, EntraGroups(client, settings))

    asyncio.run(run())


def play_google(tmp_path: Path, key: rsa.RSAPrivateKey, scene: Scene) -> None:
    async def run() -> None:
        google = Google(public_key=key.public_key())
        async with standing_in(google), httpx.AsyncClient(trust_env=False) as client:
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            account = {
                "client_email": "us@project.example",
                "private_key_id": "k1",
                "private_key": pem.decode(),
            }
            account["token_uri"] = f"{google.url}/token"
            file = private(tmp_path / "google.json", json.dumps(account))
            await scene(google, GoogleGroups(client, GoogleDirectory(file, "admin@example.com", google.url)))

    asyncio.run(run())


@pytest.fixture(params=["graph", "google"])
def play(request: pytest.FixtureRequest, tmp_path: Path, key: rsa.RSAPrivateKey) -> Callable[[Scene], None]:
    """Runs a scene with one of the directories, and the client of it."""
    if request.param == "graph":
        return lambda scene: play_graph(tmp_path, scene)
    return lambda scene: play_google(tmp_path, key, scene)


def test_all_pages_of_groups_are_read(play: Callable[[Scene], None]) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        names = [f"group-{n}" for n in range(1, 181)]
        directory.members, directory.page_size = {"alice": names, "nobody": []}, 40
        assert await groups.groups_of("alice") == tuple(names)
        assert len([r for r in directory.asked if r.query.get("userKey", "alice") == "alice"]) == 5
        assert await groups.groups_of("nobody") == ()
        assert len(directory.logins) == 1

    play(scene)


def test_the_name_of_a_person_is_no_path_and_no_query(play: Callable[[Scene], None]) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        name = "../groups?x=1&y/#z %2F+"
        directory.members = {name: ["a"]}
        assert await groups.groups_of(name) == ("a",)

    play(scene)


def test_whom_the_directory_does_not_know_is_told_from_a_failure(play: Callable[[Scene], None]) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        with pytest.raises(UnknownMember):
            await groups.groups_of("mallory")
        directory.members, directory.fail = {"alice": ["a"]}, [Reply({}, 503)]
        with pytest.raises(NotServed) as caught:
            await groups.groups_of("alice")
        assert caught.value.status == 503

    play(scene)


def test_an_expired_token_of_ours_is_replaced_once(play: Callable[[Scene], None]) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        directory.members = {"alice": []}
        await groups.groups_of("alice")
        directory.token += 1  # the directory takes the old one no longer
        assert await groups.groups_of("alice") == ()
        assert len(directory.logins) == 2
        directory.fail = [Reply({}, 401), Reply({}, 401)]
        with pytest.raises(NotServed):
            await groups.groups_of("alice")
        assert len(directory.asked) == 5

    play(scene)


def test_a_token_of_ours_is_replaced_before_it_ends(play: Callable[[Scene], None]) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        directory.members, directory.expires_in = {"alice": []}, 60
        await groups.groups_of("alice")
        await groups.groups_of("alice")
        assert len(directory.logins) == 2

    play(scene)


def test_the_wait_that_the_directory_asks_for_is_passed_on(play: Callable[[Scene], None]) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        directory.members = {"alice": ["a"]}
        directory.fail = [Reply({}, 429, {"Retry-After": "17"})]
        with pytest.raises(NotServed) as caught:
            await groups.groups_of("alice")
        assert (caught.value.status, caught.value.retry_after) == (429, 17.0)

    play(scene)


BROKEN = {
    "no object": [],
    "no list": {"value": "a", "groups": "a"},
    "no name": {"value": [{"@odata.type": "#microsoft.graph.group"}], "groups": [{}]},
    "a name that a terminal would obey": {
        "value": [{"@odata.type": "#microsoft.graph.group", "id": "a\x1b"}],
        "groups": [{"email": "a\x1b"}],
    },
    "no entries": {"value": [7], "groups": [7]},
    "an endless list": {"value": [], "@odata.nextLink": 7, "groups": [], "nextPageToken": 7},
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_an_answer_that_is_not_understood_is_no_list_of_groups(
    play: Callable[[Scene], None], content: object
) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        directory.members, directory.fail = {"alice": ["a"]}, [Reply(content)]
        with pytest.raises(Unusable):
            await groups.groups_of("alice")

    play(scene)


@pytest.mark.parametrize("where", ["https://evil.example/v1.0/x", "http://127.0.0.1:1/x", "//evil.example/x"])
def test_our_token_goes_to_no_server_that_an_answer_names(tmp_path: Path, where: str) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        directory.members = {"alice": ["a"]}
        directory.fail = [Reply({"value": [], "@odata.nextLink": where})]
        with pytest.raises(Unusable, match="another server"):
            await groups.groups_of("alice")

    play_graph(tmp_path, scene)


def test_an_endless_list_of_pages_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authz_service.identity.entra.MOST_PAGES", 3)

    async def scene(directory: StandIn, groups: Directory) -> None:
        directory.members, directory.page_size = {"alice": ["a", "b", "c", "d"]}, 1
        with pytest.raises(Unusable, match="more groups"):
            await groups.groups_of("alice")

    play_graph(tmp_path, scene)


def test_more_groups_than_a_request_can_carry_are_not_known(tmp_path: Path) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        names = [f"{n:036}" for n in range(2_000)]
        directory.members = {"alice": names[:1_600], "bob": names}
        assert len(await groups.groups_of("alice")) == 1_600
        with pytest.raises(Unusable, match="more groups"):
            await groups.groups_of("bob")

    play_graph(tmp_path, scene)


def test_googles_groups_within_groups_are_followed_once_each_whatever_their_circle(
    tmp_path: Path, key: rsa.RSAPrivateKey
) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        directory.members = {
            "alice": ["interns@x", "Mail@X"],
            "bob": ["interns@x"],
            "interns@x": ["contractors@x"],
            "contractors@x": ["all@x", "interns@x"],
        }
        found = await groups.groups_of("alice")
        assert found == ("interns@x", "mail@x", "contractors@x", "all@x")
        assert await groups.groups_of("bob") == ("interns@x", "contractors@x", "all@x")
        asked = [request.query["userKey"] for request in directory.asked]
        assert sorted(asked) == sorted(["alice", "bob", "interns@x", "mail@x", "contractors@x", "all@x"])

    play_google(tmp_path, key, scene)


def test_what_google_said_of_a_group_is_asked_again_after_a_while(
    tmp_path: Path, key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        directory.members = {"alice": ["interns@x"], "interns@x": ["contractors@x"]}
        assert await groups.groups_of("alice") == ("interns@x", "contractors@x")
        del directory.members["interns@x"]
        assert await groups.groups_of("alice") == ("interns@x", "contractors@x")
        monkeypatch.setattr("authz_service.identity.google.KEPT", 0.0)
        assert await groups.groups_of("alice") == ("interns@x",)

    play_google(tmp_path, key, scene)


def test_a_person_in_more_of_googles_groups_than_can_be_asked_for_is_not_known(
    tmp_path: Path, key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authz_service.identity.google.MOST_GROUPS", 3)

    async def scene(directory: StandIn, groups: Directory) -> None:
        directory.members = {"alice": ["a@x", "b@x"], "b@x": ["c@x"], "c@x": ["d@x"]}
        with pytest.raises(Unusable, match="more groups"):
            await groups.groups_of("alice")

    play_google(tmp_path, key, scene)


def test_a_group_of_which_google_says_nothing_leaves_the_person_unknown(
    tmp_path: Path, key: rsa.RSAPrivateKey
) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        assert isinstance(directory, Google)
        directory.members, directory.silent_about = {"alice": ["a@x", "b@x"]}, {"b@x"}
        with pytest.raises(Unusable):
            await groups.groups_of("alice")

    play_google(tmp_path, key, scene)


@pytest.mark.parametrize(
    ("status", "is_of_one"), [(400, True), (403, True), (401, False), (429, False), (500, False)]
)
def test_a_refusal_that_concerns_one_person_is_told_from_one_of_all(
    play: Callable[[Scene], None], status: int, is_of_one: bool
) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        directory.members, directory.fail = {"alice": ["a"]}, [Reply({}, status)] * 2
        with pytest.raises(ValueError, match="status") as caught:
            await groups.groups_of("alice")
        assert isinstance(caught.value, Unusable) is is_of_one
        assert isinstance(caught.value, NotServed) is not is_of_one

    play(scene)


def test_a_secret_that_others_can_read_or_that_is_gone_is_not_used(tmp_path: Path) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        directory.members = {"alice": ["a"]}
        (tmp_path / "graph.secret").chmod(0o644)
        with pytest.raises(Misconfigured, match="readable by other users"):
            await groups.groups_of("alice")
        (tmp_path / "graph.secret").unlink()
        with pytest.raises(Misconfigured, match="cannot read"):
            await groups.groups_of("alice")
        private(tmp_path / "graph.secret", "s3cret")
        assert await groups.groups_of("alice") == ("a",)

    play_graph(tmp_path, scene)


def test_a_changed_secret_needs_no_restart(tmp_path: Path) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        assert isinstance(directory, Graph)
        directory.members, directory.secret = {"alice": ["a"]}, "changed"
        with pytest.raises(NotServed):
            await groups.groups_of("alice")
        private(tmp_path / "graph.secret", "changed")
        assert await groups.groups_of("alice") == ("a",)

    play_graph(tmp_path, scene)


@pytest.mark.parametrize("content", ["{}", "[]", "no JSON", '{"token_uri": "http://evil.example/token"}'])
def test_what_is_no_key_file_of_a_service_account_is_said_without_its_content(
    tmp_path: Path, key: rsa.RSAPrivateKey, content: str
) -> None:
    async def scene(directory: StandIn, groups: Directory) -> None:
        account = json.loads((tmp_path / "google.json").read_text())
        merged = account | json.loads(content) if "token_uri" in content else None
        private(tmp_path / "google.json", json.dumps(merged) if merged else content)
        with pytest.raises(Misconfigured, match=r"google\.json") as caught:
            await groups.groups_of("alice")
        assert "BEGIN" not in str(caught.value)
        assert directory.logins == []

    play_google(tmp_path, key, scene)
