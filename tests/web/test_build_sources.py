"""What BuildKit keeps of a solve is on its build's page: the Dockerfile's line, provenance and attestations."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.harness.browser import Browser
from tests.harness.contexts import HEADER, make_context, run
from tests.harness.endpoint import get_endpoint
from tests.harness.records import when_recorded
from tests.harness.registry import registry_of
from tests.harness.server import Server

SECRET = "hunter2-hunter2"
SPDX = "https://spdx.dev/Document"
BUSYBOX = {
    "name": "busybox",
    "SPDXID": "SPDXRef-busybox",
    "versionInfo": "1.36",
    "downloadLocation": "NOASSERTION",
    "filesAnalyzed": True,
}


def built(server: Server, folder: Path, dockerfile: str, *arguments: str, succeeds: bool = True) -> str:
    """Build with buildctl, which sends the server nothing but the build itself."""
    build, token = server.new_build(server.project)
    endpoint = get_endpoint(server, build, token, folder / "endpoint")
    result = endpoint.build(make_context(folder / "context", dockerfile), *arguments)
    assert (result.code == 0) == succeeds, result.output
    when_recorded(server, build)
    ending: dict[str, object] = {"success": {}} if succeeds else {"error": {"error": "it failed"}}
    answer = server.call("depot.build.v1.BuildService/FinishBuild", {"buildId": build, **ending})
    assert answer.status == 200, answer
    return build


def documents(browser: Browser, build: str) -> list[dict[str, object]]:
    page = browser.get(f"/builds/{build}")
    return [
        json.loads(browser.get(path).text) for path in re.findall(r'href="(/builds/\w+/attestations/\d+)"', page.text)
    ]


def test_a_failure_of_buildctl_shows_the_line_of_the_dockerfile(owned: Server, ada: Browser, tmp_path: Path) -> None:
    build = built(owned, tmp_path, HEADER + run("true") + run("exit 7"), succeeds=False)
    assert "Dockerfile:4" in ada.get(f"/builds/{build}").text.partition("<dl>")[0]


def test_provenance_can_be_downloaded_by_members_alone_and_holds_no_secret(
    owned: Server, ada: Browser, tmp_path: Path
) -> None:
    dockerfile = HEADER + "ARG NPM_TOKEN\n" + run("echo $NPM_TOKEN")
    build = built(owned, tmp_path, dockerfile, f"--opt=build-arg:NPM_TOKEN={SECRET}")
    (provenance,) = documents(ada, build)
    assert {"buildDefinition", "runDetails"} <= provenance.keys()
    assert '"build-arg:NPM_TOKEN": "***"' in json.dumps(provenance)
    assert SECRET not in json.dumps(provenance)
    names = owned.query("select name from steps where build_id = ?", build)
    assert [name for (name,) in names if "echo ***" in name], names
    assert SECRET not in str(names)
    path = f"/builds/{build}/attestations/1"
    answer = ada.get(path)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/json"
    ada.submit(ada.get(f"/builds/{build}"), f"/builds/{build}/share", decision="share")
    ((share,),) = owned.query("select share_id from build_shares where build_id = ?", build)
    stranger = Browser(owned.url)
    assert "attestations" not in stranger.get(f"/share/{share}").text
    assert stranger.get(f"/share/{share}/attestations/1").status == 404
    assert stranger.get(path).path == "/sign-in"
    assert [ada.get(f"/builds/{build}/attestations/{number}").status for number in ("99", "x")] == [404, 404]


def test_attestations_of_an_image_are_kept_too(owned: Server, ada: Browser, tmp_path: Path) -> None:
    build = built(
        owned,
        tmp_path,
        HEADER,
        "--opt=attest:provenance=mode=min,version=v0.2",
        "--output=type=image,name=x,store=true",
    )
    page = ada.get(f"/builds/{build}")
    kinds = [one["predicateType"] for one in documents(ada, build) if "predicateType" in one]
    assert kinds == ["https://slsa.dev/provenance/v0.2"], page.words
    assert "Download provenance of linux/amd64" in page.words


def scanner(server: Server, folder: Path) -> Path:
    """The image of a scanner that finds what it is told, as an OCI layout
    (https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md).
    """
    found = {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "scanned", "packages": [BUSYBOX]}
    statement = {"_type": "https://in-toto.io/Statement/v0.1", "predicateType": SPDX, "predicate": found}
    script = f"""test -x "$BUILDKIT_SCAN_SOURCE/bin/busybox"
        echo '{json.dumps(statement)}' > "$BUILDKIT_SCAN_DESTINATION/sbom.spdx.json\""""
    dockerfile = HEADER + f"ENTRYPOINT {json.dumps(['/bin/busybox', 'sh', '-euc', script])}\n"
    built(server, folder, dockerfile, f"--output=type=oci,tar=false,dest={folder / 'layout'}")
    return folder / "layout"


def test_an_sbom_can_be_downloaded(owned: Server, ada: Browser, tmp_path: Path) -> None:
    with registry_of(scanner(owned, tmp_path / "scanner")) as registry:
        scan = f"--opt=attest:sbom=generator={registry}/scanner"
        build = built(owned, tmp_path, HEADER + run("true"), scan, "--output=type=image,name=x,store=true")
    page = ada.get(f"/builds/{build}")
    assert "Download SBOM of linux/amd64" in page.words
    (sbom,) = [one for one in documents(ada, build) if one.get("predicateType") == SPDX]
    assert isinstance(sbom["predicate"], dict)
    assert sbom["predicate"]["packages"] == [BUSYBOX]


def test_nothing_is_kept_of_what_is_over_the_limit(strict: Server, tmp_path: Path) -> None:
    build = built(strict, tmp_path, HEADER)
    assert strict.query("select number from attestations where build_id = ?", build) == []
