"""What a clip is: byte sources, the probe, the documented limits. No Django, no models, no network."""
