"""The corpus of bundles in tests/corpus, and how a case of it is lived through.

A case is a folder: `bundle/` is what is packed, `case.yaml` says how, and what becomes of it.

    kind          environment, service or component
    root          where the bundle's root lies in its archive: "" at the top, "./", or the folders above it
    managed_by    customer: the environment, or the service's pipeline, is not Proton's
    components    whether components may be attached to instances of the service
    generated     files that are too large or too dull to be kept: their sizes in bytes
    environments  the environments that a service or component needs, each with the case it is made from
    services      the services that a component needs, each with the case it is made from
    life          what is done, step by step, with the outputs that are seen after it; `*` stands for any text
"""

import io
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Iterable, Iterator

import yaml

FOLDER = Path(__file__).parents[1] / "corpus"
PARTS = {"infrastructure": "environment", "instance_infrastructure": "instance", "pipeline_infrastructure": "pipeline"}


@dataclass(frozen=True)
class Case:
    name: str

    @cached_property
    def facts(self) -> dict[str, Any]:
        return yaml.safe_load((FOLDER / self.name / "case.yaml").read_text())

    def __getattr__(self, fact: str) -> Any:
        if fact in ("kind", "life"):
            return self.facts[fact]
        if fact in ("root", "managed_by", "components", "generated", "environments", "services"):
            return self.facts.get(fact)
        raise AttributeError(fact)

    @cached_property
    def files(self) -> dict[str, bytes]:
        """What is in the bundle, by path below its root."""
        folder = FOLDER / self.name / "bundle"
        kept = {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
        return kept | {path: filled(path, size) for path, size in (self.generated or {}).items()}

    def text(self, path: str) -> str:
        return self.files[path].decode()

    def manifest(self, part: str) -> dict[str, Any]:
        """The one entry of the manifest of a part, which lies in this folder."""
        (entry,) = yaml.safe_load(self.text(f"{part}/manifest.yaml"))["infrastructure"]["templates"]
        return entry

    @property
    def parts(self) -> list[str]:
        return [part for part in PARTS if f"{part}/manifest.yaml" in self.files]

    @property
    def engine(self) -> str | None:
        return self.manifest(self.parts[0])["rendering_engine"] if self.parts else None

    def templates(self, part: str) -> Iterator[str]:
        """The paths of what the manifest of a part names as templates."""
        named = self.manifest(part).get("file")
        for path in self.files:
            folder, _, name = path.rpartition("/")
            if folder == part and (name == named or (named == "*" and name.endswith(".tf"))):
                yield path

    def packed(self) -> bytes:
        return packed({f"{prefix(self.root)}{path}": content for path, content in self.files.items()})


def cases() -> list[Case]:
    return [Case(folder.name) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()]


def prefix(root: str | None) -> str:
    return f"{root.rstrip('/')}/" if root else ""


def filled(path: str, size: int) -> bytes:
    """Something of this size: bytes that are no text where the name says so, else lines of JSON."""
    pattern = bytes(range(256)) if path.endswith((".zip", ".pyc")) else b'{"resolved": "https://example.com/package.tgz"}\n'
    return (pattern * (size // len(pattern) + 1))[:size]


def packed(files: dict[str, bytes], members: Iterable[tarfile.TarInfo] = ()) -> bytes:
    """A gzipped tar archive as `tar -cz` makes it, folders and all, with members at its end that have no content."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        folders = {str(parent) for path in files for parent in Path(path).parents if str(parent) != "."}
        for folder in sorted(folders):
            # Paths lose a leading "./" above.
            entry = tarfile.TarInfo(f"./{folder}" if any(path.startswith("./") for path in files) else folder)
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for entry in members:
            tar.addfile(entry)
    return archive.getvalue()
