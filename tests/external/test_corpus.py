"""Bundles as platform teams have them: together they use everything that is seen in real ones, and all of them register and deploy."""

import pytest

from constructs import CONSTRUCTS, Corpus
from corpus import cases
from living import Life, World
from server import Server


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), environment={"PROTON_GRPC_HANDOVER": "succeed"}) as server:
        yield World(server)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_bundle_lives(world, case):
    Life(world, case).live()


@pytest.fixture(scope="module")
def corpus():
    return Corpus()


@pytest.mark.parametrize(("sort", "construct"), [(sort, name) for sort, rows in CONSTRUCTS.items() for name in rows])
def test_the_corpus_uses_what_real_bundles_use(corpus, sort, construct):
    assert CONSTRUCTS[sort][construct](corpus), f"no bundle of the corpus has {sort}: {construct}"
