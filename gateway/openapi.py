"""The services' OpenAPI documents as the outside sees them: only what is routed, one identity."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.routing import ROUTES, Route

Document = dict[str, Any]

_METHODS = frozenset(("get", "put", "post", "delete", "options", "head", "patch", "trace"))
_SERVERS = [{"url": "/api"}]
_IDENTITY: list[dict[str, list[str]]] = [{"ApiToken": []}, {"Bearer": []}]
_SECURITY_SCHEMES = {
    "ApiToken": {
        "type": "apiKey",
        "in": "header",
        "name": "Api-Token",
        "description": "A user's token: minted by the host app, or given by a sign-in. 用户令牌。",
    },
    "Bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (c2l-...). API 密钥。",
    },
}


def outside_view(document: Mapping[str, Any], service: str) -> Document:
    """A service's document: the operations that the gateway routes to it, and what they use."""
    routed = {
        (r.path.replace(":path}", "}"), r.method.lower()): r
        for r in ROUTES
        if r.upstream == service
    }
    paths: Document = {}
    for path, item in document.get("paths", {}).items():
        operations = {
            method: _operation(operation, routed[path, method])
            for method, operation in item.items()
            if (path, method) in routed
        }
        if operations:
            paths[path] = {k: v for k, v in item.items() if k not in _METHODS} | operations
    return _document(document.get("info", {}), paths, _used(document, paths))


def own_view(document: Mapping[str, Any]) -> Document:
    """The gateway's own document: every route of it is public."""
    paths = {
        path: {method: operation | {"security": []} for method, operation in item.items()}
        for path, item in document["paths"].items()
    }
    return _document(document["info"], paths, _used(document, paths))


def merged(documents: Mapping[str, Document], *, title: str, version: str) -> Document:
    """One document of several; schema names get their service's name, so none can clash."""
    paths: Document = {}
    schemas: Document = {}
    for service, document in documents.items():
        renamed = _rename(document, service)
        for path, item in renamed["paths"].items():
            paths.setdefault(path, {}).update(item)
        own = renamed["components"].get("schemas", {})
        schemas |= {f"{service}.{name}": schema for name, schema in own.items()}
    return _document({"title": title, "version": version}, paths, schemas)


def _operation(operation: Mapping[str, Any], route: Route) -> Document:
    shown = dict(operation)
    if route.public:
        shown["security"] = []
    if route.scope:
        needs = f"Scope 权限: `{route.scope}`"
        shown["description"] = "\n\n".join(filter(None, (shown.get("description"), needs)))
    return shown


def _document(info: Mapping[str, Any], paths: Document, schemas: Document) -> Document:
    return {
        "openapi": "3.1.0",
        "info": dict(info),
        "servers": _SERVERS,
        "security": _IDENTITY,
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY_SCHEMES},
    }


def _used(document: Mapping[str, Any], paths: Document) -> Document:
    """The schemas that the paths refer to, directly or through others."""
    schemas = document.get("components", {}).get("schemas", {})
    used: Document = {}
    waiting = list(_references(paths))
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in used:
            used[name] = schemas[name]
            waiting += _references(schemas[name])
    return dict(sorted(used.items()))


def _references(node: Any) -> Iterable[str]:
    if isinstance(node, Mapping):
        reference = node.get("$ref")
        if isinstance(reference, str):
            yield reference.rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _rename(node: Any, service: str) -> Any:
    if isinstance(node, Mapping):
        renamed = {key: _rename(value, service) for key, value in node.items()}
        reference = node.get("$ref")
        if isinstance(reference, str):
            folder, slash, name = reference.rpartition("/")
            renamed["$ref"] = f"{folder}{slash}{service}.{name}"
        if isinstance(node.get("operationId"), str):
            renamed["operationId"] = f"{service}_{node['operationId']}"
        return renamed
    return [_rename(value, service) for value in node] if isinstance(node, list) else node
