"""Who is told about downloads and decoding, and until when."""

from concurrent.futures import ThreadPoolExecutor

from ddsweep.data import progress
from ddsweep.data.progress import Listener, reported_to


def test_phases_have_a_total_even_where_none_is_known():
    told = []
    with reported_to(Listener.of_phases(lambda *news: told.append(news))):
        progress.downloaded("a.tgz", 5, None)
        progress.downloaded("a.tgz", 10, 20)
        progress.decoded("imagefolder:/x", 256, 1000)
    progress.decoded("imagefolder:/x", 512, 1000)
    assert told == [("download data", 5, 5), ("download data", 10, 20), ("decode images", 256, 1000)]


def test_the_innermost_listener_is_told_and_the_outer_one_again_afterwards():
    outer, inner = [], []
    with reported_to(Listener(decoded=lambda *news: outer.append(news))):
        with reported_to(Listener(decoded=lambda *news: inner.append(news))):
            progress.decoded("a", 1, 2)
        progress.decoded("a", 2, 2)
    assert (inner, outer) == ([("a", 1, 2)], [("a", 2, 2)])


def test_another_thread_has_listeners_of_its_own():
    told = []
    with reported_to(Listener(decoded=lambda *news: told.append(news))), ThreadPoolExecutor(1) as pool:
        pool.submit(progress.decoded, "a", 1, 2).result()
    assert told == []
