"""Sizes in words, in powers of ten as Alibaba's limits count them; static/js/uploader/format.js writes them alike."""

from django.utils.formats import number_format
from django.utils.translation import gettext as _

_KILO, _MEGA, _GIGA = 1_000, 1_000_000, 1_000_000_000


def size_in_words(size: int) -> str:
    """``755 kB``, ``274.3 MB``, ``1.2 GB``: rounded; what is not nothing is at least 1 kB."""
    if size < 999_500:
        kilobytes = number_format(max(_rounded(size, _KILO) // _KILO, 1 if size else 0), decimal_pos=0)
        return _("%(size)s kB") % {"size": kilobytes}
    if size < 999_950_000:
        return _("%(size)s MB") % {"size": in_unit(size, _MEGA)}
    return _("%(size)s GB") % {"size": in_unit(size, _GIGA)}


def in_unit(size: int, unit: int) -> str:
    """With one decimal, rounded: Django's number_format alone cuts."""
    return number_format(_rounded(size, unit // 10) / unit, 1, force_grouping=True)


def left_in_words(limit: int, *taken: int) -> str:
    """What is left of a limit, so that it adds up with the sizes taken as they are shown beside the limit."""
    step = _KILO if limit < 999_500 else _MEGA // 10 if limit < 999_950_000 else _GIGA // 10
    return size_in_words(max(_rounded(limit, step) - sum(_rounded(size, step) for size in taken), 0))


def _rounded(size: int, step: int) -> int:
    """To a multiple of the step, halves up."""
    return (size + step // 2) // step * step
