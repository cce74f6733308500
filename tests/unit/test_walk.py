"""Lists of lanes are gone through some at a time, and as a whole when much may be new."""

from taskyard_core.storage.lanes import Page
from taskyard_dispatcher.dispatch.board import LaneBoard
from taskyard_dispatcher.dispatch.loop import Walk
from taskyard_dispatcher.sessions.roster import Roster


class Listing:
    """A list of lanes, three a page."""

    def __init__(self, count: int) -> None:
        self.names = [f"n/q/x/5/host=h{number:03}" for number in range(count)]
        self.asked: list[str] = []

    async def page(self, position: str) -> Page:
        self.asked.append(position)
        rest = [name for name in self.names if name > position]
        return Page(rest[:3], rest[2] if len(rest) > 3 else "")


async def test_the_first_step_reads_all_and_later_ones_a_page_each() -> None:
    listing, board = Listing(9), LaneBoard(Roster())
    walk = Walk(listing.page, board)
    await walk.step()
    assert (len(listing.asked), board.known) == (3, 9)
    listing.names.append("n/q/x/5/host=new")
    for pages in range(4, 8):
        await walk.step()
        assert len(listing.asked) == pages
    assert board.known == 10


async def test_after_a_lost_connection_all_is_read_from_the_beginning() -> None:
    listing, board = Listing(9), LaneBoard(Roster())
    walk = Walk(listing.page, board)
    await walk.step()
    await walk.step()
    walk.hurry()
    await walk.step()
    # The rest of the walk that was under way, and then a whole one.
    assert listing.asked[4:] == [listing.names[2], listing.names[5], "", listing.names[2], listing.names[5]]


async def test_what_is_gone_is_forgotten_after_a_whole_walk() -> None:
    listing, board = Listing(9), LaneBoard(Roster())
    walk = Walk(listing.page, board)
    await walk.step()
    del listing.names[4:]
    for _ in range(4):
        await walk.step()
    assert board.known == 4
