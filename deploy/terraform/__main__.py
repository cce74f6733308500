"""Write the tables of the modules' READMEs from their variables and outputs: `python -m deploy.terraform`."""

import json
from typing import Any

from deploy.terraform.source import MODULES, Body, Module, module, unquoted


def expression(value: Any) -> str:
    """A type or a default, as one would write it."""
    if isinstance(value, str):
        return value.removeprefix("${").removesuffix("}") if value.startswith("${") else value
    return json.dumps(value)


def inputs(of: Module) -> list[tuple[str, ...]]:
    """A row for each variable; those without a default first, because they must be given."""

    def row(name: str, body: Body) -> tuple[str, ...]:
        default = f"`{expression(body['default'])}`" if "default" in body else "required"
        return f"`{name}`", f"`{expression(body['type'])}`", default, unquoted(body["description"])

    rows = [row(name, body) for name, body in of.variables.items()]
    return [("name", "type", "default", "meaning"), *sorted(rows, key=lambda one: one[2] != "required")]


def outputs(of: Module) -> list[tuple[str, ...]]:
    """A row for each output."""
    rows = [(f"`{name}`", unquoted(body["description"])) for name, body in of.outputs.items()]
    return [("name", "meaning"), *rows]


def table(rows: list[tuple[str, ...]]) -> str:
    """A table of Markdown."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def readme(of: Module) -> str:
    """The module's README, with its tables made again."""
    text = (of.path / "README.md").read_text()
    for name, rows in (("inputs", inputs(of)), ("outputs", outputs(of))):
        before, mark, rest = text.partition(f"<!-- {name} -->\n\n")
        _, end, after = rest.partition("\n\n<!-- end -->")
        if not mark or not end:
            raise ValueError(f"{of.path / 'README.md'} has no place for {name}")
        text = before + mark + table(rows) + end + after
    return text


def main() -> None:
    """Write all of them."""
    for name in MODULES:
        (module(name).path / "README.md").write_text(readme(module(name)))


if __name__ == "__main__":
    main()
