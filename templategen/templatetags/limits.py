"""The documented limits in words, for the pages that take files in."""

from django import template

from templategen.finding_texts import limit_in_words as one_limit
from templategen.finding_texts import limits_sentence as sentence
from templategen.finding_texts import rules_in_words as rules

register = template.Library()


@register.simple_tag
def limits_sentence() -> str:
    """All limits in one sentence."""
    return sentence()


@register.simple_tag
def limit_in_words(rule: str) -> str:
    """One limit alone."""
    return one_limit(rule)


@register.simple_tag
def rules_in_words() -> list[str]:
    """Each limit in a line of its own."""
    return list(rules())
