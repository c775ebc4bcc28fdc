"""What lives as long as the gateway's process and the pages use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from gateway.auth.identities import Identities
from gateway.auth.inbound import Inbound
from gateway.auth.peers import Peers
from gateway.origins import AllowedOrigins
from servicekit.http import ServiceClient


@dataclass(frozen=True, slots=True)
class Resources:
    """`home` is where a sign-in ends: the H5, or our own small page."""

    identities: Identities
    origins: AllowedOrigins
    peers: Peers
    services: Mapping[str, ServiceClient]
    home: str


# Coroutines, though they wait for nothing: FastAPI runs plain functions in a thread.
async def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


ResourcesDep = Annotated[Resources, Depends(_resources)]


async def _inbound(request: Request, resources: ResourcesDep) -> Inbound:
    return Inbound(request.scope, resources.peers)


InboundDep = Annotated[Inbound, Depends(_inbound)]
