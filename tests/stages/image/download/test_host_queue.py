"""Whose turn it is."""

import time
from threading import Event, Thread

import pytest

from nemo_curator.stages.image.download.connections import Target
from nemo_curator.stages.image.download.downloads import Crowd
from nemo_curator.stages.image.download.failures import FetchError
from nemo_curator.stages.image.download.host_queue import MOST_FAILURES, Host, HostQueue, Job


def filled(hosts, **settings):
    queue = HostQueue(**settings)
    for place, host in enumerate(hosts):
        queue.put(host, Job(place, Target("http", host, 80, "/")))
    return queue


def test_hosts_take_turns():
    queue = filled("aaab", per_host=2)
    assert [queue.take()[1].target.host for _ in range(3)] == ["a", "b", "a"]


def test_a_host_has_no_more_turns_than_there_is_room():
    queue = filled("aab", per_host=1)
    (a, _), (b, _) = queue.take(), queue.take()
    later = []
    thread = Thread(target=lambda: later.append(queue.take()))
    thread.start()
    queue.done(b)
    time.sleep(0.05)
    assert later == []
    queue.done(a)
    thread.join()
    assert later[0][1].target.host == "a"
    queue.done(a)
    assert queue.take() is None


def test_a_host_is_asked_no_more_often_than_its_rate():
    queue = filled("aaab", per_host=9, rate=20)
    start, order = time.monotonic(), []
    while (taken := queue.take()) is not None:
        order.append(taken[1].target.host)
        queue.done(taken[0])
    assert sorted(order[:2]) == ["a", "b"]
    assert time.monotonic() - start >= 2 / 20


def test_a_host_that_asks_to_wait_is_left_alone():
    queue = filled("aab", per_host=2)
    host, job = queue.take()
    start = time.monotonic()
    queue.again(host, job, 0.1, pauses=True)
    other, _ = queue.take()
    assert other is not host
    queue.done(other)
    again = [queue.take() for _ in range(2)]
    assert time.monotonic() - start >= 0.1
    assert [one[1].target.host for one in again] == ["a", "a"]


def test_a_host_that_never_answers_is_given_up():
    host = Host()
    for _ in range(MOST_FAILURES - 1):
        host.failed(FetchError("timeout", "x"))
    host.failed(FetchError("http_404", "it did answer"))
    for _ in range(MOST_FAILURES):
        assert host.gone is None
        host.failed(FetchError("connect", "y"))
    assert host.gone.status == "connect"


def test_closing_lets_everybody_go():
    queue = filled("a", per_host=1)
    queue.take()
    threads = [Thread(target=queue.take) for _ in range(3)]
    for thread in threads:
        thread.start()
    queue.close()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_a_queue_that_was_closed_lets_everybody_go():
    queue = filled("ab", per_host=1)
    host, _ = queue.take()
    queue.close()
    queue.done(host)
    assert queue.take() is None


def test_an_error_that_is_none_of_a_url_ends_all_downloads_at_once():
    is_raised, made = Event(), []

    def make(place, target):
        made.append(target.host)
        if target.host == "a":
            is_raised.set()
            raise MemoryError
        is_raised.wait()
        time.sleep(0.1)
        raise FetchError("http_404", "404")

    ended = []

    def all_of_them():
        with pytest.raises(MemoryError):
            list(Crowd(2, 1, None, 0).make_all([f"http://{host}/" for host in "abcdefgh"], make))
        ended.append(True)

    thread = Thread(target=all_of_them, daemon=True)
    thread.start()
    thread.join(5)
    assert ended
    assert len(made) < 8
