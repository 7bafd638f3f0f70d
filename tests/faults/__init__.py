"""Real commands in child processes, against a provider that counts and fails: nothing paid for may be lost.

A row is a test. It opens a `lab` (a workspace and a meter), runs commands there, and asks `check` for the
invariants, the exit code and the words that the user must see:

    def test_a_gateway_that_hiccups(tmp_path: Path) -> None:
        with lab(tmp_path, faults=by_rate({"503": 0.1})) as here:
            done = here.run()
            here.check(done, code=0)

    def test_a_kill_half_way(tmp_path: Path) -> None:
        with lab(tmp_path) as here:
            child = here.start()
            child.asks(40)
            child.kill()
            here.check(here.run(), code=0, same=True)

Put rows into a file of your own, `tests/faults/test_<what>.py`. Faults and scripts are in `optimizer.testing.faults`.
A run with the default 60 rows takes some 2 seconds and 300 calls; `lab(..., rows=12)` and `here.eval()` take less.

What `check` holds against the meter, over everything that ran in the lab:

A. A key whose answer was on the disk gets no further request, ever.
B. Requests are at most the distinct ones, what a kill or a stop lost (at most the concurrency each), and one for
   every fault that was shown.
C. With `same=True`: winner, scores, trials, decisions and prices of lines equal those of a run without faults.
D. Calls, tokens and money in the report are the meter's; failed and lost ones stand apart.
E. No traceback; one line `error: ...` for a foreseen fault; the exit code; no process left; the API key in no file
   and no output.
"""
