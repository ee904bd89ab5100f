import pytest

from nemo_curator.backends.cards import Cards, find_cards, places


@pytest.mark.parametrize(("visible", "cards"), [("2,3", ["2", "3"]), ("", []), ("-1", []), ("1,-1,2", ["1"])])
def test_cards_are_those_that_this_process_may_use(visible, cards, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert find_cards() == cards


@pytest.mark.parametrize(
    ("cards", "share", "workers"), [(2, 1.0, 2), (2, 0.5, 4), (2, 0.7, 2), (2, 0.4, 4), (4, 2.0, 2), (3, 2.0, 1)]
)
def test_shares_are_of_one_card_each(cards, share, workers):
    assert places(cards, share) == workers
    table = Cards([str(number) for number in range(cards)])
    taken = [table.take(worker, share) for worker in range(workers + 1)]
    assert taken[-1] is None
    held = [name for names in taken[:-1] for name in names]
    assert max(held.count(name) for name in held) * min(share, 1.0) <= 1.0


def test_a_worker_keeps_its_card_and_no_card_is_handed_out_twice():
    table = Cards(["2", "5"])
    assert (table.take("a", 1.0), table.take("b", 1.0)) == (["2"], ["5"])
    table.give_back("a", 1.0)
    assert table.take("c", 1.0) == ["2"]
    assert table.take("a", 1.0) is None
    table.give_back("c", 1.0)
    assert table.take("a", 1.0) == ["2"]
    table.give_back("b", 1.0)
    table.forget("b")
    assert table.take("d", 0.5) == ["5"]
    assert table.take("e", 0.5) == ["5"]
