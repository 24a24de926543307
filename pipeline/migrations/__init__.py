"""Migration files: what a folder holds, in which order, and whether it may run. Nothing here touches a database."""

from pipeline.migrations.files import Folder, MigrationFile, read_folder
from pipeline.migrations.plan import Applied, Plan, in_order_of_application, make_plan

__all__ = ["Applied", "Folder", "MigrationFile", "Plan", "in_order_of_application", "make_plan", "read_folder"]
