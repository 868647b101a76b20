"""The pages of `browse`: what they answer, that they harm nobody, and how a real browser takes them."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread

import httpx
import pytest
import uvicorn
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from starlette.testclient import TestClient

from flows.browse import telling
from flows.browse.app import PAGE, create_app
from flows.browse.server import listen, serve_forever
from sinks.errors import LakeUnavailable
from sinks.lake import Lake
from sinks.location import Location
from tests.browser import complaints, driver, look, requested
from tests.processes import clean_environment, cli
from tests.told import T0, commit, segment, told_lake

DAY = timedelta(days=1)
EVIL = "<script>document.title='pwned'</script><img src=x onerror=\"alert(1)\"> \u202eRTL\u202c \x1b[2J\x07 {{ 7*7 }}"
SEGMENTS = [
    segment("call/1", "a", T0, 60, "ann", contact_endpoint_address="+15550001"),
    segment("call/1", "b", T0 + timedelta(seconds=90), 60, "bob", dialog_start_time=T0, agent_disposition="Solved",
            contact_endpoint_address="+15550001"),
    segment("evil", "a", T0 + DAY, 60, EVIL, contact_endpoint_address=EVIL, agent_notes=EVIL, channel_class="DIGITAL",
            channel_type="MESSENGER"),
    segment("lost", "a", T0 + 2 * DAY, 9, None, transcript_state="pending"),
]  # fmt: skip
SAID = {
    ("call/1", "a"): [
        (1, "agent", "Ann", "Hello, this is Ann"),
        (5, "contact", "+15550001", "I want a refund"),
        (45, "agent", "Ann", "One moment"),
    ],
    ("call/1", "b"): [(1, "agent", "Bob", "Bob here"), (4, "contact", "+15550001", "The refund, please")],
    ("evil", "a"): [(1, "contact", EVIL, EVIL), (2, "agent", "x" * 300, "y" * 100_000), (3, "contact", "z", "refund")],
}

__all__ = ["driver"]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake that holds the conversations told above, and many short ones before them."""
    with told_lake(tmp_path_factory.mktemp("browse")) as made:
        commit(made, SEGMENTS, SAID)
        many = [segment(f"d{n:03}", "a", T0 - timedelta(minutes=n + 1), 30, "cy") for n in range(2 * PAGE)]
        commit(made, many, {(f"d{n:03}", "a"): [(1, "agent", "Cy", f"common {n}")] for n in range(2 * PAGE)})
        yield made


@pytest.fixture
def client(lake: Lake) -> TestClient:
    """The pages, asked in process."""
    return TestClient(create_app(lake), base_url="http://127.0.0.1:8200")


def dialogs(page: str) -> list[str]:
    """The dialogs that a list shows, in order."""
    return re.findall(r'class="open" href="/dialog/1/([^"?#]+)', page)


def test_the_newest_conversations_come_first_and_pages_fit_together(client: TestClient, lake: Lake) -> None:
    """Also when something new arrives between the pages: the next one goes on after the last conversation."""
    first = client.get("/").text
    assert dialogs(first)[:4] == ["lost", "evil", "call%2F1", "d000"]
    seen = dialogs(first)
    page = first
    while found := re.search(r'href="([^"]+)" rel="next"', page):
        page = client.get(found[1].replace("&amp;", "&")).text
        seen += dialogs(page)
    assert len(seen) == len(set(seen)) == 2 * PAGE + 3


def test_a_search_lists_what_it_finds_page_by_page(client: TestClient) -> None:
    """With how many there are, each linked to the first turn that fits."""
    page = client.get("/", params={"q": "common"}).text
    assert f"{2 * PAGE} conversations" in page
    after = client.get(re.findall(r'href="([^"]+)" rel="next"', page)[0].replace("&amp;", "&")).text
    assert len({*dialogs(page), *dialogs(after)}) == 2 * PAGE
    assert 'href="/dialog/1/call%2F1?q=refund+please#turn-2"' in client.get("/?q=refund+please").text


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("/?since=2026-08-03", ["lost"]),
        ("/?since=2026-08-01&until=2026-08-01&direction=INBOUND&agent=bob", ["call%2F1"]),
        ("/?channel=DIGITAL", ["evil"]),
        ("/?disposition=Solved", ["call%2F1"]),
        ("/?sub_account=2", []),
        ("/?q=refund&agent=bob", ["call%2F1"]),
        ("/?q=nowhere", []),
        ("/?agent=%00'", []),
    ],
)
def test_filters_narrow_the_list(client: TestClient, address: str, found: list[str]) -> None:
    """Alone, together, and with a search; a list that is empty says what to do."""
    answer = client.get(address)
    assert answer.status_code == 200
    assert dialogs(answer.text) == found
    assert ("Nothing found" in answer.text) == (not found)


def test_a_conversation_reads_like_a_chat(client: TestClient) -> None:
    """In order, on two sides, with silences and transfers, and turns that can be linked to."""
    page = client.get("/dialog/1/call%2F1?q=refund").text
    told = re.findall(
        r'<p class="(silence|handover)[^>]*><span>(.*?)</span></p>|id="(turn-\d+)" class="turn (\w+)', page
    )
    assert [tuple(filter(None, item)) for item in told] == [
        ("turn-1", "agent"),
        ("turn-2", "contact"),
        ("silence", "40 s of silence"),
        ("turn-3", "agent"),
        ("silence", "46 s of silence"),
        ("handover", "handed over to <bdi>Bob</bdi>"),
        ("turn-4", "agent"),
        ("turn-5", "contact"),
    ]
    assert page.count("<mark>refund</mark>") == 2
    assert "Solved" in page


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/?q=refund+AND", 400, "ends too early"),
        ("/?q=agent%3Aann", 400, "not known here"),
        ("/?since=yesterday", 400, "is no day"),
        ("/?until=9999-12-31", 400, "is no day"),
        ("/?before=nonsense", 400, "does not name a place"),
        ("/?before=9%7E1", 400, "does not name a place"),
        ("/?q=refund&page=x", 400, "is no number"),
        ("/?agent=" + "x" * 300, 400, "longer than anything"),
        ("/dialog/1/nobody", 404, "no such conversation"),
        ("/dialog/2/evil", 404, "no such conversation"),
        ("/dialog/1/%00", 404, "no such conversation"),
        ("/dialog/1/evil?part=x", 404, "no such conversation"),
        ("/nowhere", 404, "no such page"),
        ("/static/../app.py", 404, "no such page"),
        ("/dialog/1/lost", 200, "transcript still to come"),
    ],
)
def test_what_cannot_be_shown_is_said_kindly(client: TestClient, address: str, status: int, said: str) -> None:
    """A page with the right status, and what to do."""
    answer = client.get(address)
    assert (answer.status_code, said in answer.text) == (status, True)
    assert "Traceback" not in answer.text


def test_an_empty_lake_and_none_are_told_apart(tmp_path: Path) -> None:
    """The one is loaded by an ingest, the other is somewhere else."""
    with told_lake(tmp_path / "empty") as empty:
        assert "ringcx-etl ingest" in TestClient(create_app(empty), base_url="http://localhost").get("/").text
    missing = Lake(Location.parse(str(tmp_path / "none")), [])
    answer = TestClient(create_app(missing), base_url="http://localhost").get("/")
    assert (answer.status_code, "there is no lake" in answer.text) == (503, True)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.1@evil.example:80", "192.168.0.1"]
)
def test_another_name_for_this_machine_is_refused(client: TestClient, host: str) -> None:
    """A foreign page whose name resolves to 127.0.0.1 must not read conversations."""
    answer = client.get("/?q=refund", headers={"host": host})
    assert answer.status_code == 421
    assert "refund" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8200", "[::1]:8200", "LOCALHOST"])
def test_this_machines_own_names_are_let_in(client: TestClient, host: str) -> None:
    """With any port, for tunnels."""
    assert client.get("/static/style.css", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_can_be_sent(client: TestClient, method: str) -> None:
    """The pages are for reading."""
    assert client.request(method, "/").status_code == 405
    assert client.head("/").status_code == 200


@pytest.mark.parametrize("address", ["/", "/?q=(", "/nowhere", "/static/style.css"])
def test_every_answer_forbids_what_it_does_not_need(client: TestClient, address: str) -> None:
    """Were there ever a hole in the escaping, the browser would still run nothing and tell nobody."""
    headers = client.get(address).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<script(?! src=\"/static/)|style=|https?://", client.get(address).text) or "css" in address


def test_hidden_signs_are_shown_as_what_they_are() -> None:
    """Text must not be able to look like other text."""
    shown = str(telling.shown("a\u202eb\x07c\u200d\n<d>"))
    assert "\u202e" not in shown
    assert re.sub(r'<span class="sign" title="U\+\w+">(\w+|.)</span>', r"[\1]", shown) == "a[RLO]b[␇]c\u200d\n&lt;d&gt;"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (90000, "1 d 1 h")],
)
def test_time_is_told_as_people_tell_it(seconds: float, text: str) -> None:
    """In its two largest units."""
    assert telling.span(seconds) == text


def test_the_command_serves_until_it_is_interrupted(lake: Lake, tmp_path: Path) -> None:
    """And says where."""
    env = clean_environment() | {"RINGCX_LAKE": str(Path(lake.location.catalog).parent)}
    process = cli("browse", "--port", "0", env=env, cwd=tmp_path)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        at = re.match(r"(http://127\.0\.0\.1:\d+/)  ", line)
        assert at, line
        assert "call%2F1" in httpx.get(at[1]).text
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_nothing_is_served_where_it_cannot_be(tmp_path: Path) -> None:
    """Neither a lake that is not there, which would look empty, nor on somebody's port."""
    with pytest.raises(LakeUnavailable):
        serve_forever(Lake(Location.parse(str(tmp_path)), []), 0, print)
    with listen(0) as taken, pytest.raises(OSError, match="in use"):
        listen(taken.getsockname()[1])


@contextmanager
def served(lake: Lake) -> Iterator[str]:
    """The pages on a socket, for a browser."""
    with listen(0) as listening:
        server = uvicorn.Server(uvicorn.Config(create_app(lake), lifespan="off", ws="none", log_config=None))
        thread = Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def url(lake: Lake) -> Iterator[str]:
    """Where the pages are."""
    with served(lake) as at:
        yield at


@pytest.mark.slow
def test_a_reader_needs_nothing_but_the_keyboard(url: str, driver: Chrome) -> None:
    """Search with /, down with j, open with Enter, from find to find, and back with u."""
    look(driver)
    driver.get(url)
    press(driver, "/")
    press(driver, "refund please", Keys.ENTER)
    arrive(driver, "/?q=refund+please&")
    press(driver, "j")
    press(driver, Keys.ENTER)
    arrive(driver, "/dialog/1/call%2F1?q=refund+please#turn-2")
    press(driver, "j")
    press(driver, "j")
    assert driver.execute_script("return document.activeElement.id") == "turn-5"
    press(driver, "u")
    arrive(driver, "/?q=refund+please")
    assert driver.execute_script("return document.querySelectorAll('.item').length") == 1


@pytest.mark.slow
def test_hostile_text_does_nothing_in_a_browser(url: str, driver: Chrome) -> None:
    """No script ran, nothing was asked of anybody else, and the page's own policy had nothing to refuse."""
    look(driver)
    requested(driver), complaints(driver)
    for address in (
        "/",
        "/dialog/1/evil",
        "/?q=refund+-please",
        "/?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/?agent=%22%3E%3Cb%3E",
    ):
        driver.get(url + address)
        assert driver.title != "pwned"
        assert (
            driver.execute_script("return document.querySelectorAll('main script, main img, fieldset b').length") == 0
        )
    assert all(asked.startswith(url) for asked in requested(driver))
    assert [said for said in complaints(driver) if "400 (Bad Request)" not in said] == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1200])
def test_no_text_is_wider_than_the_window(url: str, driver: Chrome, width: int) -> None:
    """However long its words are."""
    look(driver, width=width)
    for address in ("/", "/dialog/1/evil", "/dialog/1/call%2F1"):
        driver.get(url + address)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_colours_follow_the_readers_preference(url: str, driver: Chrome) -> None:
    """Dark where dark is preferred, and text that can be read on it in both."""
    grounds = []
    for scheme in ("light", "dark"):
        look(driver, scheme=scheme)
        driver.get(url)
        script = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        ground, ink = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in driver.execute_script(script))
        assert abs(ground - ink) > 400
        grounds.append(ground)
    assert grounds[0] > 600
    assert grounds[1] < 200


def arrive(driver: Chrome, address: str) -> None:
    """Wait for the page of this address to be there whole."""
    ready = "return location.href.includes(arguments[0]) && document.readyState === 'complete'"
    WebDriverWait(driver, 20).until(lambda _: driver.execute_script(ready, address))


def press(driver: Chrome, *keys: str) -> None:
    """Press keys wherever the focus is."""
    driver.switch_to.active_element.send_keys(*keys)
