"""How gunicorn serves the site: ``gunicorn -c python:templategen.gunicorn_config templategen.wsgi --bind ADDRESS``.

SIGTERM closes the door, lets what runs go on for ``graceful_timeout`` seconds, then ends it. Nothing is lost by that: a
clip's bytes do not come through here, and what a page was told is in the database. A flag on the command line wins.
"""

import os
from pathlib import Path

worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 8
# A process whose loop has stood still for so many seconds is replaced; a long request in a thread is none.
timeout = 60
# The longest request (finishing a large upload) makes three calls to OSS.
graceful_timeout = 25
keepalive = 5
loglevel = "warning"
logger_class = "templategen.gunicorn_log.SiteLogger"
control_socket_disable = True
if Path("/dev/shm").is_dir():  # noqa: S108 -- gunicorn makes an unlinked file of its own in it
    # A heartbeat file on a slow disk makes gunicorn think its workers hang.
    worker_tmp_dir = "/dev/shm"  # noqa: S108
