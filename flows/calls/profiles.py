"""Streaming profiles of this user's sub-accounts: created, shown, changed, deleted. Knows no Prefect."""

from dataclasses import dataclass, field

import msgspec

from connectors.ringcx.profiles import Product, Profile, Profiles, check_url
from flows.calls.streams import only
from flows.runtime import Runtime
from flows.settings import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a profile is to be. Absent: `RINGCX_RECEIVE_URL` of a new one, and what it is of one that is changed."""

    url: str = ""
    secret: str | None = field(default=None, repr=False)


async def product_of(runtime: Runtime, kind: str, number: int, sub_account_id: str = "") -> Product:
    """The queue or campaign with this id. Raises SettingsError where its sub-account is not clear."""
    accounts = await runtime.accounts()
    account = only(sub_account_id, accounts.sub_account_ids)
    try:
        fields = {"sub_account_id": account, "product_type": kind.upper(), "product_id": number}
        return msgspec.convert(fields, Product)
    except msgspec.ValidationError:
        raise SettingsError(f"{kind}: must be queue or campaign") from None


async def create(runtime: Runtime, product: Product, wish: Wish) -> Profile:
    """A new profile, as RingCX keeps it. Raises SettingsError for an address to which no call may be streamed."""
    url = _wss(wish.url or runtime.settings.ringcx_receive_url)
    accounts = await runtime.accounts()
    listed = accounts.listed or await runtime.source.sub_accounts()
    main = next((a.main_account_id for a in listed if a.account_id == product.sub_account_id), None)
    if not main:
        raise SettingsError(f"sub-account {product.sub_account_id}: RingCX names no main account of it to this user")
    profile = Profile(
        product_type=product.product_type,
        product_id=product.product_id,
        sub_account_id=product.sub_account_id,
        main_account_id=main,
        rc_account_id=accounts.rc_account_id,
        streaming_url=url,
        secret=wish.secret,
    )
    return await _profiles(runtime).create(profile)


async def read(runtime: Runtime, product: Product) -> Profile:
    """The profile of a product. Raises NotReady where there is none."""
    return await _profiles(runtime).read(product)


async def update(runtime: Runtime, product: Product, wish: Wish) -> Profile:
    """The profile with another address, another secret, or both; all the rest is sent as it was. Raises as `create`."""
    if wish.url:
        _wss(wish.url)
    profiles = _profiles(runtime)
    old = await profiles.read(product)
    secret = old.secret if wish.secret is None else wish.secret
    url = wish.url or _wss(old.streaming_url or "")
    return await profiles.update(msgspec.structs.replace(old, streaming_url=url, secret=secret))


async def delete(runtime: Runtime, product: Product) -> None:
    """End it. Raises NotReady where there is none."""
    await _profiles(runtime).delete(product)


def _profiles(runtime: Runtime) -> Profiles:
    return Profiles(runtime.caller, runtime.settings.ringcx_profile_path)


def _wss(url: str) -> str:
    try:
        check_url(url)
    except ValueError as error:
        raise SettingsError(f"RINGCX_RECEIVE_URL, --url: {error}") from None
    return url
