"""The clients of Connect and gRPC-Web (from npm) call the suite through the gateway's HTTP port."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))

from penstock_test.checks import Skip
from penstock_test.grpc_client import contracts
from penstock_test.process import source_dir
from penstock_test.suite import run_with_suite

PACKAGES = [
    "@bufbuild/protobuf@2.10.2",
    "@connectrpc/connect@2.1.1",
    "@connectrpc/connect-node@2.1.1",
    "@connectrpc/connect-web@2.1.1",
]
INSTALL_SECONDS = 120
RUN_SECONDS = 120
HERE = pathlib.Path(__file__).resolve().parent


def installed():
    """The folder that has the packages, in which node finds them."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Skip(f"found no {program}")
    folder = source_dir() / "build/node/connect"
    done = folder / "installed.json"
    if not done.exists() or json.loads(done.read_text()) != PACKAGES:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder]
        try:
            subprocess.run(
                [*command, *PACKAGES], check=True, capture_output=True, timeout=INSTALL_SECONDS
            )
        except (subprocess.SubprocessError, OSError) as error:
            raise Skip(f"npm could not install {PACKAGES}: {error}") from error
        done.write_text(json.dumps(PACKAGES))
    return folder


def test(suite, checks):
    folder = installed()
    for i in range(3):
        suite.http.post("/events", json_body={"n": i}, headers={"Event": "web.test"})
    with tempfile.TemporaryDirectory(dir=folder) as run:
        # Packages are looked for beside the script.
        script = pathlib.Path(run) / "calls.mjs"
        shutil.copy(HERE / "calls.mjs", script)
        descriptors = pathlib.Path(run) / "contracts.binpb"
        descriptors.write_bytes(contracts().descriptor_set())
        url = f"http://127.0.0.1:{suite.ports['http']}"
        ran = subprocess.run(
            ["node", script, url, descriptors],
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
    for line in ran.stdout.splitlines():
        said = json.loads(line)
        checks.that(said["name"], said["holds"], said["detail"])
    checks.equal("node ends well", (ran.returncode, ran.stderr), (0, ""))


if __name__ == "__main__":
    run_with_suite(test)
