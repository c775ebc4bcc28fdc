"""Whose pages may frame the H5 behind nginx: those of the clients' origins."""

from collections.abc import Callable
from pathlib import Path

import httpx

from tests.front import nginx_in_front
from tests.stack import Stack

ORIGIN = "https://intranet.example"


def test_a_client_s_origin_may_frame_the_h5(
    start_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    h5 = tmp_path / "h5"
    (h5 / "assets").mkdir(parents=True)
    (h5 / "index.html").write_text("<!doctype html><title>An H5</title>")
    (h5 / "assets" / "index-1.js").write_text("1")
    stack = start_stack(H5_DIST=str(h5), TRUSTED_PROXIES="127.0.0.1")
    made = httpx.post(
        f"{stack.url}/admin/clients",
        headers={"Authorization": f"Bearer {stack.admin_key}"},
        json={"name": "intranet", "allowed_origins": [ORIGIN]},
        timeout=30,
    )
    assert made.status_code == 201, made.text
    with (
        nginx_in_front(stack.url, tmp_path / "nginx", h5=h5) as url,
        httpx.Client(base_url=url, headers={"X-Forwarded-Proto": "https"}, timeout=30) as client,
    ):
        for path in ("/", "/home", "/index.html"):
            page = client.get(path, headers={"Accept": "text/html"})
            assert "An H5" in page.text
            policy = page.headers["content-security-policy"]
            assert policy.endswith(f"; frame-ancestors 'self' {ORIGIN}")
            assert page.headers["x-content-type-options"] == "nosniff"
            assert page.headers["strict-transport-security"] == "max-age=31536000"
        script = client.get("/assets/index-1.js")
        assert script.headers["content-security-policy"] == "frame-ancestors 'self'"
