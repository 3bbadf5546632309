"""A genuine PostgreSQL for tests, as plain processes from a wheel, that can be stopped, killed and started again."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator

from muster.dev.broker import free_port


class Postgres:
    """One server on loopback. As root it runs as nobody, from a copy of the programs that nobody may read."""

    def __init__(self) -> None:
        import pgserver

        self.home = pathlib.Path(tempfile.mkdtemp(prefix="muster-postgres-"))
        self.port = free_port()
        self._programs = pathlib.Path(pgserver.__file__).parent / "pginstall"
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = "nobody"
            installed, copy = self._programs.parent, self.home / "programs"
            shutil.copytree(self._programs, copy / "pgserver" / "pginstall", symlinks=True)
            shutil.copytree(installed.parent / "pgserver.libs", copy / "pgserver.libs", symlinks=True)
            self._programs = copy / "pgserver" / "pginstall"
            os.chown(self.home, pwd.getpwnam(self._user).pw_uid, -1)
        self._run("initdb", "--auth=trust", "--encoding=utf8", "--no-sync", "-U", "muster")

    @property
    def url(self) -> str:
        return f"postgresql://muster@127.0.0.1:{self.port}/postgres"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / "bin" / program), "-D", str(self.home / "data"), *arguments]
        done = subprocess.run(command, user=self._user, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-h 127.0.0.1 -p {self.port} -k {self.home} -c fsync=off"
        command = [str(self._programs / "bin" / "pg_ctl"), "-D", str(self.home / "data"), "-w", "-l", str(self.home / "log")]
        subprocess.run(
            [*command, "-o", options, "start"], user=self._user, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=60
        )

    def stop(self) -> None:
        """Stop it; open sessions are cut."""
        self._run("pg_ctl", "-m", "fast", "-w", "stop")

    def kill(self) -> None:
        """Have it crash: every session is lost at once, nothing is written down."""
        pid = int((self.home / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        with contextlib.suppress(RuntimeError):
            self._run("pg_ctl", "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        """Stop it; nothing of it stays."""
        with contextlib.suppress(RuntimeError):
            self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


@contextlib.contextmanager
def postgres_running() -> Iterator[Postgres]:
    """Run a server; nothing of it stays."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()
