"""The site shows documents of the repository's root beside those of docs/; links to other files become their names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "docs/README.md": "which-document.md",
    "examples/README.md": "ports.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
"""Documents of the repository, by their place on the site."""

LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]*)(#[^)\s]*)?\)")
CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.S)


def on_files(files: Files, *, config: Any) -> Files:
    """Add the documents that lie elsewhere."""
    for found in [file for file in files if file.src_uri == "README.md"]:
        files.remove(found)
    for place, target in PAGES.items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / place)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: Any, files: Files) -> str:
    """Let links go to pages of the site; what is no page is shown by its name."""
    here = next((Path(place) for place, target in PAGES.items() if target == page.file.src_uri), None)
    folder = (here or Path("docs", page.file.src_uri)).parent

    def replaced(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target or not target:
            return match[0]
        path = (ROOT / folder / target).resolve().relative_to(ROOT).as_posix()
        uri = PAGES.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(uri) is None:
            return f"`{path}`" if text.strip("`") in path else f"{text} (`{path}`)"
        up = "../" * (len(Path(page.file.src_uri).parts) - 1)
        return f"[{text}]({up}{uri}{anchor})"

    parts = CODE.split(markdown)
    return "".join(part if CODE.fullmatch(part) else LINK.sub(replaced, part) for part in parts)
