"""Reading and writing the XML bodies of OSS."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeAlias
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from templategen.sandbox.http import BodyTooLargeError, Request, Response
from templategen.sandbox.oss.errors import OssError, printable

MAX_BODY = 4 << 20
Node: TypeAlias = "tuple[str, str | Iterable[Node]]"


def read_xml(request: Request, root_name: str) -> ElementTree.Element:
    """The root of the request's body; raises OssError MalformedXML, also for anything that declares entities."""
    try:
        body = request.body.read_all(MAX_BODY)
    except BodyTooLargeError:
        raise OssError(400, "MalformedXML", "The XML you provided was larger than allowed.") from None
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise malformed()
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  (bodies with entities were refused above)
    except (ElementTree.ParseError, ValueError, LookupError):
        raise malformed() from None
    for node in root.iter():  # namespaces are accepted and ignored
        node.tag = node.tag.rpartition("}")[2]
    if root.tag != root_name:
        raise malformed()
    return root


def malformed() -> OssError:
    """The refusal for a body that is not what the call needs."""
    return OssError(
        400,
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema.",
    )


def text_of(node: ElementTree.Element, name: str) -> str:
    """The stripped text of a child, or an empty text."""
    return (node.findtext(name) or "").strip()


def write_xml(name: str, nodes: Iterable[Node]) -> bytes:
    """A document from nested (name, text or children) pairs."""
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + _node(name, nodes) + "\n").encode()


def xml_response(name: str, nodes: Iterable[Node]) -> Response:
    """Status 200 with such a document."""
    return Response(200, {"Content-Type": "application/xml"}, write_xml(name, nodes))


def _node(name: str, content: "str | Iterable[Node]") -> str:
    inner = escape(printable(content)) if isinstance(content, str) else "".join(_node(*child) for child in content)
    return f"<{name}>{inner}</{name}>"


def iso_time(seconds: float) -> str:
    """`2026-11-22T18:30:00.000Z`, as OSS writes times in XML."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def key_text(key: str, encoding_type: str) -> str:
    """A key for a listing, percent-encoded where the client asked for it."""
    return quote(key, safe="") if encoding_type == "url" else key
