"""One message of a prompt into one key of a config file."""

from optimizer.export.apply.choose import choose
from optimizer.export.apply.config_file import Patch, Place, plan
from optimizer.export.apply.writing import Undo, plan_undo, undo, write

__all__ = ["Patch", "Place", "Undo", "choose", "plan", "plan_undo", "undo", "write"]
