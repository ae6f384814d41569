"""Lifecycle rules of a bucket: validated and kept, not carried out (help page "PutBucketLifecycle")."""

import re
import secrets
from xml.etree import ElementTree

from templategen.sandbox.http import Request
from templategen.sandbox.oss.errors import OssError
from templategen.sandbox.oss.xml import malformed, read_xml, text_of

_MAX_RULES = 1000
_MIDNIGHT = re.compile(r"\d{4}-\d{2}-\d{2}T00:00:00(\.000)?Z")


def parse_lifecycle(request: Request) -> str:
    """The body of a PutBucketLifecycle as XML for the store, with IDs where the client gave none; raises OssError."""
    root = read_xml(request, "LifecycleConfiguration")
    rules = root.findall("Rule")
    if not rules or len(rules) != len(root):
        raise malformed()
    if len(rules) > _MAX_RULES:
        raise OssError(400, "InvalidArgument", "A bucket can have at most 1000 lifecycle rules.")
    seen: set[str] = set()
    for rule in rules:
        _check_rule(rule)
        name = text_of(rule, "ID")
        if name in seen:
            raise OssError(400, "InvalidArgument", "Each lifecycle rule needs an ID of its own.")
        seen.add(name)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _check_rule(rule: ElementTree.Element) -> None:
    if rule.find("Prefix") is None:
        raise malformed()
    if text_of(rule, "Status") not in ("Enabled", "Disabled"):
        raise malformed()
    if not text_of(rule, "ID"):
        for empty in rule.findall("ID"):
            rule.remove(empty)
        node = ElementTree.Element("ID")
        node.text = secrets.token_hex(16)
        rule.insert(0, node)
    actions = [node for node in rule if node.tag in ("Expiration", "AbortMultipartUpload", "Transition")]
    if not actions:
        raise malformed()
    for node in actions:
        _check_when(node)


def _check_when(node: ElementTree.Element) -> None:
    days, before = text_of(node, "Days"), text_of(node, "CreatedBeforeDate") or text_of(node, "Date")
    if bool(days) == bool(before):
        raise OssError(
            400,
            "InvalidArgument",
            f"{node.tag} needs Days or CreatedBeforeDate, and only one of them.",
            "0014-00000073" if node.tag == "AbortMultipartUpload" else "",
        )
    if days and (not days.isdigit() or int(days) < 1 or len(days) > 9):
        raise OssError(400, "InvalidArgument", "Days in a lifecycle action must be a positive number.")
    if before and not _MIDNIGHT.fullmatch(before):
        raise OssError(400, "InvalidArgument", "The date of a lifecycle action must be midnight UTC in ISO 8601.")
