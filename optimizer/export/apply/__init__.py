"""One message of a prompt into one key of a config file."""

from optimizer.export.apply.config_file import Patch, Place, choose, plan, write

__all__ = ["Patch", "Place", "choose", "plan", "write"]
