"""Cross-origin rules of a bucket: stored, validated, applied (help page "PutBucketCors" and "OptionObject")."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from templategen.sandbox.http import Request, Response
from templategen.sandbox.oss.errors import OssError
from templategen.sandbox.oss.xml import Node, malformed, read_xml

_METHODS = ("GET", "PUT", "DELETE", "POST", "HEAD")
_MAX_RULES = 10


@dataclass(frozen=True)
class CorsRule:
    """One rule, with the field names of its XML."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    expose: tuple[str, ...]
    max_age: int | None

    def allows(self, origin: str, method: str, headers: Iterable[str] = ()) -> bool:
        """Whether this rule lets `origin` use `method` with these request headers."""
        return (
            any(_matches(pattern, origin) for pattern in self.origins)
            and method in self.methods
            and all(any(_matches(p.lower(), h.lower()) for p in self.headers) for h in headers)
        )


def parse_rules(request: Request) -> str:
    """The rules of a PutBucketCors body as text for the store; raises OssError."""
    root = read_xml(request, "CORSConfiguration")
    rules = []
    for node in root.findall("CORSRule"):
        texts = {
            name: tuple((child.text or "").strip() for child in node.findall(name))
            for name in ("AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader")
        }
        age = (node.findtext("MaxAgeSeconds") or "").strip()
        _check(texts, age)
        rules.append(
            CorsRule(
                texts["AllowedOrigin"],
                texts["AllowedMethod"],
                texts["AllowedHeader"],
                texts["ExposeHeader"],
                int(age) if age else None,
            )
        )
    if not rules:
        raise malformed()
    if len(rules) > _MAX_RULES:
        raise OssError(400, "InvalidArgument", "A bucket can have at most 10 CORS rules.")
    return json.dumps([asdict(rule) for rule in rules])


def _check(texts: dict[str, tuple[str, ...]], age: str) -> None:
    if not texts["AllowedOrigin"] or not texts["AllowedMethod"]:
        raise malformed()
    for method in texts["AllowedMethod"]:
        if method not in _METHODS:
            raise OssError(400, "InvalidArgument", "The allowed method must be GET, PUT, DELETE, POST or HEAD.")
    for pattern in (*texts["AllowedOrigin"], *texts["AllowedHeader"]):
        if not pattern or pattern.count("*") > 1:
            raise OssError(400, "InvalidArgument", "An allowed origin or header may hold one * at most.")
    if any("*" in name for name in texts["ExposeHeader"]):
        raise OssError(400, "InvalidArgument", "An exposed header may hold no *.")
    if age and (not age.isdigit() or int(age) > 999_999_999):
        raise OssError(400, "InvalidArgument", "MaxAgeSeconds must be between 0 and 999999999.")


def load_rules(text: str | None) -> tuple[CorsRule, ...]:
    """The rules from the store."""
    fields = json.loads(text) if text else []
    return tuple(
        CorsRule(tuple(f["origins"]), tuple(f["methods"]), tuple(f["headers"]), tuple(f["expose"]), f["max_age"])
        for f in fields
    )


def rules_xml(rules: Iterable[CorsRule]) -> list[Node]:
    """The content of a GetBucketCors answer."""
    nodes: list[Node] = []
    for rule in rules:
        children: list[Node] = [("AllowedOrigin", o) for o in rule.origins]
        children += [("AllowedMethod", m) for m in rule.methods]
        children += [("AllowedHeader", h) for h in rule.headers]
        children += [("ExposeHeader", e) for e in rule.expose]
        if rule.max_age is not None:
            children.append(("MaxAgeSeconds", str(rule.max_age)))
        nodes.append(("CORSRule", children))
    return [*nodes, ("ResponseVary", "true")]


def preflight(request: Request, rules: tuple[CorsRule, ...]) -> Response:
    """The answer to a browser's OPTIONS; raises OssError 403 when no rule allows what it asks."""
    origin, method = request.header("origin"), request.header("access-control-request-method")
    if not origin or not method:
        raise OssError(
            400, "BadRequest", "A CORS preflight needs the headers Origin and Access-Control-Request-Method."
        )
    wanted = [h.strip() for h in request.header("access-control-request-headers").split(",") if h.strip()]
    for rule in rules:
        if rule.allows(origin, method, wanted):
            headers = _allow(rule, origin)
            if wanted:
                headers["Access-Control-Allow-Headers"] = ", ".join(wanted)
            if rule.max_age is not None:
                headers["Access-Control-Max-Age"] = str(rule.max_age)
            return Response(200, headers)
    reason = "no rule allows this origin, method and headers" if rules else "CORS is not enabled for this bucket"
    raise OssError(403, "AccessForbidden", f"CORSResponse: {reason}.")


def answer_headers(request: Request, rules: tuple[CorsRule, ...]) -> dict[str, str]:
    """What to add to a plain answer so that a page of the request's origin may read it."""
    if not rules:
        return {}
    origin = request.header("origin")
    for rule in rules:
        if origin and rule.allows(origin, request.method):
            return _allow(rule, origin)
    return {"Vary": "Origin"}


def _allow(rule: CorsRule, origin: str) -> dict[str, str]:
    headers = {
        "Access-Control-Allow-Origin": "*" if "*" in rule.origins else origin,
        "Access-Control-Allow-Methods": ", ".join(rule.methods),
        "Vary": "Origin",
    }
    if rule.expose:
        headers["Access-Control-Expose-Headers"] = ", ".join(rule.expose)
    return headers


def _matches(pattern: str, text: str) -> bool:
    if "*" not in pattern:
        return pattern == text
    start, _, end = pattern.partition("*")
    return len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end)
