"""A local stand-in for Alibaba OSS and DashScope, for trying out, developing and testing.

Its own process. It imports nothing of the product, so that both sides of the wire are written twice and can disagree.
Start it with `python -m templategen.sandbox` or `manage.py sandbox`; `docs/sandbox.md` lists what it can be told to do.
"""
