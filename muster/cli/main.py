"""The `muster` command and its groups."""

import sys

import grpc
import typer
from rich.console import Console

from muster.cli import book as book_commands
from muster.cli import contract, decisions, files, forecasting, plans, requirement, running, schedule, topics, volume
from muster.client.stubs import NotRunning
from muster.dev.broker import BrokerError
from muster.dev.kafka_parts import KafkaPartsError
from muster.dev.supervisor import NotACheckout, StartError
from muster.kit.errors import MusterError
from muster.kit.rpc import from_rpc_error

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.command("apply")(book_commands.apply)
app.command("import")(files.import_file)
app.command("backtest")(forecasting.backtest)
app.command("replay")(files.replay)
app.command("demo")(running.demo)
app.command("dev")(running.dev)
app.add_typer(volume.volume, name="volume")
plans.forecast.command("incidents")(forecasting.incidents)
plans.forecast.command("outlook")(forecasting.outlook)
plans.forecast.command("import")(forecasting.import_forecast)
plans.forecast.command("compare")(forecasting.compare)
app.add_typer(plans.forecast, name="forecast")
app.add_typer(requirement.requirement, name="requirement")
app.add_typer(contract.contract, name="contract")
app.add_typer(schedule.app, name="schedule")
app.add_typer(decisions.app, name="decisions")
app.add_typer(topics.topics, name="topics")
app.add_typer(topics.dlq, name="dlq")


def main() -> None:
    """Run the command; an error a person can act on is one line and exit code 1."""
    errors = Console(stderr=True)
    try:
        app()
    except grpc.RpcError as error:
        _tell(errors, from_rpc_error(error))
    except MusterError as error:
        _tell(errors, error)
    except (NotRunning, NotACheckout, StartError, BrokerError, KafkaPartsError) as error:
        errors.print(f"muster: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
    except KeyboardInterrupt:
        sys.exit(130)
    else:
        return
    sys.exit(1)


def _tell(errors: Console, error: MusterError) -> None:
    errors.print(f"muster: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
    for violation in error.violations:
        text = (
            violation.description if violation.field in violation.description else f"{violation.field}: {violation.description}"
        )
        errors.print(f"  {text}", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
