"""``nasicon-struct cite``: what to cite for the data used."""

from __future__ import annotations

from dataclasses import asdict

import click

from nasicon_struct.cli.common import echo_json, json_option

EPILOG = """\b
Examples:
  nasicon-struct cite
  nasicon-struct cite phase window
  nasicon-struct cite window --source mp2019-gga
  nasicon-struct cite xun2025_s2 mp2019-gga --bibtex > data.bib
  nasicon-struct cite phase --papers
"""


@click.command(epilog=EPILOG)
@click.argument("what", metavar="[TASK|KEY]...", nargs=-1)
@click.option(
    "--source",
    metavar="NAME",
    help="Energies behind the answer, by name [default: those used when none are named].",
)
@click.option("--bibtex", is_flag=True, help="Print BibTeX entries.")
@click.option("--papers", is_flag=True, help="Also list the papers behind each row of the tables.")
@json_option
def command(what: tuple[str, ...], source: str | None, bibtex: bool, papers: bool, as_json: bool) -> None:
    """List what to cite for the data and software behind an answer.

    TASK is a subcommand (check, build, phase, window, ...), KEY a key of structures/SOURCES.toml or a level of
    energy as in window --list-sources; without any, everything is listed.
    """
    from nasicon_struct.citations import cite, to_bibtex

    found = cite(*what, source=source)
    if as_json:
        echo_json([asdict(citation) for citation in found])
        return
    if bibtex:
        click.echo(to_bibtex(found))
        return
    for citation in found:
        click.echo(f"{citation.key} ({citation.kind}): {citation.what}")
        links = "".join(f" https://doi.org/{doi}" for doi in citation.doi)
        terms = f" [{citation.licence}]" if citation.licence else ""
        click.echo(f"    {citation.citation}{links}{terms}")
        if papers:
            for paper in citation.papers:
                click.echo(f"    - {paper}")
