"""Make the checkout importable from its .venv, and give it the `muster` command. Run by `make setup`."""

import pathlib
import sys
import sysconfig

ROOT = pathlib.Path(__file__).resolve().parents[2]

pathlib.Path(sysconfig.get_path("purelib"), "muster-checkout.pth").write_text(f"{ROOT}\n")
command = pathlib.Path(sys.executable).parent / "muster"
command.write_text(f"#!{sys.executable}\nfrom muster.cli.main import main\n\nmain()\n")
command.chmod(0o755)
