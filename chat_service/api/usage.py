"""`/admin/usage` and `/admin/quotas`: tokens used, and how many may be."""

import asyncio
import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from chat_service.api.dependencies import Page, PageSize, kept
from chat_service.metering import Meter
from chat_service.store import UsageStore
from chat_service.usage_entities import Dimension, Quota, UsageQuery, UsageSum
from chat_service.usage_schemas import NewQuota, QuotaItem, QuotaItems, UsageItem, UsageItems
from servicekit.errors import NotFound
from servicekit.identity import require_scope

_MOST_ROWS = 100_000
_DAYS_SHOWN = 30
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SUMS = ("requests", "estimated_requests", "prompt_tokens", "completion_tokens")

router = APIRouter(prefix="/admin", tags=["administration"], dependencies=[require_scope("admin")])


Text = Annotated[str | None, Query(max_length=255, pattern=r"^[^\x00]*$")]


# A coroutine, though it waits for nothing: FastAPI runs plain functions in a thread.
async def _usage_query(
    since: Annotated[date | None, Query(description="First day; 30 days ago. 起始日期")] = None,
    until: Annotated[date | None, Query(description="Last day; today. 结束日期")] = None,
    by: Annotated[list[Dimension] | None, Query(max_length=6, description="汇总维度")] = None,
    model: Text = None,
    mode: Text = None,
    client_id: Text = None,
    user_id: Text = None,
    knowledge_base: Text = None,
) -> UsageQuery:
    last = until or datetime.now().astimezone().date()
    first = since or last - min(timedelta(days=_DAYS_SHOWN - 1), last - date.min)
    wanted: dict[Dimension, str | None] = {
        "model": model,
        "mode": mode,
        "client_id": client_id,
        "user_id": user_id,
        "knowledge_base": knowledge_base,
    }
    only = tuple((name, value) for name, value in wanted.items() if value is not None)
    keys: tuple[Dimension, ...] = tuple(dict.fromkeys(by or ["day"]))
    return UsageQuery(first.isoformat(), last.isoformat(), keys, only)


StoreDep = Annotated[UsageStore, kept("usage")]
MeterDep = Annotated[Meter, kept("meter")]
UsageQueryDep = Annotated[UsageQuery, Depends(_usage_query)]
QuotaId = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/usage", summary="Tokens and costs, by day, model, client, user, knowledge base")
async def show_usage(
    query: UsageQueryDep, store: StoreDep, meter: MeterDep, page: Page = 1, page_size: PageSize = 50
) -> UsageItems:
    await meter.write()
    found, total = await store.sums(query, start=(page - 1) * page_size, limit=page_size)
    items = [UsageItem.of(one) for one in found]
    return UsageItems(items=items, total=total, page=page, page_size=page_size)


@router.get(
    "/usage.csv",
    summary="The same as a table for spreadsheets",
    response_class=Response,
    responses={200: {"content": {"text/csv": {}}}},
)
async def export_usage(query: UsageQueryDep, store: StoreDep, meter: MeterDep) -> Response:
    await meter.write()
    found, _ = await store.sums(query, start=0, limit=_MOST_ROWS)
    table = await asyncio.to_thread(_table, query.by, found)
    name = f"usage-{query.since}-{query.until}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(table, 200, headers, "text/csv")


@router.get("/quotas", summary="Daily tokens of clients and users")
async def list_quotas(
    store: StoreDep, meter: MeterDep, page: Page = 1, page_size: PageSize = 50
) -> QuotaItems:
    quotas = await store.quotas()
    shown = quotas[(page - 1) * page_size : page * page_size]
    items = [await _item(quota, meter) for quota in shown]
    return QuotaItems(items=items, total=len(quotas), page=page, page_size=page_size)


@router.put("/quotas", summary="Set the daily tokens of a client, of its users or of one")
async def put_quota(body: NewQuota, store: StoreDep, meter: MeterDep) -> QuotaItem:
    quota = await store.put_quota(body.entity())
    await meter.load()
    return await _item(quota, meter)


@router.delete("/quotas/{quota_id}", status_code=204, summary="Delete a quota")
async def delete_quota(quota_id: QuotaId, store: StoreDep, meter: MeterDep) -> None:
    if not await store.remove_quota(quota_id):
        raise NotFound(f"There is no quota {quota_id}. 未找到该配额。")
    await meter.load()


async def _item(quota: Quota, meter: Meter) -> QuotaItem:
    of_each = quota.per == "user" and quota.user_id is None
    used = None if of_each else await meter.used_today(quota.client_id, quota.user_id)
    return QuotaItem(**asdict(quota), used_today=used)


def _table(by: Sequence[str], found: Sequence[UsageSum]) -> bytes:
    """With the mark that spreadsheets know UTF-8 by."""
    table = io.StringIO()
    writer = csv.writer(table)
    columns = (*by, *_SUMS, "cost", "currency")
    writer.writerow(columns)
    for one in map(UsageItem.of, found):
        shown = one.model_dump()
        writer.writerow([_cell(shown[name]) for name in columns])
    return table.getvalue().encode("utf-8-sig", "replace")


def _cell(value: object) -> object:
    """A name must not become a formula where the table is opened."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
