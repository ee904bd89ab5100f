"""Which GPUs of this machine a worker process has."""

from __future__ import annotations

import os
from pathlib import Path


def find_cards() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]
    cards = []
    for card in map(str.strip, visible.split(",")):
        if not card or card.startswith("-"):
            break  # CUDA looks no further
        cards.append(card)
    return cards


def places(cards: int, share: float) -> int:
    """How many workers of this share of a card, or of so many cards, there can be at once."""
    return cards * int(1 / share + 1e-9) if share < 1 else int(cards / share + 1e-9)


class Cards:
    """Hands cards to workers. A worker keeps its cards for good, because CUDA does."""

    def __init__(self, names: list[str]):
        self._names = names
        self._held: dict[object, list[int]] = {}
        self._used = [0.0] * len(names)

    def take(self, worker: object, share: float) -> list[str] | None:
        """The cards on which a worker may run a step of this share now; None while there is no room for it."""
        held = self._held.get(worker)
        if held is None:
            free = [card for card, used in enumerate(self._used) if used + min(share, 1.0) <= 1.0 + 1e-9]
            free.sort(key=lambda card: (sum(card in cards for cards in self._held.values()), card))
            held = free[: max(int(share), 1)]
        if len(held) < share or any(self._used[card] + min(share, 1.0) > 1.0 + 1e-9 for card in held):
            return None
        self._held[worker] = held
        for card in held:
            self._used[card] += min(share, 1.0)
        return [self._names[card] for card in held]

    def give_back(self, worker: object, share: float) -> None:
        """The step is over; the worker keeps the cards for the next."""
        for card in self._held[worker]:
            self._used[card] -= min(share, 1.0)

    def forget(self, worker: object) -> None:
        """The worker is no more."""
        self._held.pop(worker, None)
