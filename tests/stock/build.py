"""Build a stock Kubernetes from Debian's source package: `python -m tests.stock.build`.

The package holds everything that the build needs, so that a Debian mirror is the only thing that
has to be reachable. Nothing of the machine is changed: apt works on folders of its own, with the
sources that this machine has, asked for source packages.

    ${XDG_CACHE_HOME:-~/.cache}/labkit/stock/
        bin/        what is built; with all of them there, nothing is done
        source/     the unpacked package
        go/         Go's caches; may be deleted at any time

It takes 3 minutes of two cores and 3 GB of disk. Needed: Debian's packages golang-go (1.15 or
newer), dpkg-dev and, to run the API server, etcd-server.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PROGRAMS = ("kube-proxy", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
#: Each tool with the Debian package that has it.
TOOLS = {"go": "golang-go", "dpkg-source": "dpkg-dev", "apt-get": "apt", "etcd": "etcd-server"}

_MODULE = "k8s.io/kubernetes"
_OPENAPI = "pkg/generated/openapi"
_OPENAPI_TAG = re.compile(r"^// *\+k8s:openapi-gen=", re.MULTILINE)
#: Folders with tagged types that are examples, no part of the server's API.
_NOT_SERVED = ("code-generator", "sample-apiserver", "testing")
_DEB_LINE = re.compile(r"^deb(?=\s)", re.MULTILINE)
_DEB_TYPES = re.compile(r"^Types:.*$", re.MULTILINE)


class CannotBuildError(Exception):
    """What is missing, and what to do about it."""


def folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "labkit", "stock")


def ensure(root: Path | None = None) -> Path:
    """Return the folder of the programs, built if they are not there. Raises CannotBuildError."""
    root = root or folder()
    missing = [f"{name} (Debian's {pkg})" for name, pkg in TOOLS.items() if not shutil.which(name)]
    if missing:
        raise CannotBuildError(f"stock Kubernetes needs {', '.join(missing)}: install them")
    programs = root / "bin"
    wanted = [name for name in PROGRAMS if not (programs / name).exists()]
    if wanted:
        source = _ensure_source(root)
        environment = _go_environment(root, source)
        tree = Path(environment["GOPATH"], "src", _MODULE)
        _ensure_openapi(tree, environment, root)
        _build(tree, environment, programs, wanted)
    return programs


# --- the source ----------------------------------------------------------------------------------


def _ensure_source(root: Path) -> Path:
    source = root / "source"
    if not source.exists():
        for part in ("apt/sources", "apt/state/lists/partial", "apt/cache/archives/partial"):
            (root / part).mkdir(parents=True, exist_ok=True)
        for name, text in _deb_src_entries():
            (root / "apt/sources" / name).write_text(text)
        apt = ("apt-get", "--quiet", *(f"--option={each}" for each in _apt_options(root / "apt")))
        _run([*apt, "update"], root)
        _run([*apt, "source", "kubernetes"], root)
        [unpacked] = [path for path in root.glob("kubernetes-*") if path.is_dir()]
        unpacked.rename(source)
    return source


def _apt_options(apt: Path) -> tuple[str, ...]:
    return (
        f"Dir::Etc::sourcelist={apt}/none",
        f"Dir::Etc::sourceparts={apt}/sources",
        f"Dir::State={apt}/state",
        "Dir::State::status=/var/lib/dpkg/status",
        f"Dir::Cache={apt}/cache",
        "APT::Sandbox::User=",
    )


def _deb_src_entries() -> Iterator[tuple[str, str]]:
    """This machine's own sources, each asked for source packages."""
    etc = Path("/etc/apt")
    for path in (etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))):
        if path.suffix in (".list", ".sources") and path.is_file():
            text = _DEB_LINE.sub("deb-src", path.read_text())
            yield path.name, _DEB_TYPES.sub("Types: deb-src", text)


# --- Go ------------------------------------------------------------------------------------------


def _go_environment(root: Path, source: Path) -> Mapping[str, str]:
    """The tree is older than Go's modules: it builds where GOPATH says that it lies."""
    place = root / "go/path/src/k8s.io"
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "kubernetes").is_symlink():
        (place / "kubernetes").symlink_to(source)
    own = {
        "GOPATH": str(root / "go/path"),
        "GOCACHE": str(root / "go/cache"),
        "GO111MODULE": "off",
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    return {**os.environ, **own}


def _ensure_openapi(tree: Path, environment: Mapping[str, str], root: Path) -> None:
    """The one generated file that the package leaves out: the types as OpenAPI tells them."""
    if (tree / _OPENAPI / "zz_generated.openapi.go").exists():
        return
    tool = root / "go/openapi-gen"
    package = f"{_MODULE}/vendor/k8s.io/kube-openapi/cmd/openapi-gen"
    _run(["go", "build", "-o", str(tool), package], tree, environment)
    flags = {
        "-i": ",".join(f"{_MODULE}/{each}" for each in _tagged_folders(tree)),
        "-p": f"{_MODULE}/{_OPENAPI}",
        "-O": "zz_generated.openapi",
        "-h": "hack/boilerplate/boilerplate.generatego.txt",
        "-r": str(root / "go/violations.report"),
    }
    _run([str(tool), *(word for flag in flags.items() for word in flag)], tree, environment)


def _tagged_folders(tree: Path) -> list[str]:
    tops = [tree / "pkg/apis", *sorted((tree / "vendor/k8s.io").iterdir())]
    found = set()
    for top in tops:
        for path in top.resolve().rglob("*.go"):
            if _OPENAPI_TAG.search(path.read_text(errors="replace")):
                found.add(str((top / path.relative_to(top.resolve())).parent.relative_to(tree)))
    return sorted(each for each in found if not set(_NOT_SERVED) & set(each.split("/")))


def _build(tree: Path, environment: Mapping[str, str], programs: Path, wanted: list[str]) -> None:
    programs.mkdir(exist_ok=True)
    packages = [f"{_MODULE}/cmd/{name}" for name in wanted]
    # Two at a time: a build machine has other things to do, and each linker takes 1 GB.
    argv = ["nice", "go", "build", "-p", "2", "-ldflags", _link_flags(tree), "-o", f"{programs}/"]
    _run([*argv, *packages], tree, environment)


def _link_flags(tree: Path) -> str:
    """What the programs say of their version: the changelog's, without Debian's own numbers."""
    head = (tree / "debian/changelog").read_text().partition("\n")[0]
    [version] = re.findall(r"\((?:.*really)?(\d+\.\d+\.\d+)", head)
    major, minor, _ = version.split(".")
    says = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    places = [f"{_MODULE}/vendor/k8s.io/{each}" for each in ("component-base", "client-go/pkg")]
    sets = [f"-X {place}/version.{k}={v}" for place in places for k, v in says.items()]
    return " ".join(("-s -w", *sets))


def _run(argv: list[str], cwd: Path, environment: Mapping[str, str] | None = None) -> None:
    sys.stderr.write(f"+ {' '.join(argv)[:200]}\n")
    done = subprocess.run(
        argv, cwd=cwd, env={**(environment or os.environ), "PWD": str(cwd)}, check=False
    )
    if done.returncode:
        raise CannotBuildError(
            f"`{' '.join(argv[:3])} ...` ended with status {done.returncode} in {cwd}; what it "
            "said is above. Where a download failed: a Debian mirror has to be reachable"
        )


def main() -> int:
    try:
        sys.stdout.write(f"{ensure()}\n")
    except CannotBuildError as error:
        sys.stderr.write(f"tests.stock.build: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
