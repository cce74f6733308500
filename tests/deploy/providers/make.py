"""Writes what providers of Terraform know of the resources in use, from packages that are made of their schemas.

The registry of Terraform would tell the same (`terraform providers schema -json`), but needs the providers themselves:

    pip download --no-deps --dest wheels cdktn-provider-{aws==25.8.1,google==21.1.0,helm==15.1.0,http==13.0.2} \\
        cdktn-provider-{kubernetes==17.1.0,random==15.0.1}
    python -m tests.deploy.providers.make wheels

The package's code tells of each argument its name, its type, and whether it is required, computed or a block.
"""

import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from deploy.terraform.source import MODULES, module

Schema = dict[str, Any]

FIELD = re.compile(
    r"// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n"
    r"(?:\s+_\w+ = new ([\w.]+)\((?:.*?)(?:, (true|false))?\);\n)?(?:\s+_\w+;\n)?"
    r"(?:\s+get \w+\(\) \{\n(?:\s+//.*\n)*\s+return (.*);\n)?"
)
ENTRY = re.compile(
    r"\b(\w+): \{\n\s+value: (.*),\n\s+isBlock: (true|false),\n\s+type: \"(\w+)\",\n\s+storageClassType: \"(\w+)\""
)
PLAIN = {"String": "string", "Number": "number", "Boolean": "bool"}
# In these every nested object is an argument, written with `=`.
WITHOUT_BLOCKS = {"helm"}


class Package:
    """The code of one provider's package, as far as it is wanted."""

    def __init__(self, wheel: Path, wanted: set[tuple[str, str]]) -> None:
        folders = {_folder(*use): use for use in wanted}
        self.code: dict[tuple[str, str], str] = {}
        with zipfile.ZipFile(wheel) as files:
            (inner,) = [name for name in files.namelist() if name.endswith(".jsii.tgz")]
            code = io.BytesIO(files.read(inner))
        with tarfile.open(fileobj=code) as archive:
            for member in archive:
                _, top, *path = member.name.split("/")
                if top == "package.json":
                    about = json.loads(_text(archive, member))["cdktn"]["provider"]
                    self.source, self.version = about["name"], about["version"]
                elif path and path[-1].endswith(".js") and path[0] in folders:
                    use = folders[path[0]]
                    self.code[use] = self.code.get(use, "") + _text(archive, member)


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = archive.extractfile(member)
    assert stream, f"{member.name} is no file"
    return stream.read().decode()


def _folder(section: str, kind: str) -> str:
    words = kind.split("_")
    return "provider" if section == "provider" else "-".join(words[1:] if section == "resource" else ["data", *words])


class Reader:
    """Reads schemas out of the code of one resource."""

    def __init__(self, code: str, blocks: bool) -> None:
        self.blocks = blocks
        lines = "\n".join(line for line in code.splitlines() if not line.startswith("//# sourceMappingURL"))
        parts = re.split(r"^(?:export )?(class|function) (\w+)", lines, flags=re.MULTILINE)
        self.classes = {name: text for word, name, text in zip(*[iter(parts[1:])] * 3, strict=True) if word == "class"}
        self.functions = {
            name: text for word, name, text in zip(*[iter(parts[1:])] * 3, strict=True) if word == "function"
        }

    def top(self) -> Schema:
        """The resource itself."""
        (name,) = [name for name, text in self.classes.items() if "static tfResourceType" in text]
        text = self.classes[name]
        schema = self._block(text, text[text.index("synthesizeHclAttributes") :])
        # Terraform's own, not the provider's.
        schema["attributes"].pop("alias", None)
        return schema

    def _block(self, fields: str, entries: str) -> Schema:
        written = {name: (value, block == "true", kind, of) for name, value, block, kind, of in ENTRY.findall(entries)}
        schema: Schema = {"attributes": {}, "block_types": {}}
        for name, computed, optional, required, made, _, got in FIELD.findall(fields):
            flags = {"computed": computed, "optional": optional, "required": required}
            chosen = {flag: True for flag, is_set in flags.items() if is_set == "true"}
            if name in written and written[name][1]:
                nested, is_block = self._nested(*written[name], required == "true")
                if is_block:
                    schema["block_types"][name] = nested
                else:
                    schema["attributes"][name] = {**nested, **chosen}
            else:
                kind = _type(written[name]) if name in written else self._computed(made, got)
                schema["attributes"][name] = {"type": kind, **chosen}
        return schema

    def _nested(self, value: str, _: bool, kind: str, of: str, required: bool) -> tuple[Schema, bool]:
        base = of.removesuffix("List") if kind != "struct" else of
        function = self.functions[base[0].lower() + base[1:] + "ToHclTerraform"]
        block = self._block(self.classes.get(base + "OutputReference", ""), function)
        if not block["attributes"]:
            block = self._untold(function)
        many, mode = "listMapperHcl" in value, "single" if kind == "struct" else kind
        if not self.blocks or (many and not re.search(r", true\)", value)):
            assert not block["block_types"], f"a block in the argument {base}"
            return {"nested_type": {"attributes": block["attributes"], "nesting_mode": mode}}, False
        limits = {"min_items": 1 if required else 0, "max_items": 0 if many else 1} if kind != "struct" else {}
        return {
            "block": block,
            "nesting_mode": mode,
            **{limit: count for limit, count in limits.items() if count},
        }, True

    def _untold(self, function: str) -> Schema:
        # What has no class of its own says nothing of what is required.
        return self._block(
            "".join(
                f"// {name} - computed: false, optional: true, required: false\n"
                for name, *_ in ENTRY.findall(function)
            ),
            function,
        )

    def _computed(self, made: str, got: str) -> Any:
        if made.startswith("cdktn."):
            return ["map", _word(made.removeprefix("cdktn.").removesuffix("Map"))]
        if made:
            # Large resources have their parts in files of their own.
            made = made.rpartition(".")[2]
            nested = self._block(
                self.classes[made.removesuffix("List").removesuffix("OutputReference") + "OutputReference"], ""
            )
            return _as_type(nested, "list" if made.endswith("List") else "struct")
        if found := re.search(r"get(String|Number|Boolean|Any)?(List|Map)?Attribute", got):
            word = _word(found[1] or "String")
            return [found[2].lower() if "tolist" not in got else "set", word] if found[2] else word
        return "dynamic"


def _word(name: str) -> str:
    return PLAIN.get(name[:1].upper() + name[1:], "dynamic")


def _type(entry: tuple[str, bool, str, str]) -> Any:
    _, _, kind, of = entry
    if found := re.fullmatch(r"(string|number|boolean|any)(List|Map)", of):
        return [kind if kind in ("list", "set", "map") else found[2].lower(), _word(found[1])]
    return _word(of)


def _as_type(block: Schema, kind: str) -> Any:
    this = ["object", {name: attribute["type"] for name, attribute in block["attributes"].items()}]
    return this if kind == "struct" else [kind, this]


def main(wheels: Path) -> None:
    """Writes one file for each provider."""
    used = {use for folder in MODULES for use in module(folder).uses()}
    for wheel in sorted(wheels.glob("*.whl")):
        name = wheel.name.removeprefix("cdktn_provider_").split("-")[0]
        package = Package(wheel, {use for use in used if use[1].split("_")[0] == name})
        known: Schema = {"source": package.source, "version": package.version}
        for (section, kind), code in package.code.items():
            known.setdefault(section, {})[kind] = Reader(code, name not in WITHOUT_BLOCKS).top()
        text = json.dumps(known, sort_keys=True, separators=(",", ":"))
        Path(__file__).with_name(f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
