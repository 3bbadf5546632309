"""Generate muster/v1 from protos/ (messages, stubs, types, topics); with --check, only say whether it is fresh.

Run by `make fix` and `make check`. Needs the development packages.
"""

import argparse
import filecmp
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
INIT = '"""Muster on the wire: GENERATED from protos/ by protos/generate.py. Do not edit."""\n'


def common_protos(into: pathlib.Path) -> None:
    """Copy Google's common protos under their public names; their package ships operations.proto renamed."""
    spec = importlib.util.find_spec("google.longrunning")
    assert spec and spec.submodule_search_locations
    google = pathlib.Path(next(iter(spec.submodule_search_locations))).parent
    for path in google.glob("*/*.proto"):
        name = path.name.replace("operations_proto", "operations")
        target = into / "google" / path.parent.name / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def generate(target: pathlib.Path, image: pathlib.Path) -> None:
    """Write the package muster.v1 below `target`, and a descriptor image for `buf lint`."""
    bin_ = pathlib.Path(sys.executable).parent
    sources = sorted((ROOT / "protos/muster/v1").glob("*.proto"))
    services = [p for p in sources if p.stem.endswith("_service")]
    with tempfile.TemporaryDirectory() as extra:
        common_protos(pathlib.Path(extra))
        protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}", f"-I{extra}"]
        messages = [
            f"--plugin=protoc-gen-mypy={bin_ / 'protoc-gen-mypy'}",
            f"--python_out={target}",
            f"--mypy_out=quiet:{target}",
            f"--descriptor_set_out={image}",
            "--include_imports",
            "--include_source_info",
        ]
        stubs = [
            f"--plugin=protoc-gen-mypy_grpc={bin_ / 'protoc-gen-mypy_grpc'}",
            f"--grpc_python_out={target}",
            f"--mypy_grpc_out=quiet:{target}",
        ]
        subprocess.run([*protoc, *messages, *map(str, sources)], check=True)
        subprocess.run([*protoc, *stubs, *map(str, services)], check=True)
    package = target / "muster/v1"
    (package / "__init__.py").write_text(INIT)
    shutil.copytree(ROOT / "protos/topics", package / "topics", dirs_exist_ok=True)


def differences(left: pathlib.Path, right: pathlib.Path) -> list[str]:
    """Return the files that differ between two folders, relative."""

    def files(folder: pathlib.Path) -> set[str]:
        return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}

    names = files(left) | files(right)
    return sorted(
        n
        for n in names
        if not ((left / n).is_file() and (right / n).is_file() and filecmp.cmp(left / n, right / n, shallow=False))
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="say what is stale and exit 1, change nothing")
    parser.add_argument("--lint", action="store_true", help="run buf lint on what was generated")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh = pathlib.Path(folder)
        image = fresh / "image.binpb"
        generate(fresh, image)
        if args.lint:
            buf = pathlib.Path(sys.executable).parent / "buf"
            done = subprocess.run([buf, "lint", str(image), "--config", str(ROOT / "buf.yaml")], check=False)
            if done.returncode:
                return done.returncode
        if args.check:
            stale = differences(fresh / "muster/v1", ROOT / "muster/v1")
            if stale:
                print("stale, run `make fix`:", *stale, sep="\n  ")
            return 1 if stale else 0
        shutil.rmtree(ROOT / "muster/v1", ignore_errors=True)
        shutil.copytree(fresh / "muster/v1", ROOT / "muster/v1")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
