"""The pages: a list of conversations, one conversation, and what to say when something is wrong.

Read-only, GET and HEAD only, nothing from elsewhere. Text from RingCX is text: escaped, and kept to itself.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from flows.browse import asking, reading, telling
from flows.browse.asking import Asked, BadAddress
from flows.browse.gate import Gate
from flows.search.searching import Found, Page, search
from flows.search.terms import SearchError, parse, terms
from sinks.errors import LakeError
from sinks.lake import Lake

PAGE, KEEP_CHOICES_S = 50, 300.0
SIDES = {"agent": "Agent", "contact": "Contact", "bot": "Bot", "unknown": "Unknown"}


class Browser:
    """The pages over one lake."""

    def __init__(self, lake: Lake, clock: Callable[[], float]) -> None:
        self._lake = lake
        self._clock = clock
        self._choices: tuple[float, reading.Choices] | None = None
        self._choosing = threading.Lock()
        self._templates = Environment(
            loader=PackageLoader("flows.browse"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            shown=telling.shown,
            plain=telling.plain,
            snippet=telling.snippet,
            pieces=telling.pieces,
            lasted=telling.length,
        )
        self._templates.globals.update(dialog_address=asking.dialog_address, sides=SIDES)

    def listing(self, request: Request) -> Response:
        """The newest conversations, or those that a search finds."""
        asked = Asked.read(request.query_params)
        try:
            return self._search(asked) if asked.q else self._newest(asked)
        except (SearchError, BadAddress) as error:
            return self._list(asked, [], status=400, error=str(error))

    def dialog(self, request: Request) -> Response:
        """One conversation."""
        key = (request.path_params["account"], request.path_params["dialog"])
        asked = Asked.read(request.query_params)
        part = request.query_params.get("part", "1")
        try:
            wanted = terms(parse(asked.q), wanted=True) if asked.q else []
        except SearchError:
            wanted = []
        found = None if "\0" in "".join(key) else reading.conversation(self._lake, key, wanted)
        if found is None or not (part.isascii() and part.isdecimal() and len(part) < 6):
            return self._message(404, "There is no such conversation", "It is not in this lake, or not yet.")
        items, parts = telling.part_of(telling.told(found), max(1, int(part)))
        hits = [item.turn.turn for item in items if item.kind == "said" and item.turn.is_hit]
        return self._page(
            "dialog.html",
            asked=asked,
            key=key,
            dialog=found.dialog,
            items=items,
            part=int(part),
            parts=parts,
            hits=hits,
            turns=len(found.turns),
            facts=[fact for fact in telling.facts(found) if fact[1]],
            missing=telling.missing(found),
        )

    def refuse(self, _: Request, error: Exception) -> Response:
        """What Starlette refuses: unknown addresses, methods that change things."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        titles = {404: "There is no such page", 405: "Here one can only read"}
        return self._message(status, titles.get(status, "This cannot be answered"), "")

    def unavailable(self, _: Request, error: Exception) -> Response:
        """The lake cannot be read."""
        return self._message(503, "The lake cannot be read now", str(error))

    def _newest(self, asked: Asked) -> Response:
        listed = reading.listing(self._lake, asked.filters, asked.place, PAGE)
        more = ""
        if listed.has_more and listed.found:
            last = listed.found[-1].dialog
            more = asked.address(
                before=asking.place_of(last["started_at"], (last["sub_account_id"], last["dialog_id"]))
            )
        first = asked.start.address() if asked.before else ""
        return self._list(asked, listed.found, more=more, first=first)

    def _search(self, asked: Asked) -> Response:
        page = search(
            self._lake,
            asked.q,
            asked.filters,
            limit=PAGE,
            offset=(asked.number - 1) * PAGE,
            order="newest" if asked.order == "newest" else "rank",
            snapshot=asked.snapshot,
        )
        more = first = ""
        if page.total > asked.number * PAGE:
            more = asked.address(page=str(asked.number + 1), at=str(page.snapshot))
        if asked.number > 1:
            first = asked.start.address()
        total, pages = _total(page), math.ceil(page.total / PAGE)
        return self._list(asked, page.found, total=total, more=more, first=first, pages=pages)

    def _list(self, asked: Asked, found: Sequence[Found], *, status: int = 200, **values: object) -> HTMLResponse:
        known = {"error": "", "total": "", "more": "", "first": "", "pages": 0, "choices": self._offered()}
        return self._page("list.html", status, asked=asked, found=found, **{**known, **values})

    def _page(self, template: str, status: int = 200, **values: object) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(template).render(values), status)

    def _message(self, status: int, title: str, text: str) -> HTMLResponse:
        return self._page("message.html", status, asked=Asked(), title=title, text=text)

    def _offered(self) -> reading.Choices:
        """What the filters offer, a few minutes old at most."""
        with self._choosing:
            now = self._clock()
            if self._choices is None or now - self._choices[0] > KEEP_CHOICES_S:
                self._choices = (now, reading.choices(self._lake))
            return self._choices[1]


def create_app(lake: Lake, clock: Callable[[], float] = time.monotonic) -> Gate:
    """The application, behind its gate."""
    pages = Browser(lake, clock)
    app = Starlette(
        routes=[
            Route("/", pages.listing, methods=["GET"]),
            Route("/dialog/{account}/{dialog:path}", pages.dialog, methods=["GET"]),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        exception_handlers={HTTPException: pages.refuse, LakeError: pages.unavailable},
    )
    return Gate(app)


def _total(page: Page) -> str:
    return f"{page.total:,} conversation{'' if page.total == 1 else 's'}"
