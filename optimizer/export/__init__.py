"""Taking a prompt out of the workspace: files for other programs, and one key of a config file."""
