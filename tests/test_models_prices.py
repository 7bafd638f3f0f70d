from __future__ import annotations

import subprocess
import sys

import pytest

from optimizer.config import ModelSpec, Price
from optimizer.models.prices import known_prices, list_price

OWN = Price(input=1.5, output=6.0)


@pytest.mark.parametrize("name", ["openai/gpt-4o-mini", "gpt-4o-mini", "litellm/gpt-4o-mini"])
def test_a_list_price_is_found_under_every_way_to_write_a_model(name):
    price = list_price(ModelSpec(name=name))
    assert price is not None and (price.input, price.output) == pytest.approx((0.15, 0.6))


@pytest.mark.parametrize(
    ("spec", "price"),
    [
        (ModelSpec(name="openai/gpt-4o-mini", price=OWN), OWN),
        (ModelSpec(name="some/unheard-of", price=OWN), OWN),
        (ModelSpec(name="offline"), Price(input=0.0, output=0.0)),
        (ModelSpec(name="offline:perfect"), Price(input=0.0, output=0.0)),
        (ModelSpec(name="offline", base_url="http://127.0.0.1:8080/v1"), Price(input=0.0, output=0.0)),
        (ModelSpec(name="some/unheard-of"), None),
        (ModelSpec(name="gpt-4o-mini", base_url="http://127.0.0.1:8080/v1"), None),
        (ModelSpec(name="gpt-4o-mini", base_url="https://api.openai.com.evil.example/v1"), None),
    ],
)
def test_where_a_price_comes_from(spec, price):
    assert list_price(spec) == price


def test_the_official_address_has_the_list_price():
    assert list_price(ModelSpec(name="gpt-4o-mini", base_url="https://api.openai.com/v1")) is not None


def test_models_of_unknown_price_are_left_out():
    specs = [ModelSpec(name="some/unheard-of"), ModelSpec(name="openai/mine", price=OWN)]
    assert known_prices(specs) == {"mine": OWN}


def test_litellm_is_not_imported_for_it():
    program = (
        "import sys\n"
        "from optimizer.config import ModelSpec\n"
        "from optimizer.models.prices import list_price\n"
        "known = list_price(ModelSpec(name='openai/gpt-4o-mini')) is not None\n"
        "print(known, sorted({'litellm', 'openai'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "True []"
