"""The part of the sandbox that speaks the OSS protocol."""
