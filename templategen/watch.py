"""Looks at open tasks: per credential, within its limit of queries, several under way at once."""
