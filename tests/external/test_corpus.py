"""Bundles as platform teams have them: together they use everything that is seen in real ones, and all of them register and
deploy."""

import pytest

from constructs import CONSTRUCTS, Corpus
from corpus import Case, cases
from living import Life, World, first_spec, provisioning
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


def test_commands_tell_their_outputs_and_how_they_ended(start):
    """As the commands of real bundles do: outputs without a status, or on the way, and the end by whoever ran them."""
    world = World(start())
    case = Case("build-environment")
    created = {"name": "built", "templateName": world.template(case), "templateMajorVersion": "1", "spec": first_spec(case)}
    world.client.create_environment(**created, **provisioning(case))
    world.notify_in_time("built", "environment", {"table": "first"})
    world.notify("built", "environment", {"table": "second"}, status="IN_PROGRESS", statusMessage="half way")
    assert world.client.get_environment(name="built")["environment"]["deploymentStatus"] == "IN_PROGRESS"
    world.notify("built", "environment", status="SUCCEEDED")
    world.wait("environment_deployed", name="built")
    assert world.outputs("built", "environment") == {"table": "second"}

    world.client.update_environment(name="built", deploymentType="CURRENT_VERSION", spec=first_spec(case))
    world.notify_in_time("built", "environment", status="FAILED", statusMessage="exit status 1")
    environment = world.client.get_environment(name="built")["environment"]
    assert (environment["deploymentStatus"], environment["deploymentStatusMessage"]) == ("FAILED", "exit status 1")
    assert world.outputs("built", "environment") == {"table": "second"}
