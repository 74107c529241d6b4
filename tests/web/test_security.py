"""Who may ask, how often, and what is kept of it."""

import json
import time
from functools import partial

import pytest

from tc_core import ConfigurationError, SQLiteStorage
from tc_core.web import reads, security, sql
from tc_core.web.rates import Rates
from tc_core.web.reads import ReadLog
from tc_core.web.security import Access
from tc_core.web.serve import serve

TOKEN = "a-long-secret-token"


@pytest.fixture(autouse=True)
def _time_stands_still(monkeypatch):
    """How often somebody may ask does not depend on how fast this machine is."""
    monkeypatch.setattr(security, "Rates", partial(Rates, clock=lambda: 0.0))


@pytest.fixture
def log(store):
    return ReadLog(store)


@pytest.fixture
def asked(client_of, store, log):
    """Return an explorer of a store, and what it has kept of who has read what."""

    def made(**access):
        client = client_of(store, access=Access(**access), reads=log)

        def kept():
            log.flush()
            return [(each.who, each.what, each.asked, each.status) for each in sql.reads(store)]

        return client, kept

    yield made
    log.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "127.0.0.1"}, 403),
        ({"origin": "http://127.0.0.1"}, 200),
        ({"origin": "https://127.0.0.1"}, 200),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"transfer-encoding": "chunked"}, 413),
        ({"content-length": "1"}, 413),
        ({"content-length": "0"}, 200),
        ({"cookie": "token_calc_80=\x01;;=;token_calc_80"}, 200),
    ],
)
def test_requests_that_other_sites_could_make(asked, headers, status):
    client, _ = asked()
    assert client.get("/api/costs", headers=headers).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
@pytest.mark.parametrize("path", ["/", "/api/costs", "/api/findings/policies/apply", "/static/app.js"])
def test_nothing_but_reading_without_a_token(asked, method, path):
    client, _ = asked()
    answer = client.request(method, path, headers={"x-token-calc": "change"})
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


def test_the_cookie_is_not_the_token_and_ends_with_the_process(asked, client_of, store):
    client, _ = asked(host="0.0.0.0", token=TOKEN)
    opened = client.get(f"/?token={TOKEN}", follow_redirects=False)
    assert opened.status_code == 303
    said = opened.headers["set-cookie"]
    assert TOKEN not in said
    assert "samesite=strict" in said.lower()
    assert client.get("/api/shell").status_code == 200
    other = client_of(store, access=Access("0.0.0.0", TOKEN))
    assert other.get("/api/shell", headers={"cookie": said.partition(";")[0]}).status_code == 401


def test_a_store_that_was_removed_is_not_made_anew_by_the_log(tmp_path):
    with SQLiteStorage(tmp_path / "s.db") as own:
        own.count()
        log = ReadLog(own)
        for each in tmp_path.iterdir():
            each.unlink()
        log.note("127.0.0.1", "costs", "", 503)
        log.close()
    assert not list(tmp_path.iterdir())


def test_two_explorers_of_one_machine_leave_each_other_open(asked, client_of, store):
    """Browsers send the cookies of a host to all its ports, so that those of two explorers need two names."""
    client, _ = asked(token=TOKEN)
    other = client_of(store, access=Access(token=TOKEN), port=8322)
    jar = {}
    for each in (client, other):
        jar |= dict(each.get(f"/?token={TOKEN}", follow_redirects=False).cookies)
        each.cookies.clear()
    kept = {"cookie": "; ".join(f"{name}={value}" for name, value in jar.items())}
    assert [each.get("/api/shell", headers=kept).status_code for each in (client, other)] == [200, 200]


def test_a_token_in_the_address_leads_nowhere_else(asked):
    client, _ = asked(host="0.0.0.0", token=TOKEN)
    answer = client.get(f"http://127.0.0.1//evil.example/x?token={TOKEN}", follow_redirects=False)
    assert answer.headers["location"] == "/evil.example/x"


def test_a_ticket_opens_once(asked):
    client, _ = asked(token=TOKEN, ticket="ticket-of-one-use")
    assert client.get("/?ticket=ticket-of-one-use", follow_redirects=False).status_code == 303
    client.cookies.clear()
    assert client.get("/?ticket=ticket-of-one-use", follow_redirects=False).status_code == 401
    assert client.get("/?ticket=", follow_redirects=False).status_code == 401


def test_guessing_is_slowed_down_and_the_owner_is_not(asked):
    client, _ = asked(token=TOKEN)
    assert client.get(f"/?token={TOKEN}").status_code == 200
    mine = dict(client.cookies)
    client.cookies.clear()
    tried = [client.get(f"/api/shell?token=guess-{number}").status_code for number in range(12)]
    assert tried == [401] * 9 + [429] * 3  # the owner's own was the first of ten
    last = client.get("/api/shell", headers={"authorization": f"Bearer {TOKEN}"})
    assert (last.status_code, last.headers["retry-after"]) == (429, "5")
    assert client.get("/api/shell", headers={"cookie": f"token_calc_80={mine['token_calc_80']}"}).status_code == 200


def test_so_many_at_once_are_too_many(asked):
    client, _ = asked()
    statuses = [client.get("/static/icon.svg").status_code for _ in range(402)]
    assert statuses == [200] * 400 + [429] * 2


def test_rates_give_back_with_time():
    now = [0.0]
    rates = Rates(burst=2, per_second=0.5, clock=lambda: now[0])
    assert [rates.wait_seconds("a") for _ in range(3)] == [0, 0, 2]
    assert rates.wait_seconds("b") == 0
    now[0] = 2.0
    assert [rates.wait_seconds("a") for _ in range(2)] == [0, 2]


@pytest.mark.parametrize("token", ["short", "x" * 15])
def test_a_token_that_could_be_guessed_is_refused(store, token):
    with pytest.raises(ConfigurationError, match=r"shorter than 16 characters and could be guessed"):
        serve(store, Access(token=token), 0, name="x", opens=False)


def test_nobody_sees_the_token_in_what_is_printed_of_it():
    assert TOKEN not in repr(Access(token=TOKEN, ticket=TOKEN))


# Who has read what


def test_who_has_read_what_is_kept(asked):
    client, kept = asked(token=TOKEN)
    client.get(f"/?token={TOKEN}")
    client.get("/api/shell")
    client.get("/api/latest")
    client.get("/static/app.js")
    client.get("/api/costs", params={"by": "agent", "filter": "agent=writer"})
    client.get("/api/costs.csv")
    client.get("/api/costs", params={"since": "someday"})
    who = "testclient with the token"
    assert kept() == [
        (who, "costs", "by=agent&filter=agent%3Dwriter", 200),
        (who, "costs.csv", "", 200),
        (who, "costs", "since=someday", 400),
    ]


def test_who_was_refused_is_kept_without_the_token(asked):
    client, kept = asked(token=TOKEN)
    client.get("/api/costs?by=agent")
    client.get("/api/costs?by=agent&token=guess")
    client.get("/", headers={"host": "evil.example"})
    assert kept() == [
        ("testclient", "GET /api/costs", "by=agent", 401),
        ("testclient", "GET /api/costs", "by=agent&token=...", 401),
        ("testclient", "GET /", "", 421),
    ]


def test_a_flood_of_refusals_pushes_nothing_out(asked):
    client, kept = asked(token=TOKEN)
    for _ in range(150):
        client.get("/api/costs")
    assert len(kept()) == 100


def test_the_latest_are_kept(store):
    def read(number):
        return sql.ExplorerRead(sql.from_us(number), "me", "costs", f"n={number}", 200)

    for start in range(0, 50, 10):
        sql.write(store, [read(number) for number in range(start, start + 10)], most=25)
    assert [each.asked for each in sql.reads(store)] == [f"n={number}" for number in range(25, 50)]
    assert [each.asked for each in sql.reads(store, sql.from_us(30), sql.from_us(32))] == ["n=30", "n=31"]


def test_the_log_writes_by_itself(store, log):
    log.note("me", "costs", "", 200)
    deadline = time.monotonic() + 60
    while not sql.reads(store):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    log.close()


def test_what_cannot_be_kept_is_counted(store, log, monkeypatch, caplog):
    monkeypatch.setattr(reads, "WRITE_SECONDS", 0)
    with store.database.writing() as connection:
        connection.exec_driver_sql("DROP TABLE explorer_read")
    log.note("me", "costs", "", 200)
    log.close()
    assert log.lost == 1
    assert "who has read what could not be kept" in caplog.text


def test_the_command_shows_it(store, log, run_command):
    log.note("127.0.0.1", "costs", "by=agent&filter=agent%3Da+b", 200)
    log.note("127.0.0.1", "GET /", "", 421)
    log.close()
    store.close()
    lines = run_command("db", "readers", "--store", store.path).stdout.splitlines()
    assert lines[0] == "2 questions from 1 place, 1 not answered."
    assert lines[3].split()[2:] == ["127.0.0.1", "costs", "200", "by=agent&filter=agent=a", "b"]
    assert lines[4].endswith("GET /     421")  # a long address below the same heading leaves no blanks behind it
    found = json.loads(run_command("db", "readers", "--json", "--store", store.path).stdout)
    assert [each["status"] for each in found] == [200, 421]
