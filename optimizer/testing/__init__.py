"""Fakes of every seam, for tests of programs that use this package."""
