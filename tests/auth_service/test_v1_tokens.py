"""v1 tokens: what is accepted, and one test for each reason to refuse."""

from tests.auth_service.conftest import Gateway


async def test_a_good_token_names_its_user(gateway: Gateway, client_id: str) -> None:
    answer = await gateway.introspect(gateway.mint(client_id, "u1", username="张三"))
    assert answer["active"] is True
    assert answer["caller"] == {
        "client_id": client_id,
        "user_id": "u1",
        "username": "张三",
        "scopes": ["chat", "kb:read"],
    }
    assert answer["expires_at"] == gateway.clock.now + 8 * 3600
    assert answer["session_token"] is None
