"""How vendors' APIs differ from OpenAI's, as their documentation says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Trouble = Literal["key", "quota", "busy", "filtered", "too_long", "no_model", "down"]

# What the codes and types in errors mean, wherever they come from.
EVERYWHERE: Mapping[str, Trouble] = {
    "invalid_api_key": "key",
    "incorrect_api_key_error": "key",
    "authentication_error": "key",
    "invalid_authentication_error": "key",
    "permission_denied_error": "key",
    "insufficient_quota": "quota",
    "credit_balance_exhausted": "quota",
    "organization_spend_limit_exceeded": "quota",
    "project_spend_limit_exceeded": "quota",
    "billing_hard_limit_reached": "quota",
    "rate_limit_exceeded": "busy",
    "rate_limit_error": "busy",
    "overloaded_error": "busy",
    "content_filter": "filtered",
    "content_policy_violation": "filtered",
    "ResponsibleAIPolicyViolation": "filtered",
    "context_length_exceeded": "too_long",
    "model_not_found": "no_model",
    "NotFoundError": "no_model",
    "server_error": "down",
    "base_resp:1002": "busy",  # MiniMax says it so, with status 200
    "base_resp:1004": "key",
    "base_resp:1008": "quota",
    "base_resp:1026": "filtered",
    "base_resp:1027": "filtered",
    "base_resp:1039": "too_long",
}
# Parts of messages, for vendors that give no code; in lower case.
MESSAGES: Mapping[str, Trouble] = {
    "content exists risk": "filtered",
    "maximum context length": "too_long",
    "input token length too long": "too_long",
    "exceeded model token limit": "too_long",
    "range of input length should be": "too_long",
    "prompt is too long": "too_long",
    "model not exist": "no_model",
    "insufficient balance": "quota",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """The temperatures that are taken, and what error codes mean."""

    temperature: tuple[float, float] = (0, 2)
    codes: Mapping[str, Trouble] = field(default_factory=dict)


_OPENAI = Dialect()
DIALECTS: Mapping[str, Dialect] = {
    "openai-api": _OPENAI,
    "zhipu-api": Dialect(
        (0.01, 0.99),  # (0, 1), both ends excluded by older models
        {
            "1000": "key",
            "1001": "key",
            "1002": "key",
            "1003": "key",
            "1004": "key",
            "1110": "quota",
            "1112": "quota",
            "1113": "quota",
            "1121": "quota",
            "1211": "no_model",
            "1220": "key",
            "1234": "down",
            "1261": "too_long",
            "1301": "filtered",
            "1302": "busy",
            "1303": "busy",
            "1304": "quota",
            "1305": "busy",
            "1308": "quota",
        },
    ),
    "qwen-api": Dialect(
        (0, 1.99),  # [0, 2)
        {
            "data_inspection_failed": "filtered",
            "DataInspectionFailed": "filtered",
            "Arrearage": "quota",
            "limit_requests": "busy",
            "Throttling": "busy",
            "Throttling.RateQuota": "busy",
            "Throttling.AllocationQuota": "quota",
            "InvalidApiKey": "key",
            "ModelNotFound": "no_model",
            "Model.AccessDenied": "key",
            "InternalError": "down",
        },
    ),
    "qianfan-api": Dialect(
        (0.01, 1),  # (0, 1]
        {
            "invalid_iam_token": "key",
            "access_denied": "key",
            "invalid_appid": "key",
            "system_unsafe": "filtered",  # with status 403, which is no wrong key then
            "user_setting_unsafe": "filtered",
            "functions_unsafe": "filtered",
            "invalid_model": "no_model",
            "tokens_too_long": "too_long",
            "characters_too_long": "too_long",
            "rpm_rate_limit_exceeded": "busy",
            "tpm_rate_limit_exceeded": "busy",
            "1": "down",  # the numbers are of the older API, and come with status 200
            "2": "down",
            "4": "busy",
            "17": "quota",
            "18": "busy",
            "110": "key",
            "111": "key",
        },
    ),
    "xinghuo-api": Dialect(
        (0.01, 1),  # (0, 1]
        {
            "10007": "busy",
            "10008": "busy",
            "10012": "down",
            "10013": "filtered",
            "10014": "filtered",
            "10019": "filtered",
            "10015": "key",
            "10016": "key",
            "10907": "too_long",
            "11200": "key",
            "11201": "quota",
            "11202": "busy",
            "11203": "busy",
        },
    ),
    "deepseek-api": _OPENAI,
    "moonshot-api": Dialect(
        (0, 1),
        {
            "exceeded_current_quota_error": "quota",
            "rate_limit_reached_error": "busy",
            "engine_overloaded_error": "busy",
            "resource_not_found_error": "no_model",
        },
    ),
    "ollama": _OPENAI,
    "custom-api": _OPENAI,
    "local": Dialect(codes={"exceed_context_size_error": "too_long", "unavailable_error": "down"}),
}

# Whose dialect is spoken at an address that nobody named a preset for.
_DOMAINS: Mapping[str, str] = {
    "openai.com": "openai-api",
    "bigmodel.cn": "zhipu-api",
    "z.ai": "zhipu-api",
    "aliyuncs.com": "qwen-api",
    "baidubce.com": "qianfan-api",
    "xf-yun.com": "xinghuo-api",
    "deepseek.com": "deepseek-api",
    "moonshot.cn": "moonshot-api",
    "moonshot.ai": "moonshot-api",
}


def dialect(preset: str) -> Dialect:
    return DIALECTS.get(preset, _OPENAI)


def spoken_at(base_url: str) -> str:
    """The preset whose dialect is spoken at an address."""
    host = f".{urlsplit(base_url).hostname}"
    found = (preset for domain, preset in _DOMAINS.items() if host.endswith(f".{domain}"))
    return next(found, "custom-api")
