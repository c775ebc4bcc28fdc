"""`/admin/audit`: who did what, and which logins were refused."""

from typing import Annotated

from fastapi import Query

from auth_service.api.administration import (
    AdministrationDep,
    Answer,
    PageAnswer,
    PagingDep,
    TextQuery,
    page_answer,
    routes,
)
from auth_service.store.audit import AuditFilter

SecondsQuery = Annotated[float | None, Query(allow_inf_nan=False)]
audit = routes("/admin/audit")


class AuditAnswer(Answer):
    """One entry; `at` is Unix seconds, `count` joins equal refusals of one minute."""

    id: int
    at: float
    actor: str
    action: str
    target: str
    outcome: str
    address: str
    request_id: str
    count: int
    detail: dict[str, str]


@audit.get("", summary="Read the audit log, newest first")
async def list_entries(
    administration: AdministrationDep,
    paging: PagingDep,
    action: TextQuery = None,
    outcome: TextQuery = None,
    actor: TextQuery = None,
    target: TextQuery = None,
    address: TextQuery = None,
    since: SecondsQuery = None,
    until: SecondsQuery = None,
) -> PageAnswer[AuditAnswer]:
    wanted = AuditFilter(action, outcome, actor, target, address, since, until)
    return page_answer(AuditAnswer, await administration.audit.page(wanted, paging), paging)
