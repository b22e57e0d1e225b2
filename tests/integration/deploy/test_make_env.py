"""The secrets `make up` writes on a machine that has none."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[3]
NAMES = {
    "TOKEN",
    "TOLLWAY_ADMIN_TOKEN",
    "TOLLWAY_INTERNAL_TOKEN",
    "POSTGRES_PASSWORD",
    "RABBITMQ_PASSWORD",
    "REDIS_PASSWORD",
}


@pytest.fixture
def make_env(tmp_path):
    """Runs it beside an engine that has these volumes."""

    def run(*volumes):
        docker = tmp_path / "docker"
        docker.write_text(f'#!/bin/sh\ncase " {" ".join(volumes)} " in *" $3 "*) exit 0;; esac\nexit 1\n')
        docker.chmod(0o755)
        environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        environ.pop("COMPOSE_PROJECT_NAME", None)
        done = subprocess.run(
            ["bash", "deploy/make-env"], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
        )
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if line and not line.startswith("#"))

    return run


def test_every_secret_is_fresh_and_long(make_env):
    first, second = make_env(), make_env()
    assert set(first) == NAMES
    assert all(len(value) >= 32 for value in first.values())
    assert not set(first.values()) & set(second.values())


def test_servers_that_were_started_without_an_env_file_keep_their_password(make_env):
    made = make_env("tollway_postgres-data", "tollway_rabbitmq-data")
    assert made["POSTGRES_PASSWORD"] == made["RABBITMQ_PASSWORD"] == "tollway-development"
    assert all(len(made[name]) >= 32 for name in NAMES - {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"})
