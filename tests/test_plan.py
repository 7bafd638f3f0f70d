"""What each phase may ask for."""

from __future__ import annotations

import pytest

from optimizer.errors import BudgetExceeded
from optimizer.outcome import Phase
from optimizer.plan import plan_for


def test_the_test_and_the_protected_rows_come_first() -> None:
    plain = plan_for(calls=600, train=50, val=40, test=40)
    guarded = plan_for(calls=600, train=50, val=40, test=40, protected=20)
    assert plain.limits == {Phase.SEARCH: 390, Phase.TEST: 80, Phase.ATTRIBUTION: 130}
    assert guarded.limits == {Phase.SEARCH: 375, Phase.TEST: 80, Phase.ATTRIBUTION: 145}
    assert sum(guarded.limits.values()) == 600


def test_prices_leave_the_check_of_the_protected_rows_alone() -> None:
    plan = plan_for(calls=600, train=50, val=40, test=40, protected=20)
    assert plan.left(Phase.ATTRIBUTION) == 125
    plan.take(Phase.ATTRIBUTION, {f"p{number}" for number in range(125)})
    assert plan.left(Phase.ATTRIBUTION) == 0
    plan.take(Phase.ATTRIBUTION, {f"c{number}" for number in range(20)})
    assert len(plan.asked[Phase.ATTRIBUTION]) == plan.limits[Phase.ATTRIBUTION]


@pytest.mark.parametrize("protected", [0, 20])
def test_the_number_that_would_do_does(protected: int) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        plan_for(calls=100, train=50, val=40, test=40, protected=protected)
    assert ("20 protected rows" in str(caught.value)) is bool(protected)
    needed = int(str(caught.value).partition("budget.calls to ")[2].split()[0])
    assert plan_for(calls=needed, train=50, val=40, test=40, protected=protected).limits[Phase.SEARCH] >= 91
    with pytest.raises(BudgetExceeded):
        plan_for(calls=needed - 1, train=50, val=40, test=40, protected=protected)
