"""The Terraform modules, without a cloud: they hold together, fit their providers, and keep what they promise."""

import json
from typing import Any

import pytest

from deploy.terraform.__main__ import readme
from deploy.terraform.source import MODULES, Block, Body, Module, module, unquoted
from tests.deploy.providers.facts import known, leads, misfits

CLOUDS = ("aws", "gcp")
EVERYBODY = ("0.0.0.0/0", "::/0")


@pytest.fixture(params=MODULES)
def one(request: pytest.FixtureRequest) -> Module:
    return module(request.param)


def test_variables_say_what_they_are_and_are_used(one: Module) -> None:
    assert set(one.variables) == {chain[1] for _, chain in one.chains() if chain[0] == "var"}
    for name, body in one.variables.items():
        assert unquoted(body["description"]).endswith("."), name
        assert "type" in body, name


def test_outputs_say_what_they_are(one: Module) -> None:
    assert one.outputs
    assert all(unquoted(body["description"]).endswith(".") for body in one.outputs.values())


def test_every_local_is_used(one: Module) -> None:
    assert set(one.locals) == {chain[1] for _, chain in one.chains() if chain[0] == "local"}


def test_the_readme_has_the_tables_of_its_module(one: Module) -> None:
    assert (one.path / "README.md").read_text() == readme(one), "run `make terraform-readme`"


def test_what_is_referred_to_is_there(one: Module) -> None:
    assert [f"{where}: {'.'.join(chain)}" for where, chain in one.chains() if not resolves(one, chain)] == []


def resolves(of: Module, chain: list[str]) -> bool:
    """Whether a reference leads somewhere."""
    declared = {(block.section, block.kind, block.name) for block in of.blocks}
    match chain:
        case ["each", "key" | "value", *_] | ["path", "module"] | ["self", *_]:
            return True
        case ["var", name, *_]:
            return name in of.variables
        case ["local", name, *_]:
            return name in of.locals
        case ["module", name, *outputs]:
            return name in of.modules and set(outputs) <= set(made_by(of.modules[name]).outputs)
        case ["data", kind, name, *path]:
            return ("data", kind, name) in declared and leads(known(kind)["data"][kind], path)
        case [kind, name, *path]:
            return ("resource", kind, name) in declared and leads(known(kind)["resource"][kind], path)
    return False


def made_by(call: Body) -> Module:
    """The module that a `module` block calls."""
    return module(unquoted(call["source"]).removeprefix("../"))


def test_modules_are_given_what_they_ask_for() -> None:
    for cloud in CLOUDS:
        for call in module(cloud).modules.values():
            variables = made_by(call).variables
            given = {key for key in call if not key.startswith("__")} - {"source", "depends_on"}
            assert {name for name, body in variables.items() if "default" not in body} <= given <= set(variables)


def test_resources_fit_their_providers(one: Module) -> None:
    assert [text for block in one.blocks for text in misfits(block)] == []


@pytest.mark.parametrize(
    ("kind", "body", "misfit"),
    [
        ("random_password", {"length": 4, "lenght": 4}, "has no argument lenght"),
        ("random_password", {}, "lacks ['length']"),
        ("random_password", {"length": 4, "result": '"a"'}, "has no argument result"),
        ("kubernetes_secret_v1", {"metadata": {"name": '"a"'}}, "has no argument metadata"),
        ("kubernetes_secret_v1", {"metadata": [{"nam": '"a"', "__is_block__": True}]}, "metadata has no argument nam"),
        ("aws_vpc", {"ingress": [{"__is_block__": True}]}, "has no block ingress"),
    ],
)
def test_the_check_finds_misfits(kind: str, body: Body, misfit: str) -> None:
    found = list(misfits(Block("resource", kind, "this", body)))
    assert any(text.endswith(misfit) for text in found), found


def test_the_check_finds_references_to_nothing() -> None:
    aws = module("aws")
    assert resolves(aws, ["aws_eks_cluster", "main", "identity", "oidc", "issuer"])
    assert not resolves(aws, ["aws_eks_cluster", "main", "identity", "oidc", "isuer"])
    assert not resolves(aws, ["aws_eks_cluster", "other", "arn"])
    assert not resolves(aws, ["aws_db_instance", "postgres", "passwort"])
    assert not resolves(aws, ["data", "http", "postgres_ca", "text"])
    assert not resolves(aws, ["var", "nmae"])
    assert not resolves(aws, ["module", "release", "password"])


def test_modules_pin_the_versions_that_they_were_checked_against(one: Module) -> None:
    used = {kind.split("_")[0] for _, kind in one.uses()}
    assert set(one.required) == used
    for provider, wanted in one.required.items():
        assert known(provider)["source"].endswith(wanted["source"])
        assert known(provider)["version"] == wanted["version"], provider


def test_nothing_is_open_to_everybody(one: Module) -> None:
    for block in one.blocks:
        # Nodes have a way out.
        if block.kind != "aws_route":
            assert not any(cidr in json.dumps(block.body) for cidr in EVERYBODY), str(block)
    for block in one.of("aws_security_group", "aws_default_security_group"):
        assert not {"ingress", "egress"} & block.body.keys(), f"{block} has rules of its own"
    for block in one.of("aws_vpc_security_group_ingress_rule"):
        assert "referenced_security_group_id" in block.body, str(block)
        assert not any(key.startswith(("cidr", "prefix")) for key in block.body), str(block)
    for block in one.of("google_compute_firewall"):
        assert block.body["direction"] == '"EGRESS"', str(block)
        assert {"deny"} == {"allow", "deny"} & block.body.keys(), str(block)
    assert not one.of("aws_security_group_rule", "google_compute_firewall_policy_rule")


PROMISES: dict[str, dict[str, Any]] = {
    "aws_db_instance.postgres": {
        "multi_az": True,
        "storage_encrypted": True,
        "publicly_accessible": False,
        "skip_final_snapshot": False,
        "deletion_protection": "${var.deletion_protection}",
        "backup_retention_period": "${var.postgres_backup_days}",
        "db_subnet_group_name": "${aws_db_subnet_group.postgres.name}",
    },
    "aws_db_parameter_group.postgres": {"parameter.0.name": '"rds.force_ssl"', "parameter.0.value": '"1"'},
    "aws_elasticache_replication_group.redis": {
        "at_rest_encryption_enabled": True,
        "transit_encryption_enabled": True,
        "automatic_failover_enabled": True,
        "multi_az_enabled": True,
        "auth_token": "${random_password.redis.result}",
    },
    "aws_elasticache_parameter_group.redis": {
        "parameter.0.name": '"maxmemory-policy"',
        "parameter.0.value": '"noeviction"',
    },
    "aws_eks_cluster.main": {
        "deletion_protection": "${var.deletion_protection}",
        "vpc_config.0.endpoint_private_access": True,
        "vpc_config.0.endpoint_public_access": "${length(var.api_allowed_cidrs) > 0}",
    },
    "aws_launch_template.nodes": {
        "block_device_mappings.0.ebs.0.encrypted": True,
        "metadata_options.0.http_tokens": '"required"',
        "metadata_options.0.http_put_response_hop_limit": 1,
    },
    "kubernetes_storage_class_v1.etcd": {"parameters.encrypted": '"true"'},
    "google_sql_database_instance.postgres": {
        "deletion_protection": "${var.deletion_protection}",
        "settings.0.deletion_protection_enabled": "${var.deletion_protection}",
        "settings.0.availability_type": '"REGIONAL"',
        "settings.0.ip_configuration.0.ipv4_enabled": False,
        "settings.0.ip_configuration.0.ssl_mode": '"ENCRYPTED_ONLY"',
        "settings.0.backup_configuration.0.enabled": True,
        "settings.0.backup_configuration.0.point_in_time_recovery_enabled": True,
    },
    "google_redis_instance.redis": {
        "deletion_protection": "${var.deletion_protection}",
        "tier": '"STANDARD_HA"',
        "auth_enabled": True,
        "transit_encryption_mode": '"SERVER_AUTHENTICATION"',
        "redis_configs.maxmemory-policy": '"noeviction"',
    },
    "google_container_cluster.main": {
        "deletion_protection": "${var.deletion_protection}",
        "private_cluster_config.0.enable_private_nodes": True,
        "private_cluster_config.0.enable_private_endpoint": "${length(var.api_allowed_cidrs) == 0}",
        "datapath_provider": '"ADVANCED_DATAPATH"',
    },
    "google_container_node_pool.main": {
        "node_config.0.workload_metadata_config.0.mode": '"GKE_METADATA"',
        "node_config.0.service_account": "${google_service_account.nodes[each.key].email}",
    },
}


@pytest.mark.parametrize("name", PROMISES)
def test_stores_and_nodes_are_as_promised(name: str) -> None:
    (block,) = [block for cloud in CLOUDS for block in module(cloud).blocks if str(block) == name]
    assert {path: at(block.body, path) for path in PROMISES[name]} == PROMISES[name]


def at(body: Any, path: str) -> Any:
    """The value at a path like `settings.0.tier`."""
    for step in path.split("."):
        body = body[int(step)] if step.isdigit() else body[step]
    return body


@pytest.mark.parametrize("cloud", CLOUDS)
def test_deletion_is_refused_and_the_api_closed_unless_one_says_otherwise(cloud: str) -> None:
    variables = module(cloud).variables
    assert variables["deletion_protection"]["default"] is True
    assert variables["api_allowed_cidrs"]["default"] == []


@pytest.mark.parametrize(
    ("cloud", "stores"),
    [
        ("aws", {"aws_db_instance.postgres", "aws_elasticache_replication_group.redis"}),
        ("gcp", {"google_sql_user.taskyard"}),
    ],
)
def test_passwords_go_to_their_stores_and_to_the_release_only(cloud: str, stores: set[str]) -> None:
    of = module(cloud)
    assert {str(block) for block in of.blocks if secret(block.body)} == stores
    assert {name for name, call in of.modules.items() if secret(call)} == {"release"}
    assert not secret(of.outputs)
    assert not secret(of.locals)


def secret(body: Body) -> bool:
    """Whether a password is used in it."""
    return any(word in json.dumps(body) for word in (".result", "auth_string"))


def test_the_release_keeps_urls_in_secrets() -> None:
    of = module("release")
    for store in ("postgres", "redis"):
        assert of.variables[store]["sensitive"] is True
        takers = {block.kind for block in of.blocks if f"var.{store}." in json.dumps(content_of(block))}
        assert takers == {"kubernetes_secret_v1"}
    assert "var.postgres" not in json.dumps(of.locals["values"])
    assert "var.redis" not in json.dumps(of.locals["values"])


def content_of(block: Block) -> Body:
    """A resource without the arguments that say how many there are."""
    return {key: value for key, value in block.body.items() if key not in ("count", "for_each")}
