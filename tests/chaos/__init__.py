"""Processes killed, frozen, cut off at every moment: nothing is lost or paid for twice (docs/decisions/chaos.md)."""
