"""Writes the table of folders in docs/architecture.md: python -m scripts.folders [--check]

A folder's line is the first paragraph of the docstring of its package, a module's that of its own.
With --check nothing is written; the command fails when the table is not what the docstrings give.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "stoker"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- Folders: written by `make generate` from the packages' docstrings. -->\n\n"
END = "\n<!-- End of folders. -->\n"

# Folders without a package of ours. Everything below them belongs to them.
WITHOUT_DOCSTRING = {
    "_gen": "Code that `make generate` writes from `proto/`; never edited.",
    "store/migrations": "Alembic's migrations: one numbered file for each change of the tables.",
    "web/static": "Scripts, styles and the icon of the pages.",
    "web/templates": "Jinja templates of the pages.",
}


def folders(source: Path = SOURCE) -> Iterator[str]:
    """All folders below `source` that hold files, in order; those below a folder without docstring are left out."""
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        parents = [parent.as_posix() for parent in Path(name).parents]
        if not path.is_dir() or path.name == "__pycache__" or any(one in WITHOUT_DOCSTRING for one in parents):
            continue
        if any(file.is_file() for file in path.iterdir()):
            yield name


def line_of(path: Path) -> str:
    """The first paragraph of a file's docstring on one line. "" when it has none."""
    if not path.exists():
        return ""
    described = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(described.partition("\n\n")[0].split())


def table(source: Path = SOURCE) -> str:
    """The table as Markdown. Raises ValueError when a folder or a module has no line."""
    rows = [
        (f"{name}/", WITHOUT_DOCSTRING.get(name) or line_of(source / name / "__init__.py")) for name in folders(source)
    ]
    rows += [(file.name, line_of(file)) for file in sorted(source.glob("*.py")) if file.name != "__init__.py"]
    if missing := [name for name, line in rows if not line]:
        raise ValueError(f"without a docstring: {', '.join(missing)}; say in its `__init__.py` what it is for")
    lines = [f"| `{name}` | {line} |" for name, line in rows]
    return "\n".join(["| in `src/stoker/` | what it is for |", "|---|---|", *lines, ""])


def with_table(page: str, rows: str) -> str:
    """The page with `rows` between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{rows}{END}{after}"


def main() -> None:
    """Write the table, or compare it."""
    page = PAGE.read_text(encoding="utf-8")
    try:
        new = with_table(page, table())
    except ValueError as error:
        sys.exit(f"error: {error}")
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(new, encoding="utf-8")
    elif new != page:
        sys.exit("error: the table of folders in docs/architecture.md is out of date; run: make generate")


if __name__ == "__main__":
    main()
