"""Suite files: a YAML file merged over those it extends, or a resolved suite's JSON. Validates nothing."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config import resolved, suite_text, yaml_reader
from harness.config.overrides import merged
from harness.config.suite import Suite, SuiteSource
from harness.config.validation import Checker
from harness.config.yaml_reader import Document, KeyPath
from harness.errors import SuiteError


@dataclass(frozen=True)
class _Files:
    """A file's document, merged over the files it extends, and the bytes of all of them."""

    document: Document
    contents: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        """Return the hash of all bytes."""
        return hashlib.sha256(b"".join(self.contents)).hexdigest()


def read(path: Path) -> tuple[Document, dict[str, Any]]:
    """Read a suite file; raise SuiteError with its mistakes.

    Return its document, and the fields of the suite that are known without validation: its source and, of a
    resolved suite, the fields that a user's document cannot hold.
    """
    content = suite_text.read(path)
    name = suite_text.name_of(path)
    text = suite_text.decoded(content, name)
    if (data := resolved.mapping_in(text, name)) is not None:
        # A suite.json lies in RESULTS/SUITE; what it names is relative to the folder of RESULTS.
        return _of_resolved(
            data, name, Path() if suite_text.is_stream(path) else path.absolute().parent.parent.parent
        )
    file = _extended(path, content, ())
    known = None if suite_text.is_stream(path) else str(path.absolute())
    return file.document, {"source": SuiteSource(path=known, digest=file.digest)}


def is_edited(suite: Suite) -> bool:
    """Tell whether the file that a suite was read from, or one that it extends, has changed since."""
    source = suite.source
    if source is None or source.path is None or not suite_text.is_file(path := Path(source.path)):
        return False
    try:
        return _extended(path, suite_text.read(path), ()).digest != source.digest
    except SuiteError:
        return True


def shown(suite: Suite) -> str:
    """Return the name of a suite's source for messages."""
    return suite_text.shown(suite.source.path) if suite.source else "a file of unknown name"


def is_another(known: Suite, given: Suite) -> bool:
    """Tell whether two suites of one name are different suites, whose results must not share a folder.

    They are if the file of the known one is still there, has this name, and says something else. A file that
    was edited, moved or copied as it is, or whose suite was renamed, is no other suite.
    """
    if known.suite != given.suite:  # a copied folder that has the name of this one
        return True
    old, new = known.source, given.source
    if old is None or new is None or old.path is None or not suite_text.is_file(Path(old.path)):
        return False
    if old.digest == new.digest or known.content == given.content:
        return False
    is_same = new.path is not None and os.path.realpath(old.path) == os.path.realpath(new.path)
    return not is_same and _name_in(Path(old.path)) in (None, given.suite)


def _name_in(path: Path) -> Any:
    """Return the name of the suite in a file, None if it has none."""
    try:
        return _extended(path, suite_text.read(path), ()).document.data.get("suite")
    except SuiteError:
        return None


def _of_resolved(data: dict[str, Any], name: str, folder: Path) -> tuple[Document, dict[str, Any]]:
    """Split a resolved suite into a document as users write it and the fields that none can hold."""
    places: dict[KeyPath, str] = {(): name}
    checker = Checker(Document(data, places), ())
    if checker.check(Suite, data, [()]) is None:
        raise SuiteError(checker.mistakes)
    suite = resolved.of_mapping(data, folder)
    fields = suite.model_dump(include={"suite", "title", "dataset", "seeds", "experiments", "table"})
    if suite.seed_rule:
        fields["seeds"] = suite.seed_rule.model_dump()
    if suite.published:  # without the file of its curves, which are known
        fields["published"] = suite.published.model_dump(exclude={"curves"})
    places |= {("experiments", experiment): name for experiment in suite.experiments}
    known = {field: getattr(suite, field) for field in ("published", "curves", "changed", "source")}
    return Document(fields, places), known


def _extended(path: Path, content: bytes, above: tuple[Path, ...]) -> _Files:
    document = yaml_reader.document_of(content, suite_text.name_of(path))
    if "extends" not in document.data:
        return _Files(document, (content,))
    place = f"{document.places[('extends',)]}: extends"
    base_name = document.data["extends"]
    if not isinstance(base_name, str):
        raise SuiteError([f"{place}: found {base_name!r}, expected the path of a suite"])
    base_path = Path(os.path.normpath(suite_text.folder_of(path) / base_name))
    chain = (*above, path.resolve())
    if not suite_text.is_file(base_path):
        raise SuiteError([f"{place}: found {base_name!r}, but there is no file {base_path}"])
    if base_path.resolve() in chain:
        circle = " -> ".join(each.name for each in [*chain, base_path])
        raise SuiteError([f"{place}: found a circle {circle}; a suite cannot extend itself"])
    base = _extended(base_path, suite_text.read(base_path), chain)
    own = {key: value for key, value in document.data.items() if key != "extends"}
    merged_document = Document(merged(base.document.data, own), {**base.document.places, **document.places})
    return _Files(merged_document, (content, *base.contents))
