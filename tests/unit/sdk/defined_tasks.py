"""Definitions with every kind of class, and a worker for them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NotRequired, TypedDict
from uuid import UUID

import msgspec
import pydantic

from taskyard import Context, TaskDefinition, Worker, task


@dataclass(frozen=True)
class Town:
    name: str
    people: int = 0


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Region:
    """Everything at once, itself included."""

    towns: list[Town]
    by_code: dict[str, Town] = field(default_factory=dict)
    since: datetime | None = None
    id: UUID | None = None
    size: Size = Size.SMALL
    kind: Literal["coast", "inland"] = "coast"
    corner: tuple[float, float] = (0.0, 0.0)
    within: "Region | None" = None

    def __post_init__(self) -> None:
        if not self.towns:
            raise ValueError("a region has towns")


class Place(TypedDict):
    town: str
    zip: NotRequired[int]


class Parcel(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    weight: float = pydantic.Field(gt=0, alias="weightKg")
    sent: datetime


class Receipt(msgspec.Struct):
    number: int
    lines: list[str] = []


greet = task("town.greet", Town, str, queue="towns", priority=7)
grow = task("region.grow", Region, Region)
locate = task("place.locate", Place, Place)
weigh = task("parcel.weigh", Parcel, Receipt)
bill = task("receipt.bill", Receipt, Parcel)
count = task("words.count", list[str], dict[str, int])
tick = task("tick", None)
lie = task("lie", str, int)
spawn = task("town.spawn", Town, Town)
lookup: TaskDefinition[int, str | None] = task("lookup", int, str | None)

worker = Worker()


@worker.handles(greet)
async def _greet(context: Context, town: Town) -> str:
    return f"Hello {town.name}, from attempt {context.attempt}"


@worker.handles(grow)
def _grow(region: Region) -> Region:
    return Region([Town(town.name, town.people + 1) for town in region.towns], region.by_code, within=region)


@worker.handles(lie)
async def _lie(_payload: str) -> int:
    return "five"  # type: ignore[return-value]


@worker.handles(spawn, process=True)
def _spawn(town: Town) -> Town:
    return Town(town.name.upper(), town.people)
