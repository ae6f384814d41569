"""What a file is by its first bytes, never by its name. Runs inside the probe's child."""

HEAD = 1024
"""Bytes that `sniff` wants to see."""

_MAGIC = (
    (b"\x89PNG\r\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"%PDF", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"Rar!", "rar"),
    (b"7z\xbc\xaf", "7z"),
    (b"\x1f\x8b", "gzip"),
    (b"ID3", "mp3"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"FLV\x01", "flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x00\x00\x01\xb3", "mpeg"),
    (b".RMF", "rm"),
    (b"#EXTM3U", "m3u8"),
    (b"\x00\x00\x00\x01\x67", "h264_raw"),
    (b"\x00\x00\x00\x01\x40", "hevc_raw"),
)
_RIFF = {b"AVI ": "avi", b"WAVE": "wav", b"WEBP": "webp"}
_BRANDS = {
    b"qt  ": "mov",
    b"heic": "heif",
    b"heix": "heif",
    b"mif1": "heif",
    b"msf1": "heif",
    b"avif": "avif",
    b"avis": "avif",
    b"crx ": "cr3",
    b"jp2 ": "jp2",
    b"mjp2": "mj2",
    b"M4A ": "m4a",
    b"M4B ": "m4a",
}
# Boxes that a QuickTime file without an ftyp box may begin with.
_OLD_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
VIDEO_CONTAINERS = frozenset({"matroska", "webm", "flv", "asf", "mpeg", "mpegts", "rm", "ogg", "3gp", "3g2", "mj2"})
"""Other containers that may hold a video: worth saying "re-wrap it" instead of "not a video"."""


def sniff(head: bytes) -> str:
    """One of "mp4", "mov", "avi", or the name of what else it is; "text", "zeros", "unknown" at the end of wits."""
    if head[:4] in {b"RIFF", b"RIFX"}:
        return _RIFF.get(head[8:12], "riff")
    if head[4:8] == b"ftyp":
        return _brand(head[8:12])
    if head[4:8] in _OLD_QUICKTIME:
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "webm" if b"webm" in head[:64] else "matroska"
    if head[:1] == b"\x47" and head[188:189] == b"\x47":
        return "mpegts"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "") or _wordy(head)


def _brand(brand: bytes) -> str:
    """By the MP4 registration authority's list: `3g…` are 3GPP files, `qt` QuickTime; the rest is MP4's family."""
    if brand[:2] == b"3g":
        return "3g2" if brand[:3] == b"3g2" else "3gp"
    return _BRANDS.get(brand, "mp4")


def _wordy(head: bytes) -> str:
    if not head.strip(b"\x00"):
        return "zeros"
    start = head[3:] if head.startswith(b"\xef\xbb\xbf") else head
    start = start.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "html"
    if start.startswith((b"<?xml", b"<svg")):
        return "xml"
    return "text" if b"\x00" not in head and not any(byte < 9 or 13 < byte < 32 for byte in head) else "unknown"
