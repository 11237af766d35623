"""The pages that people read: README, CONTRIBUTING and docs/, with their links, code blocks and commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.support import ROOT

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:\A|(?<=\n\n))(?: {4}.*\n|\n(?= {4}))+")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_NAMED = re.compile(r"# (\S+\.(?:py|yaml|toml))\n")


@dataclass(frozen=True)
class Page:
    """A page of Markdown; a code block whose first line is a comment `# NAME` is that file."""

    path: Path

    @property
    def name(self) -> str:
        """Return its path in the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        """Return all of it."""
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """Return it without its blocks of code."""
        return _INDENTED.sub("", _FENCE.sub("", self.text))

    @property
    def links(self) -> list[str]:
        """List the targets of its links and pictures, without those outside of the repository."""
        return [each for each in _LINK.findall(self.prose) if "://" not in each]

    @property
    def anchors(self) -> set[str]:
        """Return the anchors of its headings, as GitHub makes them."""
        kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(self.prose)]
        return {each.replace(" ", "-") for each in kept}

    def blocks(self, language: str) -> list[str]:
        """List its blocks of code in a language."""
        return [code for kind, code in _FENCE.findall(self.text) if kind == language]

    @property
    def files(self) -> dict[str, str]:
        """Return the files that it shows, by name."""
        named = [(_NAMED.match(code), code) for _, code in _FENCE.findall(self.text)]
        return {match[1]: code for match, code in named if match}

    def write_files(self, folder: Path) -> None:
        """Write the files that it shows below a folder."""
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def output(self, command: str) -> str:
        """Return what the page shows of a command's output, nothing if that is left out."""
        (block,) = [each for each in self.blocks("console") if f"$ {command}\n" in each]
        return re.split(r"^\$ ", block.partition(f"$ {command}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]

    @property
    def installs(self) -> bool:
        """Tell whether one of its commands installs something."""
        return any("pip install" in command for command in self.commands)

    @property
    def commands(self) -> list[str]:
        """List the commands that run as they stand: the lines of its console blocks after `$ `."""
        return [
            line.removeprefix("$ ")
            for block in self.blocks("console")
            for line in block.splitlines()
            if line.startswith("$ ")
        ]


README = Page(ROOT / "README.md")
DOCS = [Page(path) for path in sorted((ROOT / "docs").glob("*.md"))]
PAGES = [README, Page(ROOT / "CONTRIBUTING.md"), *DOCS]
