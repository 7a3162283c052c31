"""The claims of OIDC tokens as four CIs issue them, but for issuer, audience and times."""

from __future__ import annotations

from typing import Any

from tests.harness.issuer import ORGANIZATION

SHA = "2475601d9b1cfc2a6e1d2f8d8d5f8f5a3c0e9b77"
PROJECT = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
WORKFLOW = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9"

# https://docs.github.com/en/actions/reference/security/oidc
GITHUB: dict[str, Any] = {
    "jti": "6e3b1d2c-0000-4000-8000-000000000000",
    "sub": "repo:acme/webshop:ref:refs/heads/main",
    "ref": "refs/heads/main",
    "ref_protected": "true",
    "ref_type": "branch",
    "sha": SHA,
    "repository": "acme/webshop",
    "repository_id": "74",
    "repository_owner": "acme",
    "repository_owner_id": "65",
    "repository_visibility": "private",
    "run_id": "9876543210",
    "run_number": "812",
    "run_attempt": "1",
    "runner_environment": "github-hosted",
    "actor": "ada",
    "actor_id": "12",
    "workflow": "CI",
    "workflow_ref": "acme/webshop/.github/workflows/ci.yml@refs/heads/main",
    "workflow_sha": SHA,
    "head_ref": "",
    "base_ref": "",
    "event_name": "push",
    "job_workflow_ref": "acme/webshop/.github/workflows/ci.yml@refs/heads/main",
    "job_workflow_sha": SHA,
}

GITHUB_PULL_REQUEST = GITHUB | {
    "sub": "repo:acme/webshop:pull_request",
    "ref": "refs/pull/12/merge",
    "ref_protected": "false",
    "head_ref": "fix/login",
    "base_ref": "main",
    "event_name": "pull_request",
}

# https://docs.gitlab.com/ci/secrets/id_token_authentication/
GITLAB: dict[str, Any] = {
    "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
    "sub": "project_path:acme/shop/webshop:ref_type:branch:ref:main",
    "namespace_id": "72",
    "namespace_path": "acme/shop",
    "project_id": "20",
    "project_path": "acme/shop/webshop",
    "user_id": "1",
    "user_login": "ada",
    "user_email": "ada@example.com",
    "user_access_level": "developer",
    "pipeline_id": "4711",
    "pipeline_source": "push",
    "job_id": "302",
    "ref": "main",
    "ref_type": "branch",
    "ref_path": "refs/heads/main",
    "ref_protected": "true",
    "runner_id": 1,
    "runner_environment": "gitlab-hosted",
    "sha": SHA,
    "project_visibility": "private",
    "ci_config_ref_uri": "gitlab.com/acme/shop/webshop//.gitlab-ci.yml@refs/heads/main",
    "ci_config_sha": SHA,
}

GITLAB_MERGE_REQUEST = GITLAB | {
    "sub": "project_path:acme/shop/webshop:ref_type:branch:ref:fix/login",
    "pipeline_source": "merge_request_event",
    "ref": "fix/login",
    "ref_path": "refs/merge-requests/7/head",
    "ref_protected": "false",
}

# https://buildkite.com/docs/agent/v3/cli-oidc
BUILDKITE: dict[str, Any] = {
    "sub": f"organization:acme:pipeline:webshop:ref:refs/heads/main:commit:{SHA}:step:build",
    "organization_slug": "acme",
    "pipeline_slug": "webshop",
    "build_number": 93,
    "build_branch": "main",
    "build_tag": None,
    "build_commit": SHA,
    "build_source": "webhook",
    "step_key": "build",
    "job_id": "0184990a-477b-4fa8-9968-496074483cee",
    "agent_id": "0184990a-4782-42b5-afc1-16715b10b8ff",
    "runner_environment": "buildkite-hosted",
}

# https://circleci.com/docs/openid-connect-tokens/
CIRCLECI: dict[str, Any] = {
    "sub": f"org/{ORGANIZATION}/project/{PROJECT}/user/bbbbbbbb-cccc-4ddd-8eee-ffffffffffff"
    "/vcs-origin/github.com/acme/webshop/vcs-ref/refs/heads/main",
    "oidc.circleci.com/project-id": PROJECT,
    "oidc.circleci.com/context-ids": ["cccccccc-dddd-4eee-8fff-000000000000"],
    "oidc.circleci.com/vcs-origin": "github.com/acme/webshop",
    "oidc.circleci.com/vcs-ref": "refs/heads/main",
    "oidc.circleci.com/job-id": "11111111-1111-4111-8111-111111111111",
    "oidc.circleci.com/pipeline-id": "22222222-2222-4222-8222-222222222222",
    "oidc.circleci.com/workflow-id": WORKFLOW,
    "oidc.circleci.com/ssh-rerun": False,
}
