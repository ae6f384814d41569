"""Every change that a person or a job can make to templates and clips.

Called by pages, jobs and commands alike. Rows are written in short transactions; none is open across the network.
Expected failures are ActionError and its kinds, with a text for people; each interface turns them into its own form.
"""

from templategen.actions.cancel import cancel, carry_out_cancel
from templategen.actions.decide import delete, rename, restore, retry
from templategen.actions.errors import (
    ActionError,
    IncompleteError,
    NotPossibleError,
    QuotaError,
    RefusedError,
    ServiceTroubleError,
    StorageTroubleError,
)
from templategen.actions.names import clean_file_name, clean_name
from templategen.actions.queue import ring
from templategen.actions.undecided import adopt, call_lost, look_again, may_be_called_lost, resubmit
from templategen.actions.upload import (
    PART_SIZE,
    UploadProgress,
    abort_upload,
    begin_upload,
    finish_upload,
    sign_parts,
    upload_file,
    upload_progress,
)

__all__ = [
    "PART_SIZE",
    "ActionError",
    "IncompleteError",
    "NotPossibleError",
    "QuotaError",
    "RefusedError",
    "ServiceTroubleError",
    "StorageTroubleError",
    "UploadProgress",
    "abort_upload",
    "adopt",
    "begin_upload",
    "call_lost",
    "cancel",
    "carry_out_cancel",
    "clean_file_name",
    "clean_name",
    "delete",
    "finish_upload",
    "look_again",
    "may_be_called_lost",
    "rename",
    "restore",
    "resubmit",
    "retry",
    "ring",
    "sign_parts",
    "upload_file",
    "upload_progress",
]
