"""How a plain form post is received."""

from django.core.files.uploadhandler import FileUploadHandler


class TooLargeHandler(FileUploadHandler):
    """Placeholder until the form post is built."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        """Pass on."""
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """Nothing to give."""
        return
