"""The old wire: who am I."""

from datetime import UTC, datetime

from fastapi import APIRouter

from auth_service.api.context import ContextDep
from auth_service.schemas import UserInfo, UserInfoAnswer
from servicekit.errors import EnvelopeRoute
from servicekit.identity import CallerDep

routes = APIRouter(route_class=EnvelopeRoute, tags=["identity"])


@routes.get("/user/info", summary="Who the credential belongs to")
async def user_info(caller: CallerDep, context: ContextDep) -> UserInfoAnswer:
    profile = await context.accounts.profile(caller)
    return UserInfoAnswer(
        data=UserInfo(
            client_id=caller.client_id,
            user_id=caller.user_id,
            username=profile.username,
            enable=profile.enable,
            create_time=_local(profile.create_time),
        )
    )


def _local(utc: datetime) -> str:
    """The server's local time to the second, without a zone: the H5 shows it as it comes."""
    local = utc.replace(tzinfo=UTC).astimezone()
    return local.replace(tzinfo=None).isoformat(timespec="seconds")
