"""Taking over a database that another tool migrated: its catalog must be what our files would build."""

from pipeline.adopt.baseline import Adoption, baseline

__all__ = ["Adoption", "baseline"]
