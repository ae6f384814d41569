"""The part of the sandbox that speaks the DashScope protocol."""
