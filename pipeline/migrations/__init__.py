"""Migration files: what a folder holds, in which order, and whether it may run. Nothing here touches a database."""

from pipeline.migrations.files import Folder, MigrationFile, read_folder
from pipeline.migrations.plan import Applied, Plan, make_plan

__all__ = ["Applied", "Folder", "MigrationFile", "Plan", "make_plan", "read_folder"]
