"""`[order.NAME]`: what has to come before or after what, in one session.

    [order.ticket]                        # precedence: `before` must have happened before `after`
    before = "tool:jira/create_issue"
    after = "writes & label:production"
    done = true                           # it counts only once its receipt says that it worked

    [order.confirmed]                     # with `each`, once for every time
    before = "says:*yes*"
    after = "tool:*/book_*"
    each = true

    [order.answer]                        # response: `then` must follow `after` within a time
    after = "program:migrate"
    then = "program:smoke-test"
    within = "10m"

    [order.taint]                         # absence: never, or never since
    since = "reads:secret"
    never = "connects:network"

    [order.once]                          # exactly that often in a session; more is held, less is a finding at its end
    counts = "tool:payments/transfer"
    times = 1

Which keys are there says which of the four it is. All take `approve` and `because`. Each is a small automaton (`drift.orders`); what
would break it is held, never refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from keyturn import canonical
from keyturn.policy.drift.limits import requirement, whole
from keyturn.policy.drift.selectors import Selectors, read_selectors, shown
from keyturn.policy.requirements.part import Part

Template = Literal["precedence", "response", "absence", "exactly"]

_KEYS: dict[str, tuple[Template, str, str]] = {
    "before": ("precedence", "after", "before"),
    "then": ("response", "after", "then"),
    "never": ("absence", "never", "since"),
    "times": ("exactly", "counts", ""),
}
"""The key that tells the template, the key of what is watched, and that of what it depends on."""
_OPTIONS: dict[Template, tuple[str, ...]] = {
    "precedence": ("each", "done"),
    "response": ("within", "done"),
    "absence": (),
    "exactly": ("times",),
}


MOST_ORDERS = 30


class Order(Struct, frozen=True):
    """One order. `watched` is what it is about; `other` what has to come before or after it, or what it must not follow.

    `within` is in milliseconds. `mark` is the same for orders that watch the same: their sessions go on.
    """

    name: str
    template: Template
    watched: Selectors
    other: Selectors = ()
    within: int = 0
    times: int = 0
    each: bool = False
    done: bool = False
    approve: str = ""
    because: str = ""
    mark: str = ""

    @property
    def words(self) -> str:
        """What it says."""
        watched, other = shown(self.watched), shown(self.other)
        if self.template == "precedence":
            return f"{other} comes before {'each ' if self.each else ''}{watched}"
        if self.template == "response":
            return f"{other} follows {watched} within {self.within // 1000} seconds"
        if self.template == "absence":
            return f"never {watched}" + (f" once there was {other}" if other else "")
        return f"{watched} happens exactly {self.times} time{'' if self.times == 1 else 's'} in a session"


Orders = Mapping[str, Order]


def read_orders(part: Part) -> dict[str, Order]:
    """All `[order.NAME]`."""
    if len(part.body) > MOST_ORDERS:
        part.wrong(
            part.name, f"there are at most {MOST_ORDERS} orders: an entry names all that an action concerns"
        )
    return {one.name: found for one in part.named() if (found := _order(one)) is not None}


def _order(part: Part) -> Order | None:
    if part.name == "ratchet":
        part.wrong(part.name, "no order is called ratchet: that is a section of its own")
    kinds = [key for key in _KEYS if key in part.body]
    if len(kinds) != 1:
        message = f"[{part.heading}] has exactly one of before, then, never and times: it says which kind of order it is"
        part.wrong(kinds[-1] if kinds else part.name, message, 'before = "instruction"')
        return None
    template, watched, other = _KEYS[kinds[0]]
    options = _OPTIONS[template]
    part.known(watched, *filter(None, (other,)), *options, "approve", "because")
    order = Order(
        name=part.name,
        template=template,
        watched=_required(part, watched),
        other=read_selectors(part, other, events=template in ("precedence", "absence")) if other else (),
        within=part.seconds("within", 600) * 1000 if "within" in options else 0,
        times=whole(part, "times", None, 1) if "times" in options else 0,
        each=_flag(part, "each"),
        done=_flag(part, "done"),
        approve=requirement(part),
        because=part.text("because"),
    )
    if other and other != "since" and not order.other:
        part.wrong(other, f"{other} names what it is", f'{other} = "program:…"')
    counting = {
        "template": template,
        "watched": [one.text for one in order.watched],
        "other": [one.text for one in order.other],
    }
    mark = canonical.digest(counting).removeprefix("sha256:")[:16]
    return Order(**{**{name: getattr(order, name) for name in order.__struct_fields__}, "mark": mark})


def _required(part: Part, key: str) -> Selectors:
    if key not in part.body:
        part.wrong(part.name, f"[{part.heading}] has {key}", f'{key} = "writes & label:production"')
        return ()
    return read_selectors(part, key)


def _flag(part: Part, key: str) -> bool:
    value = part.body.get(key, False)
    if not isinstance(value, bool):
        part.wrong(key, f"{key} is true or false")
    return value is True


__all__ = ["Order", "Orders", "Template", "read_orders"]
