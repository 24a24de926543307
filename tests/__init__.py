"""A package, so that a `tests` which some distribution left in site-packages cannot stand in for ours."""
