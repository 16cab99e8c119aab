"""``nasicon-struct completion``: tab completion for the shell."""

from __future__ import annotations

import click

from nasicon_struct.cli.common import echo_json, json_option

EPILOG = """\b
Examples:
  eval "$(nasicon-struct completion bash)"
  nasicon-struct completion zsh > ~/.zfunc/_nasicon-struct
  nasicon-struct completion fish > ~/.config/fish/completions/nasicon-struct.fish
Put the first line into ~/.bashrc to have it in every shell.
"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
def command(shell: str, as_json: bool) -> None:
    """Print the script that makes SHELL complete subcommands and options."""
    from click.shell_completion import get_completion_class

    from nasicon_struct.cli import cli

    kind = get_completion_class(shell)
    assert kind is not None
    complete = kind(cli, {}, "nasicon-struct", "_NASICON_STRUCT_COMPLETE")
    script = complete.source_template % complete.source_vars()
    if as_json:
        echo_json({"shell": shell, "script": script})
    else:
        click.echo(script)
