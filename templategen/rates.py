"""Tokens for queries: so many a second, evenly spaced."""
