"""The LoginService of authz.v1: tells whoever has no token yet where to get one."""

from __future__ import annotations

from dataclasses import dataclass

from authz_api.v1 import logins_pb2 as pb
from authz_api.v1.logins_pb2_grpc import LoginServiceServicer
from authz_service.config.identity_values import LoginClient
from authz_service.config.model import Config
from authz_service.identity.saml.tokens import Door
from authz_service.servers.review_calls import Context


@dataclass(frozen=True, slots=True)
class LoginReview(LoginServiceServicer):
    """Answers from the configuration alone, so that a caller without a token costs next to nothing."""

    options: pb.GetLoginOptionsResponse

    @classmethod
    def of(cls, config: Config) -> LoginReview:
        """What `login` says, with the audiences that the doors take; and `identity.saml`.

        A use that `login` leaves out is that of the SAML provider, where there is just one.
        """
        audiences = {issuer.url: issuer.audience for issuer in config.identity.issuers}
        review, gateway = config.logins.review, config.logins.gateway
        options = pb.GetLoginOptionsResponse(
            review=None if review is None else _message(review, config.review.audience),
            gateway=None if gateway is None else _message(gateway, audiences[gateway.issuer]),
            saml=_saml(config),
        )
        if len(options.saml) == 1:
            for use in ("review", "gateway"):
                if not options.HasField(use):
                    getattr(options, use).CopyFrom(getattr(options.saml[0], use))
        return cls(options)

    async def GetLoginOptions(
        self, request: pb.GetLoginOptionsRequest, context: Context
    ) -> pb.GetLoginOptionsResponse:
        """The same for everybody; no token is asked for."""
        return self.options


def _saml(config: Config) -> list[pb.SamlLogin]:
    listener = config.logins.listener
    if listener is None:
        return []
    return [
        pb.SamlLogin(
            name=provider.name,
            review=_of_saml(Door.REVIEW, provider.issuer(listener), Door.REVIEW.audience(config, provider)),
            gateway=_of_saml(
                Door.GATEWAY, provider.issuer(listener), Door.GATEWAY.audience(config, provider)
            ),
        )
        for provider in config.identity.saml
    ]


def _of_saml(door: Door, issuer: str, audience: str) -> pb.LoginOptions:
    return _message(LoginClient(issuer, door, scopes=()), audience)


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
