"""The LoginService of authz.v1: tells whoever has no token yet where to get one."""

from __future__ import annotations

from dataclasses import dataclass

from authz_api.v1 import logins_pb2 as pb
from authz_api.v1.logins_pb2_grpc import LoginServiceServicer
from authz_service.config.model import Config, LoginClient
from authz_service.servers.review_calls import Context


@dataclass(frozen=True, slots=True)
class LoginReview(LoginServiceServicer):
    """Answers from the configuration alone, so that a caller without a token costs next to nothing."""

    options: pb.GetLoginOptionsResponse

    @classmethod
    def of(cls, config: Config) -> LoginReview:
        """What `login` says, with the audiences that the doors take."""
        audiences = {issuer.url: issuer.audience for issuer in config.identity.issuers}
        review, gateway = config.logins.review, config.logins.gateway
        return cls(
            pb.GetLoginOptionsResponse(
                review=None if review is None else _message(review, config.review.audience),
                gateway=None if gateway is None else _message(gateway, audiences[gateway.issuer]),
            )
        )

    async def GetLoginOptions(
        self, request: pb.GetLoginOptionsRequest, context: Context
    ) -> pb.GetLoginOptionsResponse:
        """The same for everybody; no token is asked for."""
        return self.options


def _message(client: LoginClient, audience: str) -> pb.LoginOptions:
    return pb.LoginOptions(
        issuer=client.issuer,
        client_id=client.client,
        scopes=client.scopes,
        resource=client.resource,
        id_token=client.is_id_token,
        redirect=client.redirect,
        audience=audience,
    )
