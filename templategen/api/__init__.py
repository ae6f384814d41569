"""The JSON API, version 1: read only so far. Errors have the shape of the pages' JSON: ``{"error": {code, text}}``."""
