"""Which person fills which place: maximum bipartite matching by augmenting paths.

Counting group by group goes wrong as soon as somebody is in two groups: first come, first placed would let one
person block a place that only they could leave. A matching never does: the set of people placed grows by one
whenever that is possible at all. Source: J. E. Hopcroft & R. M. Karp (1973) §1, Berge's theorem (a matching is
maximum iff there is no augmenting path).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


def place(wishes: Sequence[Collection[int]], needs: Sequence[int]) -> tuple[int | None, ...]:
    """For each person the stage they fill, or None. As many people as possible are placed.

    `wishes[i]` are the stages person i can fill; stage s takes `needs[s]` people. Whoever could be placed
    among the earlier ones stays placed, so adding a person at the end never displaces another.
    """
    filled: list[list[int]] = [[] for _ in needs]
    placed: list[int | None] = [None] * len(wishes)

    def find(person: int, seen: set[int]) -> bool:
        for stage in sorted(wishes[person]):
            if stage in seen:
                continue
            seen.add(stage)
            if len(filled[stage]) < needs[stage]:
                filled[stage].append(person)
                placed[person] = stage
                return True
            for other in tuple(filled[stage]):
                if find(other, seen):  # *other* moved to another stage and leaves its place
                    filled[stage].remove(other)
                    filled[stage].append(person)
                    placed[person] = stage
                    return True
        return False

    for person in range(len(wishes)):
        find(person, set())
    return tuple(placed)
