"""Looking prices up, and pricing again."""

import json
from pathlib import Path

import pytest

from tc_core import CostTracker, PriceNotFoundError
from tc_core.meter import price_table


def answer(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_search_finds_models_by_their_words(run_command):
    printed = answer(run_command("models", "search", "claude", "sonnet", "4-5"))
    assert "anthropic" in printed
    assert "claude-sonnet-4-5" in printed
    assert "token-calc models show" in printed
    found = json.loads(answer(run_command("models", "search", "gpt-4o-mini", "--provider", "openai", "--json")))
    (exact,) = [each for each in found if each["model"] == "gpt-4o-mini"]
    assert (exact["provider"], exact["prices"]["input"], exact["encoding"]) == ("openai", "0.15", "o200k_base")
    nothing = run_command("models", "search", "no-such-model")
    assert (nothing.returncode, "No model has 'no-such-model'" in nothing.stderr) == (1, True)


def test_show_tells_how_calls_of_a_model_are_priced(run_command):
    printed = answer(run_command("models", "show", "openai/gpt-5"))
    assert "flex" in printed
    assert "0.625" in printed
    assert "counted exactly, o200k_base" in printed
    then = json.loads(answer(run_command("models", "show", "o3", "--at", "2025-05-01", "--json")))
    assert (then["prices"]["input"], then["history"][1]["when"]) == ("10", "since 2025-06-10")
    missing = run_command("models", "show", "gpt-4o-min")
    assert (missing.returncode, "near are gpt-4o-mini" in missing.stderr) == (1, True)


def test_own_prices_are_found_and_shown(run_command):
    Path("prices.yaml").write_text(
        "- {model: acme-large, from: 2026-01-01, input: 2.50, output: 10, tiers: [{above: 1000, input: 5}]}\n"
        "- {model: eu-gpt, like: gpt-4o, factor: 1.1}"
    )
    variables = {"TOKEN_CALC_PRICES": "prices.yaml"}
    assert "2.5, above 1,000: 5" in answer(run_command("models", "show", "acme-large", **variables))
    printed = answer(run_command("models", "search", "eu-gpt", "--json", **variables))
    assert json.loads(printed)[0]["prices"] == {"like": "gpt-4o", "factor": "1.1"}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("- {model: acme-large, inptu: 2.50}", "price 'acme-large': unknown key 'inptu'"),
        ("- {model: acme-large, like: gpt-99}", "own price 'acme-large' is to be like 'gpt-99'"),
        (None, "prices.yaml cannot be read: No such file"),
    ],
)
def test_own_prices_that_are_wrong_are_told_where_they_are_asked_for_and_by_doctor(run_command, written, said):
    if written is not None:
        Path("prices.yaml").write_text(written)
    variables = {"TOKEN_CALC_PRICES": "prices.yaml"}
    asked = run_command("models", "show", "acme-large", **variables)
    assert asked.returncode in (1, 2)
    assert said in " ".join(asked.stderr.split())
    examined = run_command("doctor", "--quick", **variables)
    assert examined.returncode == 1
    assert said in " ".join(examined.stdout.split())


def test_doctor_counts_own_prices(run_command):
    Path("prices.yaml").write_text("- {model: acme-large, input: 2.50}")
    examined = run_command("doctor", "--quick", TOKEN_CALC_PRICES="prices.yaml")
    assert (examined.returncode, "prices.yaml: 1 price\n" in examined.stdout) == (0, True)


def test_a_model_that_only_some_providers_have_is_said_to_be_theirs(run_command):
    found = run_command("models", "show", "llama-3.3-70b-versatile")
    assert (found.returncode, "name one of groq" in found.stderr) == (1, True)
    assert "groq llama" in answer(run_command("models", "show", "llama-3.3-70b-versatile", "--provider", "groq"))


def test_a_model_without_a_price_is_an_error_in_python():
    with pytest.raises(PriceNotFoundError, match="no price is known for 'gpt-99'"):
        price_table.show("gpt-99")


def test_reprice(run_command):
    with CostTracker("s.db").storage as store:
        CostTracker(store).track_call("acme-large", 1_000_000, 0)
        CostTracker(store).track_call("acme-small", 1_000_000, 0)
    printed = answer(run_command("reprice", "--store", "s.db"))
    assert "No price has changed, of 2 calls looked at." in printed
    Path("prices.yaml").write_text("- {model: acme-large, input: 2.50}")
    printed = answer(run_command("reprice", "--store", "s.db", TOKEN_CALC_PRICES="prices.yaml"))
    assert "1 call priced anew: $2.50 more than before." in printed
    assert "1 call still unpriced." in printed
    again = json.loads(answer(run_command("reprice", "--all", "--json", "--store", "s.db")))
    assert again == {"examined": 2, "changed": 0, "still_unpriced": 1, "cost_change": 0, "cost_change_nanos": 0}
