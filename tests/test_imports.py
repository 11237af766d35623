"""The order of imports, and what may be loaded at all."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

# From the bottom up: a module may import from lower lines only, and within its own package.
LAYERS = [
    {"environment"},
    {"errors", "home", "program", "standard_streams", "starts", "strict"},
    {"formatting", "import_statements", "markdown", "numerics", "process_state"},
    {"user_code"},
    {"plugins", "model_contract", "model_libraries", "module_finder"},
    {"module_sources", "registry"},
    {"stats"},
    {"model_registry"},
    {"data"},
    {"config"},
    {"results"},
    {"training", "tracking", "report"},
    {"runner"},
    {"cli"},
    {"__main__"},
]
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}


def imported(path: Path) -> set[str]:
    """Return the harness modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert getattr(node, "level", 0) == 0, f"{path}: a relative import"
        if isinstance(node, ast.ImportFrom) and node.module == "harness":
            found |= {alias.name for alias in node.names if alias.name != "__version__"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("harness."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("harness.")}
    return found


def test_imports_go_down_only() -> None:
    for path in sorted((ROOT / "harness").rglob("*.py")):
        name = path.relative_to(ROOT / "harness").with_suffix("").parts[0]
        if name == "__init__":
            assert not imported(path)
            continue
        for other in imported(path) - {name}:
            assert LEVELS[other] < LEVELS[name], f"{path.relative_to(ROOT)} imports harness.{other}"


def test_torch_distributed_is_used_in_two_modules() -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for folder in ("harness", "models")
        for path in (ROOT / folder).rglob("*.py")
        if "torch.distributed"
        in path.read_text(encoding="utf-8")
        .replace("torch.distributed.elastic", "")
        .replace("torch.distributed.launcher", "")
    }
    assert users == {f"harness/training/{name}.py" for name in ("distributed", "key_value_store")}


def test_models_import_nothing_of_the_harness() -> None:
    assert not any("harness" in path.read_text(encoding="utf-8") for path in (ROOT / "models").glob("*.py"))


@pytest.mark.e2e
def test_what_trains_nothing_loads_no_torch() -> None:
    commands = [
        ["--help"],
        ["run", "--help"],
        ["plan", "suites/final.yaml", "--results", "none"],
        ["plan", "quickstart", "--results", "none"],
        ["status", "--results", "results"],
        ["status", "fashion-patch_size", "--follow"],
        ["report", "--results", "results", "--check"],
        ["schema"],
        ["models"],
        ["submit", "suites/final.yaml", "--dry-run", "--results", "none"],
    ]
    code = f"""
import sys
from harness.cli.main import main
for arguments in {commands}:
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as left:
        assert left.code in (0, 1), (arguments, left.code)
    heavy = {{"torch", "matplotlib", "scipy.stats"}} & set(sys.modules)
    assert not heavy, (arguments, heavy)
print("all", len({commands}))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.endswith(f"all {len(commands)}\n")
