"""An executed notebook as one self-contained HTML page: no script, no network, light and dark."""

from __future__ import annotations

import base64
import html
import mimetypes
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from math_core import LatexError, LatexToMathML
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

STYLE = Path(__file__).with_name("page.css")


@cache
def _converter() -> LatexToMathML:
    return LatexToMathML(fancy_error=False)


def mathml(latex: str, display: bool) -> str:
    """LaTeX as MathML, which browsers draw themselves; what it cannot express stays LaTeX."""
    try:
        return _converter().convert_with_local_state(latex.strip(), displaystyle=display)
    except LatexError:
        return f"<code>{html.escape(latex)}</code>"


def _math(latex: str, options: dict) -> str:
    display = bool(options.get("display_mode"))
    return f'<div class="math">{mathml(latex, True)}</div>' if display else mathml(latex, False)


def _code(source: str, language: str, _attributes: str = "") -> str:
    try:
        lexer = get_lexer_by_name(language or "text", stripnl=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    body = highlight(source.rstrip("\n"), lexer, HtmlFormatter(nowrap=True))
    return f"<pre><code>{body.rstrip()}</code></pre>\n"


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "highlight": _code})
    parser.enable(["table", "strikethrough"])
    parser.use(dollarmath_plugin, renderer=_math, double_inline=True)
    parser.use(anchors_plugin, min_level=1, max_level=3)
    return parser


@dataclass
class Page:
    """A notebook being turned into HTML; `source` and `destination` anchor relative links."""

    notebook: NotebookNode
    source: Path
    destination: Path

    def render(self, footer: str) -> str:
        title, summary, cells = self._title()
        body = "\n".join(filter(None, (self._cell(cell) for cell in cells)))
        headings = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', body, flags=re.DOTALL)
        contents = "".join(f'<li><a href="#{name}">{text}</a></li>' for name, text in headings)
        plain_title = re.sub(r"<[^>]+>", "", title)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta name="color-scheme" content="light dark">\n<title>{plain_title}</title>\n'
            f"<style>\n{STYLE.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n"
            f"<header><h1>{title}</h1>{summary}</header>\n"
            f'<nav aria-label="Contents"><ol>{contents}</ol></nav>\n'
            f"<main>\n{body}\n</main>\n<footer>{footer}</footer>\n</body>\n</html>\n"
        )

    def _title(self) -> tuple[str, str, list[NotebookNode]]:
        """The title and summary of nbdev's first cell (`# title`, `> summary`), and the rest."""
        first, *rest = self.notebook.cells
        match = re.match(
            r"#\s+(.+?)\s*(?:\n\s*>\s*(.+?))?\s*(?:\n\n(.*))?$", first.source, re.DOTALL
        )
        if first.cell_type != "markdown" or not match:
            return html.escape(self.source.stem), "", self.notebook.cells
        title, summary, remainder = match.groups()
        summary = re.sub(r"\n>?\s*", " ", summary or "")
        after = [NotebookNode(cell_type="markdown", source=remainder)] if remainder else []
        return _markdown().renderInline(title), self._prose(summary), after + rest

    def _cell(self, cell: NotebookNode) -> str:
        if cell.cell_type == "markdown":
            return f"<section>{self._prose(cell.source)}</section>"
        if cell.cell_type != "code":
            return ""
        directives, source = _directives(cell.source)
        if "hide" in directives or directives.get("include") == "false":
            return ""
        code = _code(source, "python") if source else ""
        if directives.get("echo") == "false" or "hide_input" in directives:
            code = ""
        shown = directives.get("output") != "false" and "hide_output" not in directives
        outputs = "".join(self._output(output) for output in cell.outputs) if shown else ""
        return f'<div class="cell">{code}{outputs}</div>' if code or outputs else ""

    def _output(self, output: NotebookNode) -> str:
        if output.output_type == "stream":
            return f'<pre class="output {output.name}">{html.escape(output.text.rstrip())}</pre>'
        if output.output_type == "error":
            message = html.escape(f"{output.ename}: {output.evalue}")
            return f'<pre class="output error">{message}</pre>'
        data = output.data
        if "image/svg+xml" in data:
            return f"<figure>{inline_svg(data['image/svg+xml'])}</figure>"
        if "image/png" in data:
            return f'<figure><img alt="" src="data:image/png;base64,{data["image/png"]}"></figure>'
        if "text/markdown" in data:
            return f'<div class="output rich">{self._prose(data["text/markdown"])}</div>'
        if "text/latex" in data:
            return _math(data["text/latex"].strip().strip("$"), {"display_mode": True})
        return f'<pre class="output">{html.escape(data.get("text/plain", "").rstrip())}</pre>'

    def _prose(self, source: str) -> str:
        rendered = _markdown().render(source)
        return re.sub(r'(<a href|<img src)="([^"#:]+)(#[^"]*)?"', self._local_link, rendered)

    def _local_link(self, match: re.Match[str]) -> str:
        attribute, name, fragment = match.groups(default="")
        target = (self.source.parent / name).resolve()
        if attribute == "<img src" and target.is_file():
            kind = mimetypes.guess_type(target.name)[0] or "application/octet-stream"
            content = base64.b64encode(target.read_bytes()).decode()
            return f'<img src="data:{kind};base64,{content}"'
        relative = Path(os.path.relpath(target, self.destination.parent)).as_posix()
        return f'{attribute}="{relative}{fragment}"'


def _directives(source: str) -> tuple[dict[str, str], str]:
    """nbdev's and Quarto's `#| name: value` lines, and the code without them."""
    directives: dict[str, str] = {}
    kept: list[str] = []
    for line in source.splitlines():
        if match := re.match(r"#\s*\|\s*([\w-]+)\s*:?\s*(.*?)\s*$", line):
            directives[match[1]] = match[2]
        else:
            kept.append(line)
    return directives, "\n".join(kept).strip("\n")


_svg_count = 0


def inline_svg(svg: str) -> str:
    """An SVG that can stand beside others in one document: its ids are made its own."""
    global _svg_count
    _svg_count += 1
    svg = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>", "", svg, flags=re.DOTALL).strip()
    for name in sorted(set(re.findall(r'\bid="([^"]+)"', svg)), key=len, reverse=True):
        own = f"s{_svg_count}-{name}"
        svg = svg.replace(f'id="{name}"', f'id="{own}"').replace(f"url(#{name})", f"url(#{own})")
        svg = svg.replace(f'href="#{name}"', f'href="#{own}"')
    return svg


def outside_references(page: str) -> list[str]:
    """What a page would load from elsewhere: it must be empty."""
    loading = r"<(?:script|link|img|iframe|source|video|audio|object|embed|image)\b[^>]*"
    found = re.findall(loading + r'(?:src|href|data)="((?:https?:)?//[^"]+)"', page)
    return found + re.findall(r"""(?:url\(|@import\s+)["']?((?:https?:)?//[^"')]+)""", page)
