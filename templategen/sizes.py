"""Sizes in words, in millions and thousands of millions of bytes, as Alibaba's limits and the product's count them."""

from django.utils.formats import number_format
from django.utils.translation import gettext as _


def size_in_words(size: int) -> str:
    """``274.3 MB``, from a thousand on ``1.2 GB``; what is not nothing is at least 0.1 MB."""
    if size >= 1_000_000_000:
        return _("%(size)s GB") % {"size": number_format(size / 1_000_000_000, 1)}
    return _("%(size)s MB") % {"size": number_format(max(size, 50_000 if size else 0) / 1_000_000, 1)}
