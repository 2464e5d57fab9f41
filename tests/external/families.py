"""Which families of operations the server has. Whatever is not named here answers UNIMPLEMENTED."""

from model import OPERATIONS

PRESENT = {
    "account": ["GetAccountSettings", "UpdateAccountSettings", "GetResourcesSummary"],
    "environment template": [
        "CreateEnvironmentTemplate",
        "GetEnvironmentTemplate",
        "ListEnvironmentTemplates",
        "UpdateEnvironmentTemplate",
        "DeleteEnvironmentTemplate",
        "CreateEnvironmentTemplateVersion",
        "GetEnvironmentTemplateVersion",
        "ListEnvironmentTemplateVersions",
        "UpdateEnvironmentTemplateVersion",
        "DeleteEnvironmentTemplateVersion",
    ],
    "service template": [
        "CreateServiceTemplate",
        "GetServiceTemplate",
        "ListServiceTemplates",
        "UpdateServiceTemplate",
        "DeleteServiceTemplate",
        "CreateServiceTemplateVersion",
        "GetServiceTemplateVersion",
        "ListServiceTemplateVersions",
        "UpdateServiceTemplateVersion",
        "DeleteServiceTemplateVersion",
    ],
    "repository": [
        "CreateRepository",
        "GetRepository",
        "ListRepositories",
        "DeleteRepository",
        "GetRepositorySyncStatus",
        "ListRepositorySyncDefinitions",
    ],
    "environment account connection": [
        "CreateEnvironmentAccountConnection",
        "GetEnvironmentAccountConnection",
        "ListEnvironmentAccountConnections",
        "UpdateEnvironmentAccountConnection",
        "DeleteEnvironmentAccountConnection",
        "AcceptEnvironmentAccountConnection",
        "RejectEnvironmentAccountConnection",
    ],
    "template sync": [
        "CreateTemplateSyncConfig",
        "GetTemplateSyncConfig",
        "UpdateTemplateSyncConfig",
        "DeleteTemplateSyncConfig",
        "GetTemplateSyncStatus",
    ],
    "service sync": [
        "CreateServiceSyncConfig",
        "GetServiceSyncConfig",
        "UpdateServiceSyncConfig",
        "DeleteServiceSyncConfig",
        "GetServiceInstanceSyncStatus",
        "GetServiceSyncBlockerSummary",
        "UpdateServiceSyncBlocker",
    ],
    "tags": ["ListTagsForResource", "TagResource", "UntagResource"],
}

PRESENT_OPERATIONS = sorted(operation for family in PRESENT.values() for operation in family)
ABSENT_OPERATIONS = sorted(OPERATIONS.keys() - set(PRESENT_OPERATIONS))
