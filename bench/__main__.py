"""`make bench`: every figure of docs/performance.md, as ratios against references of the same run.

Needs wrk and nginx (Debian's packages). Starts its own five processes on free ports with a data
folder of its own, sends load to loopback only, and ends everything that it started.
"""

import sys
import tempfile
from pathlib import Path

from bench.load import Load, first_chunk_ms, run_wrk
from bench.servers import Backend, Nginx, Relay, Suite, Vendor

# The old server, measured on a machine of this kind (constants, not part of this run).
OLD = {"user_info": 55.0, "stream": 14.0, "search": 68.0}
SUBJECTS = (
    "差旅报销",
    "年假申请",
    "门禁卡补办",
    "合同审批",
    "服务器巡检",
    "仓库盘点",
    "客户退货",
    "培训签到",
)


def main() -> None:
    if sys.dont_write_bytecode:
        sys.exit("unset PYTHONDONTWRITEBYTECODE: without byte code the figures mean nothing")
    with tempfile.TemporaryDirectory() as folder, Vendor() as vendor:
        with Suite.running(Path(folder), vendor_url=vendor.url) as suite:
            report("start, first time", f"{suite.start_seconds:.1f} s", "<= 6 s")
            idle = suite.memory_mb()
            report("memory of all five, idle (PSS)", f"{idle:.0f} MB", "<= 500 MB")
            measure_gateway(suite)
            measure_user_info(suite)
            measure_search(suite)
            measure_ingest(suite)
            measure_stream(suite, vendor)
            report("memory after load", f"{suite.memory_mb():.0f} MB", f"idle {idle:.0f} MB")
        with Suite.running(Path(folder), vendor_url=vendor.url) as suite:
            report("start, again", f"{suite.start_seconds:.1f} s", "<= 6 s")


def measure_gateway(suite: Suite) -> None:
    with (
        Backend() as backend,
        Nginx(backend) as proxy,
        suite.gateway_before(backend.url) as gateway,
    ):
        for connections in (1, 32, 128):
            direct = run_wrk(f"{backend.url}/session/list", connections=connections)
            nginx = run_wrk(f"{proxy.url}/session/list", connections=connections)
            ours = run_wrk(
                f"{gateway}/session/list", connections=connections, headers=suite.user_headers
            )
            report(
                f"gateway GET, c={connections}",
                f"{ours.per_second:.0f}/s p50 {ours.p50:.2f} ms",
                f"nginx {nginx.per_second:.0f}/s p50 {nginx.p50:.2f} ms, "
                f"direct {direct.per_second:.0f}/s: {ours.per_second / nginx.per_second:.0%} of "
                f"nginx, +{ours.p50 - direct.p50:.2f} ms p50",
                ours,
            )


def measure_user_info(suite: Suite) -> None:
    for connections in (1, 16, 64):
        load = run_wrk(
            f"{suite.url}/user/info", connections=connections, headers=suite.user_headers
        )
        report_old(f"/user/info, c={connections}", load, OLD["user_info"], ">= 10x")


def measure_search(suite: Suite) -> None:
    suite.fill(
        "bench",
        [
            f"{i} 号制度：{SUBJECTS[i % 8]}须在 {i % 90} 天内完成，"
            f"由第 {i % 37} 部门负责，编号 {i * 7919 % 10007}。"
            for i in range(2000)
        ],
    )
    body = {"query": "差旅报销多少天内完成", "knowledge_base_name": "bench"}
    for connections in (1, 16, 64):
        load = run_wrk(
            f"{suite.url}/knowledge_base/search_docs",
            connections=connections,
            headers=suite.user_headers,
            body=body,
        )
        report_old(f"search_docs, 2,000 chunks, c={connections}", load, OLD["search"], ">= 6x")


def measure_ingest(suite: Suite) -> None:
    sentence = (
        "第{}条：员工在出差结束后应当及时整理票据并提交报销申请，经部门负责人审核后由财务付款。\n"
    )
    text = "".join(sentence.format(i) for i in range(8000)).encode()[: 1 << 20]
    seconds = suite.upload_seconds("ingest", "一兆.txt", text)
    report("ingest of 1 MB Chinese text", f"{seconds:.2f} s", "<= 1.5 s; old server 12-14 s")


def measure_stream(suite: Suite, vendor: Vendor) -> None:
    body = {"query": "你好", "stream": True, "model_name": "custom-api"}
    with Relay(vendor.url) as relay:
        for connections in (1, 16, 64):
            plain = run_wrk(f"{relay.url}/chat", connections=connections, body=body)
            ours = run_wrk(
                f"{suite.url}/chat/chat",
                connections=connections,
                headers=suite.user_headers,
                body=body,
            )
            report(
                f"chat stream of 50 tokens, stored, c={connections}",
                f"{ours.per_second:.0f}/s p50 {ours.p50:.0f} ms",
                f"{ours.per_second / OLD['stream']:.1f}x the old server (aim >= 10x); plain "
                f"FastAPI + SDK relay, nothing stored: {plain.per_second:.0f}/s",
                ours,
            )
    first = first_chunk_ms(f"{suite.url}/chat/chat", body, suite.user_headers)
    direct = first_chunk_ms(
        f"{vendor.url}/chat/completions",
        {"model": "stub", "stream": True, "messages": [{"role": "user", "content": "你好"}]},
        {},
    )
    report("first chunk at c=1", f"{first:.1f} ms", f"vendor itself {direct:.1f} ms, aim <= +15 ms")


def report_old(name: str, load: Load, old: float, aim: str) -> None:
    value = f"{load.per_second:.0f}/s p50 {load.p50:.1f} ms"
    report(name, value, f"{load.per_second / old:.1f}x the old server (aim {aim})", load)


def report(name: str, value: str, reference: str, load: Load | None = None) -> None:
    errors = f" **{load.errors} errors**" if load and load.errors else ""
    print(f"| {name} | {value}{errors} | {reference} |", flush=True)


if __name__ == "__main__":
    print("| what | measured | against |\n|---|---|---|", flush=True)
    main()
