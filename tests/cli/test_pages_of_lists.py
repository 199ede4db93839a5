"""A list is asked for page by page, each when it is wanted, until none follows."""

from __future__ import annotations

from authz_api.v1 import grants_pb2 as pb
from authz_cli.listed import pages


def test_each_page_is_asked_for_by_the_token_of_the_one_before_and_only_when_it_is_wanted() -> None:
    request = pb.ListGrantsRequest()
    asked: list[str] = []

    def ask() -> pb.ListGrantsResponse:
        asked.append(request.page_token)
        return pb.ListGrantsResponse(next_page_token={"": "a", "a": "b"}.get(request.page_token, ""))

    found = pages(request, ask)
    assert next(found).next_page_token == "a"
    assert asked == [""]
    assert [page.next_page_token for page in found] == ["b", ""]
    assert asked == ["", "a", "b"]
