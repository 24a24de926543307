"""The roles that services run as: what a deploy makes of them, and what takes their limits away."""
