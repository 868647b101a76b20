"""Streaming profiles: where the calls of a queue or a campaign are streamed to.

Source: RingCX *Getting Started with Call Streaming* and its OpenAPI description (`/media-distributor/product`; newer
accounts: `/platform/api/media/product`). A profile's secret is in its answers; it leaves this module in `Profile`
alone, whose repr masks it.
"""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from connectors.errors import ConnectorError, NotReady, Rejected, Uncertain
from connectors.ringcx.calling import Call, Caller, part

GROUP = "admin:profiles"
PERMISSION = (
    "Streaming profiles need call streaming, which a RingCentral representative switches on for the account, and the"
    " user access to RingCX Admin and this sub-account."
)
# The specification's own pattern, without the empty address that it also allows: a host, a port, and no path.
URL = re.compile(
    r"wss://([0-9]{1,3}(?:\.[0-9]{1,3}){3}|(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9])\.)*"
    r"([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9\-]*[A-Za-z0-9]))(:([0-9]{1,5}))?"
)

ProductType = Literal["QUEUE", "CAMPAIGN"]


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A queue or a campaign."""

    sub_account_id: str
    product_type: ProductType
    product_id: int


class Profile(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One product's profile, as RingCX has it."""

    product_type: ProductType
    product_id: int
    sub_account_id: str
    main_account_id: str | None = None
    rc_account_id: str | None = None
    streaming_url: str | None = None
    secret: str | None = None

    def __rich_repr__(self) -> Iterator[tuple[str, object]]:
        for name in self.__struct_fields__:
            yield name, "***" if name == "secret" and self.secret else getattr(self, name)

    def __repr__(self) -> str:
        return f"Profile({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class Profiles:
    """Creates, reads, updates and deletes profiles. `path`: where the account keeps them."""

    def __init__(self, caller: Caller, path: str) -> None:
        self._caller, self._path = caller, path

    async def create(self, profile: Profile) -> Profile:
        """The profile as RingCX keeps it: calls are streamed from now on. Nobody looks whether somebody listens there.

        Raises ValueError for an address that is not `wss://host[:port]`; nothing is sent then.
        """
        check_url(profile.streaming_url)
        return await self._send("POST", self._path, profile)

    async def update(self, profile: Profile) -> Profile:
        """The profile as it is now; what is None stays as it is. Raises as `create`."""
        check_url(profile.streaming_url)
        return await self._send("PUT", self._path, profile)

    async def read(self, product: Product) -> Profile:
        """The profile of a product. Raises NotReady where there is none."""
        return await self._send("GET", self._of(product))

    async def delete(self, product: Product) -> None:
        """End it: no call is streamed any more. Raises NotReady where there is none."""
        call = Call(group=GROUP, method="DELETE", path=self._of(product), permission=PERMISSION)
        try:
            await self._caller.send(call, lambda _: None, once=True)  # sent again, it would find nothing
        except (NotReady, Rejected, Uncertain) as error:
            raise _explained(error) from None

    def _of(self, product: Product) -> str:
        account, number = part(product.sub_account_id), product.product_id
        return f"{self._path}/account/{account}/type/{part(product.product_type)}/id/{number}"

    async def _send(self, method: str, path: str, body: Profile | None = None) -> Profile:
        fields = msgspec.to_builtins(body) if body else None
        call = Call(group=GROUP, method=method, path=path, permission=PERMISSION, body=fields)
        try:
            return await self._caller.send(call, msgspec.json.Decoder(Profile).decode, once=method == "POST")
        except (NotReady, Rejected, Uncertain) as error:
            raise _explained(error) from None


def check_url(url: str | None) -> None:
    """ValueError unless calls may be streamed there."""
    if not url or not URL.fullmatch(url):
        raise ValueError("the streaming url must be wss://host or wss://host:port: no path, no query, and never ws://")


def _explained(error: ConnectorError) -> ConnectorError:
    """The same error, in words that say what to do."""
    meanings = {404: "there is no such profile", 409: "there is a profile already: update it"}
    meaning = meanings.get(error.status or 0, "RingCX refused the profile")
    if isinstance(error, Uncertain):
        meaning = "whether this was done is not known: see `ringcx-etl profile show`"
    said = f"{meaning} ({error})"
    return type(error)(said, group=error.group, status=error.status, code=error.code, body=error.body)
