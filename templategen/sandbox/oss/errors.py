"""Refusals of the storage side, as OSS words them."""

import base64
from collections.abc import Mapping
from xml.sax.saxutils import escape

from templategen.sandbox.http import Response


class OssError(Exception):
    """A refusal: HTTP status, code, message, EC (Alibaba's finer error number) and further XML fields."""

    def __init__(
        self, status: int, code: str, message: str, ec: str = "", fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.ec = ec
        self.fields = dict(fields or {})


def error_response(error: OssError, request_id: str, host: str) -> Response:
    """The refusal as XML. The header `x-oss-err` carries it too, as OSS does for HEAD, which has no body."""
    fields = {
        "Code": error.code,
        "Message": error.message,
        "RequestId": request_id,
        "HostId": host,
        **error.fields,
    }
    if error.ec:
        fields["EC"] = error.ec
        fields["RecommendDoc"] = f"https://api.aliyun.com/troubleshoot?q={error.ec}"
    lines = "".join(f"  <{name}>{escape(printable(value))}</{name}>\n" for name, value in fields.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n{lines}</Error>\n'.encode()
    headers = {"Content-Type": "application/xml"}
    if error.ec:
        headers["x-oss-ec"] = error.ec
    if len(body) < 4096:
        headers["x-oss-err"] = base64.b64encode(body).decode()
    return Response(error.status, headers, body)


def printable(text: str) -> str:
    """XML 1.0 cannot hold control characters, not even escaped."""
    return "".join(c if c in "\t\n" or c >= " " else "?" for c in text)
