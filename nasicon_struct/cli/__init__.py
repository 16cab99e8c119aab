"""Command line ``nasicon-struct``: each subcommand lives in its own module and is loaded when called."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence

import click

from nasicon_struct.errors import NasiconError

#: subcommand -> (module, one-line help); the command object in the module is called ``command``.
COMMANDS: dict[str, tuple[str, str]] = {
    "design": ("nasicon_struct.cli.design", "Everything about one composition, into one folder."),
    "check": ("nasicon_struct.cli.check", "Charge balance and site sums of a formula."),
    "build": ("nasicon_struct.cli.build", "A doped average cell as CIF."),
    "order": ("nasicon_struct.cli.order", "Ordered cells of whole atoms, lowest in energy."),
    "phase": ("nasicon_struct.cli.phase", "Monoclinic or rhombohedral, with a probability."),
    "pattern": ("nasicon_struct.cli.pattern", "A calculated powder pattern."),
    "window": ("nasicon_struct.cli.window", "Stability windows against Na metal."),
    "interface": ("nasicon_struct.cli.interface", "Reactions between electrolyte and electrode."),
    "screen": ("nasicon_struct.cli.screen", "One row for each of many candidates, a million if need be."),
    "batch": ("nasicon_struct.cli.batch", "Grams of each precursor, with excess, purity and sintering aid."),
    "cite": ("nasicon_struct.cli.cite", "What to cite for the data and software behind an answer."),
    "completion": ("nasicon_struct.cli.completion", "Tab completion for bash, zsh and fish."),
}


class LazyGroup(click.Group):
    """A click group that imports a subcommand's module only when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the subcommands in the order of the main job."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(COMMANDS[cmd_name][0]).command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand, or name the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
            raise click.UsageError(f"no such command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


EPILOG = """\b
Example, to begin with:
  nasicon-struct design "Na3.4Zr1.7Sc0.2Zn0.1Si2PO12" --out design-out
Each command shows its own examples: nasicon-struct window --help
"""


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nasicon-struct")
def cli() -> None:
    """Sodium solid electrolytes: composition, cell, phase, stability. Numbers with their sources."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; bad input ends with one line on standard error and exit code 2."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        code = cli.main(args=words or ["--help"], prog_name="nasicon-struct", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("error: interrupted", err=True)
        sys.exit(130)
    except click.ClickException as exc:
        message = " ".join(exc.format_message().split())
        context = getattr(exc, "ctx", None)
        if context is not None:
            message = f"{message.rstrip('.')}; see '{context.command_path} --help'"
        click.echo(f"error: {message}", err=True)
        sys.exit(2)
    except NasiconError as exc:
        click.echo("error: " + " ".join(str(exc).split()), err=True)
        sys.exit(2)
    except OSError as exc:
        click.echo(
            f"error: {exc.strerror or exc}: {exc.filename}" if exc.filename else f"error: {exc}", err=True
        )
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
