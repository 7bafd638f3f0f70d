"""Long forms of the fault tests: `make soak`.

Each file in `cases/` holds `CASES`, a tuple of `case.Case`; a new file there is found by itself. A turn opens labs of
`tests.faults` and asserts what must hold; what it raises is a failure, and its folder is kept.
"""
