"""Files that a user writes, read with suspicion: eval files, rows, splits, prompts.

Whatever is wrong in such a file ends in a `UserError` that names the file, the line and the fix.
"""
