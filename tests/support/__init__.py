"""Fixtures, as pytest plugins named for what they give."""
