"""Random valid requests over few names, so that they meet each other's resources."""

import random
from typing import Any

from ids import stand_in
from model import SHAPES, text
from world import ACCOUNT, ARN, COMPONENT, SPECS

POOLS = {
    "Arn": [
        *(f"{ARN}:{kind}/{name}" for kind in ("environment-template", "service-template") for name in ("a", "b")),
        f"{ARN}:environment-template/a:1.0",
        f"{ARN}:service-template/a:1.0",
        f"{ARN}:environment/a",
        f"{ARN}:service/a",
        f"{ARN}:service/a/service-instance/a",
        f"{ARN}:component/a",
        f"{ARN}:repository/github:a/b",
        f"{ARN}:environment-account-connection/{stand_in(0)}",
    ],
    "AwsAccountId": [ACCOUNT, ACCOUNT, "111111111111"],
    "ClientToken": ["first", "second"],
    "Description": ["", "one", "two"],
    "EnvironmentAccountConnectionId": [stand_in(0), stand_in(1), stand_in(2)],
    "RepositoryProvider": ["GITHUB", "BITBUCKET"],
    "ResourceName": ["a", "b"],
    "RoleArnOrEmptyString": ["", "arn:aws:iam::000000000000:role/a"],
    "DeploymentId": [stand_in(0), stand_in(1), stand_in(2), stand_in(3)],
    "SpecContents": [SPECS["environment"], SPECS["service"].replace("name: i", "name: a").replace("environment: e", "environment: a")],
    "TemplateFileContents": [COMPONENT["templateFile"]],
    "TemplateManifestContents": [COMPONENT["manifest"]],
    "ResourceNameOrEmpty": ["", "a"],
    "S3Bucket": ["bundles"],
    "S3Key": ["environment.tar.gz", "service.tar.gz", "missing.tar.gz"],
    "TagKey": ["team", "stage", "aws:reserved"],
    "TagValue": ["", "blue", "red"],
    "TemplateVersionPart": ["0", "1", "1", "2"],
    "TemplateVersionStatus": ["DRAFT", "PUBLISHED", "PUBLISHED"],
}

# Tokens are opaque, so no two servers owe each other the same one; pages are compared elsewhere.
LEFT_OUT = {"nextToken", "maxResults"}


def draw(rng: random.Random, shape: str) -> Any:
    facts = SHAPES[shape]
    if shape in POOLS:
        return rng.choice(POOLS[shape])
    match facts["type"]:
        case "structure":
            return {
                member: draw(rng, of["shape"])
                for member, of in facts["members"].items()
                if member not in LEFT_OUT and (of.get("required") or facts.get("union") or rng.random() < 0.4)
            }
        case "list":
            return [draw(rng, facts["member"]) for _ in range(rng.randint(facts.get("min", 0), 2))]
        case "boolean":
            return rng.random() < 0.5
    return rng.choice(facts["enum"]) if "enum" in facts else text(shape)
