"""What is on the wire of `/admin/usage` and `/admin/quotas`."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chat_service.usage_entities import Quota, UsageSum

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]


class UsageItem(BaseModel):
    """Of what was not summed up by there is no key; costs are of the prices at that time."""

    model_config = ConfigDict(extra="allow")

    requests: int
    estimated_requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    currency: str

    @classmethod
    def of(cls, found: UsageSum) -> "UsageItem":
        return cls(
            **found.key,
            requests=found.requests,
            estimated_requests=found.estimated_requests,
            prompt_tokens=found.prompt_tokens,
            completion_tokens=found.completion_tokens,
            cost=round(found.cost, 6),
            currency=found.currency,
        )


class UsageItems(BaseModel):
    items: list[UsageItem]
    total: int
    page: int
    page_size: int


class NewQuota(BaseModel):
    """`per` client: of all its users together. Per user: of the one, or of each without a name."""

    model_config = ConfigDict(extra="forbid")

    client_id: Id
    per: Literal["client", "user"]
    user_id: Id | None = None
    daily_tokens: Annotated[int, Field(ge=0, le=10**12)]

    @model_validator(mode="after")
    def _user_of_user(self) -> Self:
        if self.per == "client" and self.user_id is not None:
            raise ValueError("a client's quota has no user_id 按客户端的配额不能指定用户")
        return self

    def entity(self) -> Quota:
        return Quota(self.client_id, self.per, self.daily_tokens, self.user_id)


class QuotaItem(BaseModel):
    """`used_today` is null where the quota is of each user."""

    id: int | None
    client_id: str
    per: str
    user_id: str | None
    daily_tokens: int
    used_today: int | None


class QuotaItems(BaseModel):
    items: list[QuotaItem]
    total: int
    page: int
    page_size: int
