"""Streaming profiles: where the calls of a queue or a campaign are streamed to."""

from typing import Literal

import msgspec

ProductType = Literal["QUEUE", "CAMPAIGN"]


class Profile(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One profile as served (spec: `ProductResponse`), its secret included."""

    product_type: ProductType
    product_id: int
    sub_account_id: str
    main_account_id: str
    rc_account_id: str | None = None
    streaming_url: str | None = None
    secret: str | None = None


class Profiles:
    """The profiles of all sub-accounts, one for each product."""

    def __init__(self) -> None:
        self._profiles: dict[tuple[str, str, int], Profile] = {}

    def find(self, sub_account_id: str, product_type: str, product_id: int | None) -> Profile | None:
        """The profile of a product."""
        return None if product_id is None else self._profiles.get((sub_account_id, product_type, product_id))

    def put(self, profile: Profile) -> None:
        """Keep a profile instead of the product's old one."""
        self._profiles[profile.sub_account_id, profile.product_type, profile.product_id] = profile

    def remove(self, profile: Profile) -> None:
        """Forget a profile."""
        self._profiles.pop((profile.sub_account_id, profile.product_type, profile.product_id), None)
