"""How passwords are kept."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2Hasher(Argon2PasswordHasher):
    """Argon2id with OWASP's first parameters (Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane).

    Django's own take 100 MiB for each sign-in: sixteen at once, as many as ``up`` answers, would fill a small machine.
    """

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1
