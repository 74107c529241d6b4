"""What a call was sent and answered, on the terminal."""

from rich.text import Text

from tc_core.cli import text
from tc_core.ledger.content import Content, ContentPart


def print_content(content: Content) -> None:
    """Print the parts of a prompt and an answer under headings of their own."""
    console = text.console()
    if not content.prompt and not content.output:
        console.print(Text("\nNothing is known of its content.", style="yellow"))
        return
    if not content.is_kept:
        said = "No text is kept. TOKEN_CALC_CAPTURE_CONTENT=on has texts of later calls kept."
        console.print(Text(f"\n{said}", style="yellow"))
    for heading, parts in (("sent", content.prompt), ("answered", content.output)):
        for part in parts:
            _print_part(heading, part)


def _print_part(heading: str, part: ContentPart) -> None:
    console = text.console()
    named = part.role if part.kind == "text" else f"{part.role}, {part.kind.replace('_', ' ')}"
    title = Text(f"\n{heading}: {named}", style="bold")
    console.print(title + Text(f"  {text.count(part.tokens)} tokens", style="dim"))
    if part.text is None:
        return
    for line in part.text.splitlines():
        console.print(Text("  ") + text.one_line(line), soft_wrap=True)
