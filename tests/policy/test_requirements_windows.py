"""Time windows: right over midnight, over the days on which clocks are moved, and in every zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from keyturn.policy.requirements import read_requirements
from keyturn.policy.requirements.windows import closed, next_opening, shown

MINUTE = 60_000


def windows(text: str):
    read, wrong = read_requirements(text.encode())
    assert not wrong, wrong
    return read.windows


def window(begin: str, end: str, zone: str = "UTC", days: str = "", more: str = ""):
    listed = f"days = [{', '.join(repr(d) for d in days.split())}]\n" if days else ""
    text = f"[window.w]\nfrom = '{begin}'\nto = '{end}'\ntimezone = '{zone}'\n{listed}{more}"
    return windows(text)["w"]


def ms(text: str, zone: str = "UTC", fold: int = 0) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.timestamp() * 1000)


def test_an_office_window_opens_and_closes_on_the_minute():
    office = window("09:00", "17:00", "Europe/Berlin", "mon tue wed thu fri")
    assert not office.is_open(ms("2026-11-30T08:59:59", "Europe/Berlin"))
    assert office.is_open(ms("2026-11-30T09:00", "Europe/Berlin"))
    assert office.is_open(ms("2026-11-30T16:59:59", "Europe/Berlin"))
    assert not office.is_open(ms("2026-11-30T17:00", "Europe/Berlin"))
    saturday = ms("2026-11-28T12:00", "Europe/Berlin")
    assert office.next_opening(saturday) == ms("2026-11-30T09:00", "Europe/Berlin")
    assert shown(office.next_opening(saturday), office.zone) == "Mon 30 Nov 2026, 09:00 CET"


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens():
    night = window("22:00", "02:00", days="fri")
    assert night.is_open(ms("2026-11-27T23:00"))  # Friday
    assert night.is_open(ms("2026-11-28T01:00"))  # the same night, on Saturday
    assert not night.is_open(ms("2026-11-28T02:00"))
    assert not night.is_open(ms("2026-11-28T23:00"))
    assert not night.is_open(ms("2026-11-27T01:00"))  # the night before was Thursday's
    assert night.next_opening(ms("2026-11-28T03:00")) == ms("2026-12-04T22:00")


def test_an_hour_that_summer_time_skips_is_not_open_and_one_that_comes_twice_is_open_twice():
    berlin = "Europe/Berlin"
    early = window("02:00", "03:00", berlin)
    # 29 March 2026: after 01:59:59 comes 03:00.
    assert early.next_opening(ms("2026-03-28T03:00", berlin)) == ms("2026-03-30T02:00", berlin)
    # 25 October 2026: 02:00 to 03:00 comes twice.
    first, second = ms("2026-10-25T02:30", berlin, 0), ms("2026-10-25T02:30", berlin, 1)
    assert second - first == 3_600_000
    assert early.is_open(first)
    assert early.is_open(second)
    half = window("02:00", "02:30", berlin)
    assert not half.is_open(ms("2026-10-25T02:45", berlin, 0))
    again = half.next_opening(ms("2026-10-25T02:45", berlin, 0))
    assert again == ms("2026-10-25T02:00", berlin, 1), "it opens again when the clock is set back"
    # A window that begins within the skipped hour opens with the first minute that there is.
    late = window("02:30", "05:00", berlin)
    opening = late.next_opening(ms("2026-03-29T00:00", berlin))
    assert datetime.fromtimestamp(opening / 1000, ZoneInfo(berlin)).strftime("%H:%M") == "03:00"


def test_dates_that_are_excepted_do_not_open_and_a_window_without_another_never_does():
    day = window("00:00", "24:00", days="thu", more="except = ['2026-12-24']\n")
    assert not day.is_open(ms("2026-12-24T12:00"))
    assert day.is_open(ms("2026-12-31T12:00"))
    every = [(datetime(2026, 12, 3) + timedelta(weeks=n)).date().isoformat() for n in range(60)]
    never = window("00:00", "24:00", days="thu", more=f"except = {every}\n")
    assert never.next_opening(ms("2026-12-01T00:00")) is None
    assert day.next_opening(ms("2026-12-01T00:00")) is not None  # the legitimate twin


def test_several_windows_are_open_when_all_of_them_are():
    both = windows(
        "[window.office]\nfrom='09:00'\nto='17:00'\ndays=['mon']\n[window.late]\nfrom='16:00'\nto='20:00'\n"
    )
    monday = ms("2026-11-30T10:00")
    assert closed(both, ("office", "late"), monday) == ("late",)
    assert next_opening(both, ("office", "late"), monday) == ms("2026-11-30T16:00")
    apart = windows("[window.a]\nfrom='09:00'\nto='10:00'\n[window.b]\nfrom='10:00'\nto='11:00'\n")
    assert next_opening(apart, ("a", "b"), monday) is None
    assert closed(both, ("gone",), monday) == ("gone",)
    assert next_opening(both, ("gone",), monday) is None


ZONES = st.sampled_from(
    ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo",
     "Africa/Casablanca", "Pacific/Apia", "America/St_Johns")
)  # fmt: skip
CLOCK = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda t: f"{t[0]:02}:{t[1]:02}")
INSTANTS = st.integers(ms("2024-01-01T00:00"), ms("2028-01-01T00:00")).map(lambda t: t // MINUTE * MINUTE)


@given(
    CLOCK,
    CLOCK,
    ZONES,
    st.sets(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1),
    INSTANTS,
)
def test_the_next_opening_is_open_and_no_minute_before_it_is(begin, end, zone, days, at):
    if begin == end:
        return
    one = window(begin, end, zone, " ".join(sorted(days)))
    opening = one.next_opening(at)
    assert opening is not None
    assert opening >= at
    assert one.is_open(opening)
    assert opening == at or not one.is_open(at)
    # Every quarter of an hour before it, and the last minute: the second opinion looks at each of them.
    for t in [*range(at, opening, 15 * MINUTE), *([opening - MINUTE] if opening > at else [])]:
        assert not wall(one, t, begin, end, days, zone), datetime.fromtimestamp(t / 1000, UTC)
    assert wall(one, opening, begin, end, days, zone)


def wall(one, at, begin, end, days, zone) -> bool:
    """The rule again, in other words: what the wall clock shows, as text."""
    local = datetime.fromtimestamp(at / 1000, ZoneInfo(zone))
    now, today = local.strftime("%H:%M"), local.strftime("%a").lower()
    yesterday = (local.date() - timedelta(days=1)).strftime("%a").lower()
    if begin < end:
        return begin <= now < end and today in days
    return (now >= begin and today in days) or (now < end and yesterday in days)
