"""The audit log: refusals counted in memory, changes written at once, nothing secret in it."""

import pytest
from sqlalchemy import text

from auth_service.audit import AuditLog
from auth_service.store.audit import AuditFilter, AuditStore, StoredEntry
from auth_service.store.paging import Paging
from tests.auth_service.conftest import Clock, Gateway, Start

EVERYTHING = AuditFilter()


@pytest.fixture
def log(gateway: Gateway, clock: Clock) -> AuditLog:
    return AuditLog(AuditStore(gateway.database), retention_days=180, clock=clock)


async def entries(log: AuditLog, wanted: AuditFilter = EVERYTHING) -> list[StoredEntry]:
    return (await log.page(wanted, Paging(1, 1000))).items


def refuse(log: AuditLog, address: str = "192.0.2.7", **values: str) -> None:
    told = {"action": "login.v1", "target": "client 2", "reason": "invalid"} | values
    log.refused(address=address, **told)


async def test_a_change_is_there_at_once(log: AuditLog, clock: Clock) -> None:
    await log.record(
        actor="admin/admin",
        action="client.disable",
        target="client 2",
        address="192.0.2.7",
        detail={"name": "内网"},
    )
    (entry,) = await entries(log)
    assert (entry.at, entry.actor, entry.outcome) == (clock.now, "admin/admin", "done")
    assert (entry.action, entry.target, entry.address) == (
        "client.disable",
        "client 2",
        "192.0.2.7",
    )
    assert (entry.count, entry.detail) == (1, {"name": "内网"})


async def test_equal_refusals_of_a_minute_are_one_row(log: AuditLog, clock: Clock) -> None:
    for _ in range(3):
        refuse(log)
    await log.flush()
    refuse(log)
    clock.now += 60
    refuse(log)
    refuse(log, reason="disabled")
    found = [(entry.count, entry.detail["reason"]) for entry in await entries(log)]
    assert sorted(found) == [(1, "disabled"), (1, "invalid"), (4, "invalid")]
    assert {entry.outcome for entry in await entries(log)} == {"refused"}


async def test_one_ipv6_host_is_one_address(log: AuditLog) -> None:
    for address in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1", "nonsense"):
        refuse(log, address)
    found = sorted((entry.address, entry.count) for entry in await entries(log))
    assert found == [("2001:db8:1:2::/64", 2), ("2001:db8:1:3::/64", 1), ("unknown", 1)]


async def test_a_flood_is_counted_in_one_row_beyond_the_bound(log: AuditLog) -> None:
    for number in range(10_000):
        refuse(log, f"10.0.{number // 256}.{number % 256}")
    found = await entries(log)
    assert len(found) == 201
    assert sum(entry.count for entry in found) == 10_000
    assert max(found, key=lambda entry: entry.count).action == "other"
    assert len(await entries(log)) == 201


@pytest.mark.parametrize(
    "credential", ["c2s-" + "canary-7" * 6, "c2l-" + "canary-7" * 6, "canary7+/=." * 20]
)
async def test_a_credential_in_the_wrong_field_is_blotted_out(
    log: AuditLog, credential: str, gateway: Gateway
) -> None:
    refuse(log, target=credential, reason=credential)
    await log.record(
        actor=credential, action="x", target=credential, address="", detail={"name": credential}
    )
    rows = await gateway.execute(text("SELECT * FROM audit_log"))
    await log.flush()
    rows += await gateway.execute(text("SELECT * FROM audit_log"))
    assert rows
    assert credential[:16] not in str(rows)


async def test_hostile_text_is_kept_from_breaking_the_log(log: AuditLog) -> None:
    refuse(log, target="\ud800\x00\x1b[31m" + "x" * 1000, address="\x00" * 100)
    (entry,) = await entries(log)
    assert (entry.target, entry.address) == ("   [***", "unknown")


async def test_refusals_wait_for_a_database_that_is_away(log: AuditLog, gateway: Gateway) -> None:
    await gateway.execute(text("ALTER TABLE audit_log RENAME TO away"))
    refuse(log)
    with pytest.raises(Exception, match="audit_log"):
        await log.flush()
    refuse(log)
    await gateway.execute(text("ALTER TABLE away RENAME TO audit_log"))
    assert [entry.count for entry in await entries(log)] == [2]


async def test_what_was_refused_before_a_shutdown_is_kept(start: Start, clock: Clock) -> None:
    async with start() as gateway:
        refuse(gateway.app.state.context.audit)
    async with start() as gateway:
        store = AuditStore(gateway.database)
        found = await store.page(EVERYTHING, Paging())
    assert (found.total, found.items[0].action) == (1, "login.v1")


async def test_old_entries_are_forgotten_at_start(start: Start, clock: Clock) -> None:
    async with start() as gateway:
        await gateway.app.state.context.audit.record(
            actor="cli", action="client.add", target="client 2", address=""
        )
    clock.now += 7 * 86400 + 1
    async with start(audit_retention_days=8) as gateway:
        refuse(gateway.app.state.context.audit)
        assert len(await entries(gateway.app.state.context.audit)) == 2
    async with start(audit_retention_days=7) as gateway:
        await gateway.app.state.context.audit.forget_old()
        assert [entry.outcome for entry in await entries(gateway.app.state.context.audit)] == [
            "refused"
        ]


async def test_paging_and_filters(log: AuditLog, clock: Clock) -> None:
    for number in range(5):
        clock.now += 1
        await log.record(actor=f"admin/a{number}", action="user.revoke", target="50%", address="::")
    refuse(log)
    page = await log.page(AuditFilter(outcome="done"), Paging(2, 2))
    assert (page.total, [entry.actor for entry in page.items]) == (5, ["admin/a2", "admin/a1"])
    assert len(await entries(log, AuditFilter(actor="a3"))) == 1
    assert len(await entries(log, AuditFilter(target="0%"))) == 5
    assert len(await entries(log, AuditFilter(target="%0"))) == 0
    assert len(await entries(log, AuditFilter(since=clock.now, until=clock.now))) == 0
    assert len(await entries(log, AuditFilter(since=clock.now))) == 2
