"""How each vendor answers and fails, as its documentation shows it: what the tests play back.

The table in docs/vendors.md is made of this, so what is not here is listed as untested.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chat_service.errors import (
    ModelBroken,
    ModelBusy,
    ModelError,
    ModelExhausted,
    ModelFiltered,
    ModelRefused,
    ModelTooLong,
    ModelUnreachable,
)
from tests.fakes.vendor import DONE, Behaviour, answer_json, chunks, data, status

ERRORS: Mapping[str, type[ModelError]] = {
    "key": ModelRefused,
    "no_model": ModelRefused,
    "quota": ModelExhausted,
    "busy": ModelBusy,
    "filtered": ModelFiltered,
    "too_long": ModelTooLong,
    "down": ModelUnreachable,
    "midway": ModelBroken,
}
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


@dataclass(frozen=True, slots=True)
class Spoken:
    """One vendor: its streamed answer 你好 with what it thought, its whole one, and its errors.

    `without`: kinds of error that the vendor has not. `midway` errors come after 你好.
    """

    documentation: str
    stream: tuple[bytes, ...]
    whole: Mapping[str, Any]
    errors: Mapping[str, Behaviour]
    thoughts: str = ""
    temperatures: tuple[float, float] = (0, 2)
    without: frozenset[str] = frozenset()
    also: Mapping[str, tuple[Behaviour, type[ModelError]]] = field(default_factory=dict)


def _chunk(delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return data(
        {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        | {"choices": [choice]}
        | more
    )


def _said(text: str, **more: Any) -> bytes:
    return _chunk({"content": text}, **more)


def _whole(told: Mapping[str, Any] | None = None, /, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": "你好"} | dict(told or {})
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return {"id": "c1", "object": "chat.completion", "choices": choices, "usage": USAGE} | more


def _error(code: Any, message: str, kind: str = "invalid_request_error", **more: Any) -> Any:
    return {"error": {"code": code, "message": message, "type": kind} | more}


_ROLE = _chunk({"role": "assistant", "content": ""})
_STOP = _chunk({}, "stop")
_USAGE = data({"id": "c1", "choices": [], "usage": USAGE})
_MIDWAY = chunks([_said("你好"), data(_error("server_error", "overloaded", "server_error"))])

SPOKEN: Mapping[str, Spoken] = {
    "openai-api": Spoken(
        "https://developers.openai.com/docs/guides/error-codes",
        # Azure begins with a chunk of its filter's results, without a choice.
        (
            data({"id": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}),
            _ROLE,
            _said("你"),
            _said("好"),
            _STOP,
            _USAGE,
            DONE,
        ),
        _whole(),
        {
            "key": status(401, _error("invalid_api_key", "Incorrect API key provided: k-very-sec")),
            "no_model": status(404, _error("model_not_found", "The model `m` does not exist")),
            "quota": status(
                429, _error("insufficient_quota", "You exceeded your quota", "insufficient_quota")
            ),
            "busy": status(429, _error("rate_limit_exceeded", "Rate limit reached", "requests")),
            "filtered": status(400, _error("content_filter", "management policy", param="prompt")),
            "too_long": status(400, _error("context_length_exceeded", "maximum context length")),
            "down": status(500, _error(None, "The server had an error", "server_error")),
            "midway": _MIDWAY,
        },
        also={
            "credit balance exhausted": (
                status(429, _error("credit_balance_exhausted", "no credits", "insufficient_quota")),
                ModelExhausted,
            ),
            "filtered at the end": (
                chunks([_said("你好"), _chunk({}, "content_filter"), DONE]),
                ModelFiltered,
            ),
        },
    ),
    "zhipu-api": Spoken(
        "https://docs.z.ai/api-reference/api-code",
        (
            _chunk({"role": "assistant", "reasoning_content": "想"}),
            _said("你"),
            _said("好"),
            _chunk({"role": "assistant", "content": ""}, "stop", usage=USAGE),
            DONE,
        ),
        _whole({"reasoning_content": "想"}),
        {
            "key": status(401, {"error": {"code": "1002", "message": "Authorization Token非法"}}),
            "no_model": status(400, {"error": {"code": "1211", "message": "模型不存在"}}),
            "quota": status(429, {"error": {"code": "1113", "message": "您的账户已欠费"}}),
            "busy": status(429, {"error": {"code": "1302", "message": "当前API的并发数过高"}}),
            "filtered": status(
                400,
                {
                    "contentFilter": [{"level": 1, "role": "user"}],
                    "error": {
                        "code": "1301",
                        "message": "系统检测到输入或生成内容可能包含不安全内容",
                    },
                },
            ),
            "too_long": status(
                400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}}
            ),
            "down": status(500, {"error": {"code": "1234", "message": "网络错误"}}),
            "midway": chunks([_said("你好"), _chunk({}, "network_error"), DONE]),
        },
        thoughts="想",
        temperatures=(0.01, 0.99),
        also={
            "filtered at the end": (
                chunks([_said("你好"), _chunk({}, "sensitive"), DONE]),
                ModelFiltered,
            ),
            "busy with status 200": (
                answer_json({"error": {"code": "1305", "message": "访问量过大"}}),
                ModelBusy,
            ),
            "older body with status 200": (
                answer_json({"code": 1302, "msg": "并发数过高", "success": False}),
                ModelBusy,
            ),
        },
    ),
    "qwen-api": Spoken(
        "https://help.aliyun.com/zh/dashscope/return-status-code-description",
        (
            _chunk({"role": "assistant", "content": None, "reasoning_content": ""}, usage=None),
            _chunk({"content": None, "reasoning_content": "想"}, usage=None),
            _said("你", usage=None),
            _said("好", usage=None),
            _chunk({"content": ""}, "stop", usage=None),
            _USAGE,
            DONE,
        ),
        _whole({"reasoning_content": "想"}),
        {
            "key": status(401, _error("invalid_api_key", "Incorrect API key provided.")),
            "no_model": status(404, _error("model_not_found", "The model does not exist")),
            "quota": status(400, _error("Arrearage", "Access denied", "Arrearage")),
            "busy": status(
                429, _error("limit_requests", "You exceeded your current requests list")
            ),
            "filtered": status(
                400,
                _error("data_inspection_failed", "Input data may contain inappropriate content."),
            ),
            "too_long": status(
                400, _error("invalid_parameter_error", "Range of input length should be [1, 98304]")
            ),
            "down": status(500, _error("InternalError", "Internal server error.", "InternalError")),
            "midway": _MIDWAY,
        },
        thoughts="想",
        temperatures=(0, 1.99),
        also={
            "filtered in the stream": (
                chunks(
                    [
                        _said("你好"),
                        data(_error("data_inspection_failed", "Output data may contain")),
                    ]
                ),
                ModelFiltered,
            ),
            "an event called error": (
                chunks(
                    [
                        b"event:error\n",
                        b":HTTP_STATUS/400\n",
                        b'data:{"code":"DataInspectionFailed","message":"inappropriate"}\n\n',
                    ]
                ),
                ModelFiltered,
            ),
        },
    ),
    "qianfan-api": Spoken(
        "https://cloud.baidu.com/doc/qianfan-api/s/Om9b4yj3w",
        (
            _chunk({"role": "assistant", "content": "你"}),
            _said("好"),
            data(
                {
                    "id": "as-1",
                    "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}],
                    "usage": USAGE,
                }
            ),
            DONE,
        ),
        _whole(),
        {
            "key": status(401, _error("invalid_iam_token", "IAM Certification failed")),
            "no_model": status(400, _error("invalid_model", "the model is not supported")),
            "quota": answer_json(
                {"error_code": 17, "error_msg": "Open api daily request limit reached"}
            ),
            "busy": status(429, _error("rpm_rate_limit_exceeded", "Rate limit reached for RPM")),
            "filtered": chunks([_chunk({"content": ""}, "content_filter"), DONE]),
            "too_long": status(400, _error("tokens_too_long", "Prompt tokens too long")),
            "down": answer_json({"error_code": 2, "error_msg": "Service temporarily unavailable"}),
            "midway": chunks(
                [_said("你好"), b'data: {"error_code":336000,"error_msg":"Internal error"}\n\n']
            ),
        },
        temperatures=(0.01, 1),
        also={
            "key with status 200": (
                answer_json({"error_code": 110, "error_msg": "Access token invalid"}),
                ModelRefused,
            ),
            "filtered with status 403": (
                status(403, _error("system_unsafe", "the content of system field is unsafe")),
                ModelFiltered,
            ),
            "JSON where a stream was promised": (
                chunks([b'{"error_code":18,"error_msg":"Open api qps request limit reached"}']),
                ModelBusy,
            ),
        },
    ),
    "xinghuo-api": Spoken(
        "https://www.xfyun.cn/doc/spark/HTTP%E8%B0%83%E7%94%A8%E6%96%87%E6%A1%A3.html",
        (
            _chunk({"role": "assistant", "content": "你"}, code=0, message="Success", sid="s1"),
            _chunk({"content": "好"}, code=0, message="Success", sid="s1"),
            _chunk({"content": ""}, code=0, message="Success", sid="s1", usage=USAGE),
            b"data:[DONE]\n\n",
        ),
        _whole(code=0, message="Success", sid="s1"),
        {
            "key": status(401, {"message": "HMAC signature cannot be verified"}),
            "no_model": status(404, {"message": "no Route matched with those values"}),
            "quota": answer_json({"code": 11201, "message": "daily limit", "sid": "s1"}),
            "busy": answer_json({"code": 11202, "message": "licc limit: qps", "sid": "s1"}),
            "filtered": chunks([b'data:{"code":10013,"message":"content audit","sid":"s1"}\n\n']),
            "too_long": status(200, {"error": {"code": "10907", "message": "token over limit"}}),
            "down": status(500, {"message": "An unexpected error occurred"}),
            "midway": chunks(
                [_said("你好"), b'data:{"code":10110,"message":"service busy","sid":"s1"}\n\n']
            ),
        },
        temperatures=(0.01, 1),
        also={
            "filtered in the stream": (
                chunks([_said("你好"), b'data:{"code":10014,"message":"audit","sid":"s1"}\n\n']),
                ModelFiltered,
            ),
        },
    ),
    "deepseek-api": Spoken(
        "https://api-docs.deepseek.com/quick_start/error_codes",
        (
            b": keep-alive\n\n",
            _chunk({"role": "assistant", "content": None, "reasoning_content": ""}),
            _chunk({"content": None, "reasoning_content": "想"}),
            b": keep-alive\n\n",
            _said("你"),
            _said("好"),
            _chunk({"content": ""}, "stop"),
            _USAGE,
            DONE,
        ),
        _whole({"reasoning_content": "想"}),
        {
            "key": status(
                401, _error("invalid_request_error", "Authentication Fails", "authentication_error")
            ),
            "no_model": status(400, _error("invalid_request_error", "Model Not Exist")),
            "quota": status(
                402, _error("invalid_request_error", "Insufficient Balance", "unknown_error")
            ),
            "busy": status(429, _error("rate_limit_reached", "Rate Limit Reached", "x")),
            "filtered": status(400, _error("invalid_request_error", "Content Exists Risk")),
            "too_long": status(
                400,
                _error("invalid_request_error", "This model's maximum context length is 131072"),
            ),
            "down": status(503, _error("service_unavailable_error", "Server Overloaded", "x")),
            "midway": chunks([_said("你好"), _chunk({}, "insufficient_system_resource"), DONE]),
        },
        thoughts="想",
    ),
    "moonshot-api": Spoken(
        "https://platform.kimi.ai/docs/api/errors",
        (
            _ROLE,
            _chunk({"reasoning_content": "想"}),
            _said("你"),
            _said("好"),
            data(
                {
                    "id": "c1",
                    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}],
                }
            ),
            DONE,
        ),
        _whole({"reasoning_content": "想"}),
        {
            "key": status(
                401, _error(None, "Invalid Authentication", "invalid_authentication_error")
            ),
            "no_model": status(
                404, _error(None, "Not found the model", "resource_not_found_error")
            ),
            "quota": status(
                429, _error(None, "Your account is suspended", "exceeded_current_quota_error")
            ),
            "busy": status(
                429, _error(None, "The engine is overloaded", "engine_overloaded_error")
            ),
            "filtered": status(400, _error(None, "considered high risk", "content_filter")),
            "too_long": status(400, _error(None, "Input token length too long")),
            "down": status(500, _error(None, "unexpected", "unexpected_output")),
            "midway": _MIDWAY,
        },
        thoughts="想",
        temperatures=(0, 1),
    ),
    "ollama": Spoken(
        "https://docs.ollama.com/api/openai-compatibility",
        (
            _chunk({"role": "assistant", "content": "", "reasoning": "想"}),
            _said("你"),
            _said("好"),
            _STOP,
            _USAGE,
            DONE,
        ),
        _whole({"reasoning": "想"}),
        {
            "key": status(401, _error(None, "unauthorized", "authentication_error")),
            "no_model": status(404, _error(None, "model 'm' not found", "not_found_error")),
            "busy": status(429, _error(None, "too many requests", "api_error")),
            "down": status(503, {"error": "server busy, please try again"}),
            "midway": chunks([_said("你好"), data({"error": {"message": "runner terminated"}})]),
        },
        thoughts="想",
        without=frozenset({"quota", "filtered", "too_long"}),
    ),
    "custom-api": Spoken(  # vLLM
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        (
            _ROLE,
            _said("<think>", usage=None),
            _said("想"),
            _said("</think>\n\n"),
            _said("你"),
            _said("好"),
            _chunk({"content": ""}, "stop", usage=None),
            _USAGE,
            DONE,
        ),
        _whole({"content": "<think>想</think>\n\n你好"}),
        {
            "key": status(401, {"error": "Unauthorized"}),
            "no_model": status(
                404,
                {"object": "error", "message": "no", "type": "NotFoundError", "code": 404},
            ),
            "busy": status(429, _error(429, "too many requests", "TooManyRequests")),
            "too_long": status(
                400, _error(400, "This model's maximum context length is 4096", "BadRequestError")
            ),
            "down": status(503, _error(503, "the engine is dead", "ServiceUnavailable")),
            "midway": chunks(
                [_said("你好"), data(_error(500, "died", "InternalServerError")), DONE]
            ),
        },
        thoughts="想",
        without=frozenset({"quota", "filtered"}),
        also={
            "MiniMax's balance with status 200": (
                answer_json(
                    {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "balance"}}
                ),
                ModelExhausted,
            ),
            "an error in the stream that names its status": (
                chunks([data({"object": "error", "message": "not ready", "code": 503})]),
                ModelUnreachable,
            ),
        },
    ),
    "local": Spoken(  # llama.cpp
        "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        (_ROLE, _said("你"), _said("好"), _STOP, data({"choices": [], "usage": USAGE}), DONE),
        _whole(timings={"predicted_ms": 1.5}),
        {
            "key": status(401, _error(401, "Invalid API Key", "authentication_error")),
            "no_model": status(404, _error(404, "File Not Found", "not_found_error")),
            "too_long": status(
                400, _error(400, "the request exceeds", "exceed_context_size_error", n_ctx=4096)
            ),
            "down": status(503, _error(503, "Loading model", "unavailable_error")),
            "midway": chunks([_said("你好"), data(_error(500, "slot failed", "server_error"))]),
        },
        without=frozenset({"quota", "filtered", "busy"}),
    ),
}
