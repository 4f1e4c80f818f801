"""What the site shows of a notebook: a heading for each definition, live charts, links to names.

Nothing is executed: definitions are read from the exported modules, outputs are those stored.
"""

from __future__ import annotations

import ast
import html
import json
import re
import textwrap
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from notebook import NOTEBOOKS, ROOT, read

NUMBER = re.compile(r"\b\d+[a-z]?_(?=[a-z]\w*\.(?:ipynb|html))")
HIDDEN = {"hide", "export", "exporti", "default_exp"}
CHART = "application/vnd.vegalite.v5+json"
LIVE = """<figure class="chart"><div class="picture">{svg}</div>
<script type="application/json">{spec}</script></figure>"""
FIT = ("curve_fit", "fit", "robust", "Fit", "FitError")
REFUSALS = 5  # at most so many are listed below a definition


def page_name(path: Path) -> Path:
    "Where a notebook's page is, without its number: nbs/003_ops.ipynb -> ops.ipynb."
    relative = path.relative_to(NOTEBOOKS)
    return relative.with_name(NUMBER.sub("", relative.name))


def module_of(notebook: NotebookNode) -> str:
    "The module that a notebook exports, empty if none."
    for cell in notebook.cells:
        if cell.cell_type == "code" and (
            found := re.search(r"^#\|\s*default_exp\s+(\S+)", cell.source, re.M)
        ):
            return found[1]
    return ""


def processed(path: Path) -> NotebookNode:
    "The notebook as the site renders it."
    source = read(path)
    module, cells = module_of(source), []
    title, summary, rest = front(source.cells[0].source)
    # JSON is YAML, and needs no care with colons and quotes.
    meta = json.dumps({"title": title, "description": summary}, ensure_ascii=False)
    cells.append(nbformat.v4.new_raw_cell(f"---\n{meta}\n---"))
    links = links_of(source, path)
    for cell in [nbformat.v4.new_markdown_cell(rest), *source.cells[1:]]:
        if cell.cell_type == "markdown":
            cell.source = linked(NUMBER.sub("", cell.source), links)
            cells.append(cell)
        elif cell.cell_type == "code":
            cells += shown(cell, module)
    page = nbformat.v4.new_notebook(cells=[c for c in cells if c.source.strip()])
    page.metadata = source.metadata
    for number, cell in enumerate(page.cells):
        cell.id = f"cell{number}"
    return page


def front(source: str) -> tuple[str, str, str]:
    "The title, the summary after it, and what else the first cell says."
    lines = source.strip().split("\n")
    title = lines[0].lstrip("# ").strip()
    kept = [n for n, text in enumerate(lines[1:], 1) if text.startswith(">")]
    summary = " ".join(lines[n].lstrip("> ").strip() for n in kept)
    rest = "\n".join(text for n, text in enumerate(lines) if n and n not in kept)
    return title, summary, rest.strip()


def directives(source: str) -> dict[str, str]:
    "The `#| name: value` lines of a cell."
    found = re.findall(r"^#\s*\|\s*([\w-]+)\s*:?\s*(.*?)\s*$", source, re.M)
    return dict(found)


def shown(cell: NotebookNode, module: str) -> list[NotebookNode]:
    "A cell of code as the site shows it, after the documentation of what it defines."
    told = directives(cell.source)
    docs = []
    if {"export", "exports"} & set(told) and module and "hide" not in told:
        hidden = "export" in told
        docs = [documented(module, name, hidden) for name in defined(cell.source)]
    docs = [nbformat.v4.new_markdown_cell(doc) for doc in docs]
    if HIDDEN & set(told) or told.get("include") == "false":
        return docs
    code = re.sub(r"^#\s*\|\s*exports?\s*\n", "", cell.source, flags=re.M)
    if "exports" in told:
        code = f'#| code-fold: show\n#| code-summary: "Source"\n{code}'
    cell.source, cell.outputs = code, [live(output) for output in cell.outputs]
    return [*docs, cell]


def live(output: NotebookNode) -> NotebookNode:
    "A chart as a page can bring it to life: its picture, and its specification beside it."
    data = output.get("data", {})
    if CHART not in data or "image/svg+xml" not in data:
        return output
    spec = json.dumps(data[CHART], ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    svg = data["image/svg+xml"].replace(">\n<", "><").strip()
    page = {"text/html": LIVE.format(svg=svg, spec=spec), "text/plain": data["text/plain"]}
    return nbformat.v4.new_output("display_data", data=page)


def defined(source: str) -> list[str]:
    "The public functions and classes that a cell defines."
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [n.name for n in ast.parse(source).body if isinstance(n, kinds) and n.name[0] != "_"]


def documented(module: str, name: str, signature: bool = False) -> str:
    "The heading, summary and refusals of a definition as Markdown; its signature, where asked for."
    tree = functions_of(module).get(name)
    if tree is None:
        return ""
    parts = [f"### {name} {{#{name}}}"]
    if signature:
        parts.append(f"```python\n{signature_of(module, name)}\n```")
    if said := ast.get_docstring(tree):
        parts.append(f"[{escaped(said.partition(chr(10) * 2)[0])}]{{.summary}}")
    if refused := refusals(module, name):
        parts.append(f"[Refuses]{{.refuses}} {refused}")
    return "\n\n".join(parts)


def signature_of(module: str, name: str) -> str:
    "The head of a definition as it is written, with its comments; of a class, how it is called."
    tree = functions_of(module)[name]
    lines = source_of(module).split("\n")
    if isinstance(tree, ast.FunctionDef):
        return textwrap.dedent("\n".join(lines[tree.lineno - 1 : tree.body[0].lineno - 1]))
    heads = [lines[tree.lineno - 1]]
    for part in tree.body:
        if isinstance(part, ast.AnnAssign):  # a field
            heads.append(lines[part.lineno - 1])
        elif isinstance(part, ast.FunctionDef) and (
            part.name[0] != "_" or part.name in ("__init__", "__call__")
        ):
            heads += ["", *lines[part.lineno - 1 : part.body[0].lineno - 1]]
    return "\n".join(heads)


@cache
def source_of(module: str) -> str:
    "The text of an exported module."
    path = ROOT / "litad" / Path(*module.split(".")).with_suffix(".py")
    return path.read_text(encoding="utf-8") if path.exists() else ""


@cache
def functions_of(module: str) -> dict[str, ast.AST]:
    "The definitions of a module by name, as trees."
    tree = ast.parse(source_of(module))
    return {n.name: n for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))}


def refusals(module: str, name: str, depth: int = 1) -> str:
    "What a definition refuses: the errors that it raises, and those of the helpers it calls."
    found = dict.fromkeys(raised(module, name, depth))
    texts = [f"`{kind}`: {said}" if said else f"`{kind}`" for kind, said in found]
    return "; ".join(texts[:REFUSALS]) + (" ..." if len(texts) > REFUSALS else "")


def raised(module: str, name: str, depth: int) -> list[tuple[str, str]]:
    "Pairs of an error and the beginning of its message."
    tree, found = functions_of(module).get(name), []
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            kind = ast.unparse(node.exc.func).rpartition(".")[2]
            if kind[0].isupper():
                found.append((kind, message(node.exc)))
        elif depth and isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            helper = functions_of(module).get(node.func.id)
            if isinstance(helper, ast.FunctionDef) and helper is not tree:
                found += raised(module, node.func.id, depth - 1)
    return found


def message(call: ast.Call) -> str:
    "The first text of an error, with what is filled in as dots."
    first = call.args[0] if call.args else None
    if isinstance(first, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.Constant) else "…" for p in first.values]
        first = ast.Constant("".join(parts))
    said = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    return escaped(textwrap.shorten(said, 110, placeholder=" …"))


def escaped(text: str) -> str:
    "Text as Markdown that says just that, but for what stands between backticks."
    parts = " ".join(text.split()).split("`")
    plain = [re.sub(r"([\\*_\[\]$])", r"\\\1", html.escape(p, quote=False)) for p in parts[::2]]
    parts[::2] = plain
    return "`".join(parts) if len(parts) % 2 else plain[0]


@cache
def home_of_names() -> dict[str, str]:
    "The module of each public name of the package."
    import litad

    return dict(litad._MODULE_OF)


def links_of(notebook: NotebookNode, path: Path) -> dict[str, str]:
    "Where the names are that a notebook imports or that the package makes public, from its page."
    up = "../" * (len(path.relative_to(NOTEBOOKS).parts) - 1)
    own = module_of(notebook)
    places = dict(home_of_names())
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for module, names in re.findall(
                r"^from litad\.(\w+) import \(?([\w\s,]+)", cell.source, re.M
            ):
                places |= dict.fromkeys(re.findall(r"\w+", names), module)
    return {
        name: f"{up}{module}.ipynb#{name}"
        for name, module in places.items()
        if module != own
        if module in pages() and name in pages()[module]
    }


@cache
def pages() -> dict[str, set[str]]:
    "The names documented on the page of each module that has a page of its own name."
    found: dict[str, set[str]] = {}
    for path in NOTEBOOKS.glob("*.ipynb"):
        notebook = read(path)
        names = {
            name
            for cell in notebook.cells
            if cell.cell_type == "code" and {"export", "exports"} & set(directives(cell.source))
            for name in defined(cell.source)
        }
        found[page_name(path).stem] = names
    return found


def linked(source: str, links: dict[str, str]) -> str:
    "Prose whose names of code lead to their definitions; not in code blocks, headings or links."

    def place(match: re.Match[str]) -> str:
        target = links.get(match[2])
        return f"[`{match[1]}`]({target})" if target else match[0]

    parts = re.split(r"(```.*?```|\[[^\]]*\]\([^)]*\)|^#+ .*$)", source, flags=re.S | re.M)
    code = re.compile(r"(?<!`)`((?:litad\.)?(\w+)(?:\([^`|\n]*)?)`(?!`)")
    parts[::2] = [code.sub(place, part) for part in parts[::2]]
    return "".join(parts)


def front_links() -> dict[str, str]:
    "Where the public names are, from the front page."
    found = {name: f"{home}.ipynb#{name}" for name, home in home_of_names().items()}
    return {
        name: to for name, to in found.items() if name in pages().get(home_of_names()[name], ())
    }


def reference() -> dict[str, str]:
    "The pages of public names by file name: signatures, types, meanings, and what is refused."
    found = {}
    for space, (title, homes) in spaces().items():
        parts = [
            documented(home, name, signature=True) + f"\n\n{explained(home, name)}"
            for name, home in sorted(homes.items(), key=lambda item: item[0].lower())
            if name in functions_of(home)
        ]
        head = json.dumps({"title": space, "description": title}, ensure_ascii=False)
        text = "\n\n".join([f"---\n{head}\n---", *parts, ""])
        found[f"reference/{space.removeprefix('litad.')}.md"] = text
    return found


def spaces() -> dict[str, tuple[str, dict[str, str]]]:
    "The namespaces that users import from: a line on each, and the module of each name."
    return {
        "litad": ("Every public name of the package", home_of_names()),
        "litad.nn": ("Layers, losses, optimisers and the training loop", imported("nn")),
        "litad.fit": ("Parameters with honest error bars", dict.fromkeys(FIT, "fit")),
    }


def imported(module: str) -> dict[str, str]:
    "The names that a module gathers from others."
    nodes = [n for n in ast.parse(source_of(module)).body if isinstance(n, ast.ImportFrom)]
    found = {}
    for node in nodes:
        home = (node.module or "").removeprefix("litad.")
        ours = node.level or (node.module or "").startswith("litad.")
        found |= {name.asname or name.name: home for name in node.names if ours}
    return {name: home for name, home in found.items() if name[0] != "_"}


def explained(home: str, name: str) -> str:
    "A link to the chapter where a name is defined and explained."
    known = name in pages().get(home, ())
    return f"[Explained in the chapter *{home}*](../{home}.ipynb#{name})" if known else ""
