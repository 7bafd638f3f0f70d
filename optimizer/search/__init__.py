"""Edits -> trials -> the next champion: screen, space, race, study."""
